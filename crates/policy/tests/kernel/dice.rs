//! Seeded chance, and the few addresses and ports that random rules and packets share so that they meet.

/// Numbers that look random and are the same for the same seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A space, and `!` in one case of five.
    pub fn maybe_not(&mut self, not: &'static str) -> &'static str {
        if self.percent(20) { not } else { "" }
    }
}

/// The addresses of one family.
pub struct Places {
    pub six: bool,
    pub clients: &'static [&'static str],
    pub servers: &'static [&'static str],
    pub local: &'static [&'static str],
    pub networks: &'static [&'static str],
    pub ranges: &'static [&'static str],
    /// Where translation may lead.
    pub translated_servers: &'static [&'static str],
    pub translated_clients: &'static [&'static str],
}

pub const FOUR: Places = Places {
    six: false,
    clients: &["198.51.100.2", "198.51.100.3", "198.51.100.4", "198.51.100.77", "198.51.100.130"],
    servers: &["10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11", "10.0.1.5", "172.16.3.4"],
    local: &["192.0.2.1", "192.0.2.5", "198.51.100.1"],
    networks: &[
        "198.51.100.0/24",
        "198.51.100.0/25",
        "198.51.100.2/31",
        "10.0.0.0/8",
        "10.0.0.8/30",
        "10.0.0.10/31",
        "10.0.1.0/24",
        "172.16.0.0/12",
        "192.0.2.0/24",
    ],
    ranges: &[
        "198.51.100.3-198.51.100.77",
        "10.0.0.9-10.0.0.10",
        "10.0.0.11-10.0.1.5",
        "172.16.3.4-172.16.3.4",
    ],
    translated_servers: &["10.0.0.20", "10.0.0.9", "172.16.9.9"],
    translated_clients: &["203.0.113.7", "203.0.113.8"],
};

pub const SIX: Places = Places {
    six: true,
    clients: &["2001:db8:a::2", "2001:db8:a::3", "2001:db8:a::4", "2001:db8:a::77", "2001:db8:a::8000"],
    servers: &[
        "2001:db8:b::8",
        "2001:db8:b::9",
        "2001:db8:b::a",
        "2001:db8:b::b",
        "2001:db8:c::5",
        "2001:db8:b:1::4",
    ],
    local: &["2001:db8:ff::1", "2001:db8:a::1"],
    networks: &[
        "2001:db8:a::/64",
        "2001:db8:a::/113",
        "2001:db8:a::2/127",
        "2001:db8:b::/48",
        "2001:db8:b::8/126",
        "2001:db8:c::/48",
        "2001:db8::/32",
    ],
    ranges: &["2001:db8:a::3-2001:db8:a::77", "2001:db8:b::9-2001:db8:b::a", "2001:db8:b::b-2001:db8:b:1::4"],
    translated_servers: &["2001:db8:b::20", "2001:db8:b::9", "2001:db8:c::9"],
    translated_clients: &["2001:db8:d::7", "2001:db8:d::8"],
};

pub const PORTS: [u16; 9] = [22, 53, 80, 81, 443, 1000, 1005, 1010, 8080];
