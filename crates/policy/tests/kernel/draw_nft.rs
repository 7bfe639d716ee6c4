//! Random rule sets as nft writes them.

use super::dice::{Dice, PORTS, Places};

/// What one rule set is drawn with.
pub struct Drawer<'a> {
    dice: &'a mut Dice,
    /// The families that the tables serve: one or both.
    places: &'a [&'a Places],
    family: &'static str,
}

/// Where a rule stands.
struct Spot {
    hook: &'static str,
    level: usize,
}

const USER_CHAINS: usize = 4;

/// A whole file of `nft -f`.
pub fn draw(dice: &mut Dice, family: &'static str, places: &[&Places]) -> String {
    let mut drawer = Drawer { dice, places, family };
    let mut text = String::new();
    for table in 0..1 + drawer.dice.below(2) {
        text.push_str(&drawer.table(table));
    }
    if drawer.dice.percent(60) {
        text.push_str(&drawer.nat_table());
    }
    if drawer.dice.percent(35) {
        text.push_str(&drawer.raw_table());
    }
    text
}

impl Drawer<'_> {
    fn place(&mut self) -> &'static Places {
        let six = self.dice.pick(self.places).six;
        if six { &super::dice::SIX } else { &super::dice::FOUR }
    }

    fn ip(places: &Places) -> &'static str {
        if places.six { "ip6" } else { "ip" }
    }

    fn table(&mut self, number: usize) -> String {
        let (family, sets) = (self.family, self.sets());
        let mut text = format!("table {family} t{number} {{\n{sets}");
        for user in (0..USER_CHAINS).rev() {
            text.push_str(&format!("  chain u{user} {{\n"));
            let spot = Spot { hook: "user", level: user + 1 };
            for _ in 0..1 + self.dice.below(5) {
                text.push_str(&format!("    {}\n", self.rule(&spot)));
            }
            text.push_str("  }\n");
        }
        let hooks: [&'static str; 4] = ["prerouting", "forward", "input", "postrouting"];
        for hook in hooks {
            let chance = if hook == "forward" { 95 } else { 40 };
            if self.dice.percent(chance) {
                text.push_str(&self.base(hook, number));
            }
        }
        text.push_str("}\n");
        text
    }

    fn base(&mut self, hook: &'static str, number: usize) -> String {
        let priority = self.dice.pick(&["-10", "0", "filter", "10", "50", "-150", "-100", "-200", "100"]);
        let policy = if hook == "forward" && self.dice.percent(40) { "drop" } else { "accept" };
        let mut text = format!(
            "  chain {hook}{number} {{\n    type filter hook {hook} priority {priority}; policy {policy};\n"
        );
        let spot = Spot { hook, level: 0 };
        let rules = if hook == "forward" { 4 + self.dice.below(12) } else { 1 + self.dice.below(4) };
        for _ in 0..rules {
            text.push_str(&format!("    {}\n", self.rule(&spot)));
        }
        text.push_str("  }\n");
        text
    }

    fn raw_table(&mut self) -> String {
        let priority = self.dice.pick(&["raw", "-300", "-201"]);
        let (family, sets) = (self.family, self.sets());
        let mut text = format!(
            "table {family} r {{\n{sets}  chain pre {{\n    type filter hook prerouting priority {priority}; policy accept;\n"
        );
        for _ in 0..1 + self.dice.below(3) {
            let matches = self.matches(false);
            let verdict = self.dice.pick(&["notrack", "notrack", "drop", "accept"]);
            text.push_str(&format!("    {matches} counter {verdict}\n"));
        }
        text.push_str("  }\n}\n");
        text
    }

    /// Sets and maps that rules of the table use.
    fn sets(&mut self) -> String {
        let mut text = String::new();
        for places in self.places {
            let (name, kind) = if places.six { ("six", "ipv6_addr") } else { ("four", "ipv4_addr") };
            let one = self.dice.pick(places.clients);
            let two = self.dice.pick(places.servers);
            text.push_str(&format!("  set {name} {{ type {kind}; elements = {{ {one}, {two} }} }}\n"));
            let net = self.dice.pick(places.networks);
            let range = self.dice.pick(places.ranges);
            text.push_str(&format!("  set {name}net {{ type {kind}; flags interval; auto-merge; elements = {{ {net}, {range} }} }}\n"));
            let port = self.dice.pick(&PORTS);
            text.push_str(&format!(
                "  set {name}port {{ type {kind} . inet_service; elements = {{ {two} . {port}, {} . 443 }} }}\n",
                places.servers[0]
            ));
            text.push_str(&format!(
                "  set {name}wide {{ type {kind} . inet_service; flags interval; elements = {{ {net} . 50-90, {one} . 1000-1005 }} }}\n"
            ));
            text.push_str(&format!("  set {name}seen {{ type {kind}; flags dynamic; size 1000; }}\n"));
            text.push_str(&format!(
                "  map {name}mark {{ type {kind} : mark; elements = {{ {one} : 0x1, {two} : 0x2 }} }}\n"
            ));
        }
        let (one, two) = (self.dice.pick(&PORTS[..4]), self.dice.pick(&PORTS[4..]));
        text.push_str(&format!(
            "  set ports {{ type inet_service; flags interval; elements = {{ {one}, {two}, 2000-3000 }} }}\n"
        ));
        text.push_str("  set bits { type tcp_flag; elements = { syn, ack, fin | ack } }\n");
        text.push_str("  set ifs { type ifname; elements = { \"pr0\", \"eth0\" } }\n");
        text
    }

    fn rule(&mut self, spot: &Spot) -> String {
        let matches = self.matches(spot.hook == "postrouting" || spot.hook == "forward");
        if self.dice.percent(8) {
            let map = self.verdict_map(spot);
            let matches = if clashes(&matches, &map) { "meta mark 0x0-0x9".to_owned() } else { matches };
            return format!("{matches} {map}");
        }
        let action = self.action(spot);
        let matches = if matches.is_empty()
            && !action.contains("mark")
            && !action.contains("jump")
            && !action.contains("seen")
        {
            "meta l4proto tcp".to_owned()
        } else {
            matches
        };
        // What can still end the rule stands behind the counter: such a rule has none.
        let stops = ["ct mark", "map", "seen", "limit"].iter().any(|word| action.contains(word));
        let counter = if stops || clashes(&matches, &action) { "" } else { "counter " };
        let resets = action.ends_with("tcp reset") && !matches.contains("tcp ");
        let action = if resets || clashes(&matches, &action) { "accept".to_owned() } else { action };
        format!("{matches} {counter}{action}")
    }

    fn jump(&mut self, spot: &Spot) -> Option<String> {
        let later = USER_CHAINS.checked_sub(spot.level).filter(|later| *later > 0)?;
        let to = spot.level + self.dice.below(later);
        Some(format!("{} u{to}", self.dice.pick(&["jump", "jump", "goto"])))
    }

    fn action(&mut self, spot: &Spot) -> String {
        match self.dice.below(16) {
            0..=2 => self.jump(spot).unwrap_or_else(|| "return".to_owned()),
            3 => "return".to_owned(),
            4 => "continue".to_owned(),
            5 => self.writes(),
            12 => format!("limit rate 1/day burst {} packets accept", 5 + self.dice.below(30)),
            15 => format!("limit rate over 1/day burst {} packets drop", 5 + self.dice.below(30)),
            6 if matches!(spot.hook, "forward" | "input") => {
                let inet = self.family == "inet";
                self.dice
                    .pick(&[
                        "reject",
                        if inet { "reject with icmpx port-unreachable" } else { "reject" },
                        "reject with tcp reset",
                    ])
                    .to_owned()
            }
            7..=10 => "drop".to_owned(),
            11 => "meta mark set 0x1".to_owned(),
            14 => String::new(),
            _ => "accept".to_owned(),
        }
    }

    fn writes(&mut self) -> String {
        let places = self.place();
        let ip = Self::ip(places);
        let name = if places.six { "six" } else { "four" };
        match self.dice.below(11) {
            8 => format!("add @{name}seen {{ {ip} saddr }}"),
            9 => format!("update @{name}seen {{ {ip} daddr }} drop"),
            10 => format!("delete @{name}seen {{ {ip} saddr }}"),
            0 => "meta mark set 0x2".to_owned(),
            1 => "meta mark set meta mark | 0x1".to_owned(),
            2 => "meta mark set meta mark & 0xfffffffe".to_owned(),
            3 => "ct mark set 0x1".to_owned(),
            4 => "ct mark set meta mark".to_owned(),
            5 => "meta mark set ct mark".to_owned(),
            6 => format!("{ip} dscp set 10"),
            _ => format!("meta mark set {ip} saddr map @{name}mark"),
        }
    }

    fn verdict_map(&mut self, spot: &Spot) -> String {
        let places = self.place();
        let ip = Self::ip(places);
        let one = self.jump(spot).unwrap_or_else(|| "accept".to_owned());
        let two = self.dice.pick(&["drop", "accept", "return", "continue"]);
        let (a, b) = (self.dice.pick(&PORTS[..4]), self.dice.pick(&PORTS[4..]));
        match self.dice.below(5) {
            0 => format!("tcp dport vmap {{ {a} : {one}, {b} : {two} }}"),
            1 => format!("udp dport vmap {{ {a} : {two}, 1000-1010 : {one} }}"),
            2 => format!("ct state vmap {{ new : {one}, established : {two}, invalid : drop }}"),
            3 => {
                format!("{ip} saddr vmap {{ {} : {two}, {} : {one} }}", places.clients[0], places.servers[1])
            }
            _ => format!("iifname . meta l4proto vmap {{ \"pr0\" . tcp : {one}, \"pr1\" . udp : {two} }}"),
        }
    }

    fn matches(&mut self, output: bool) -> String {
        let count = 1 + self.dice.below(3);
        let mut words: Vec<String> = Vec::new();
        for _ in 0..count {
            let one = self.one_match(output);
            // nft refuses a second, different family or protocol in a rule that has one.
            if !words.iter().any(|word| clashes(word, &one)) {
                words.push(one);
            }
        }
        words.join(" ")
    }

    fn one_match(&mut self, output: bool) -> String {
        match self.dice.below(20) {
            0..=4 => self.address(),
            5..=7 => self.tcp(),
            8 => self.udp(),
            9..=11 => self.state(),
            12 => self.interface(output),
            13 => self.protocol(),
            14 => {
                let not = self.dice.maybe_not("!= ");
                format!("meta mark {not}{}", self.dice.pick(&["0x1", "0x2", "{ 0x1, 0x2 }", "0x0-0x1"]))
            }
            15 => self.icmp(),
            16 => self.header(),
            17 => self.concatenation(),
            18 => self.connection(),
            _ => self.address(),
        }
    }

    fn address(&mut self) -> String {
        let places = self.place();
        let ip = Self::ip(places);
        let name = if places.six { "six" } else { "four" };
        let side = self.dice.pick(&["saddr", "daddr"]);
        let not = self.dice.maybe_not("!= ");
        let pool = if side == "saddr" { places.clients } else { places.servers };
        let value = match self.dice.below(8) {
            7 => format!("@{name}seen"),
            0 => self.dice.pick(places.networks).to_owned(),
            1 => self.dice.pick(places.ranges).to_owned(),
            2 => format!("@{name}"),
            3 => format!("@{name}net"),
            4 => format!("{{ {}, {} }}", places.clients[1], places.servers[2]),
            5 => format!("{{ {}, {} }}", places.networks[2], places.servers[1 + self.dice.below(3)]),
            _ => self.dice.pick(pool).to_owned(),
        };
        format!("{ip} {side} {not}{value}")
    }

    fn ports(&mut self) -> String {
        match self.dice.below(6) {
            0 => format!("{}-{}", self.dice.pick(&PORTS[..4]), 900 + self.dice.below(200)),
            1 => "@ports".to_owned(),
            2 => format!("{{ {}, {} }}", self.dice.pick(&PORTS[..4]), self.dice.pick(&PORTS[4..])),
            3 => "{ 22-53, 443, 1000-1010 }".to_owned(),
            4 => "> 443".to_owned(),
            _ => self.dice.pick(&PORTS).to_string(),
        }
    }

    fn tcp(&mut self) -> String {
        let not = self.dice.maybe_not("!= ");
        if self.dice.percent(30) {
            return self
                .dice
                .pick(&[
                    "tcp flags syn",
                    "tcp flags { syn, ack }",
                    "tcp flags & (syn | ack) == syn",
                    "tcp flags & (fin | syn | rst | ack) == syn",
                    "tcp flags & (fin | syn) == 0",
                    "tcp flags == ack",
                    "tcp flags != syn",
                    "tcp flags & rst != 0",
                    "tcp flags @bits",
                    "tcp flags syn,rst",
                    "tcp flags { syn }",
                ])
                .to_owned();
        }
        let value = self.ports();
        let not = if value.starts_with('>') { "" } else { not };
        format!("tcp {} {not}{value}", self.dice.pick(&["dport", "dport", "sport"]))
    }

    fn udp(&mut self) -> String {
        let value = self.ports();
        format!("udp {} {value}", self.dice.pick(&["dport", "dport", "sport"]))
    }

    fn state(&mut self) -> String {
        self.dice
            .pick(&[
                "ct state new",
                "ct state established,related",
                "ct state invalid",
                "ct state { new, established }",
                "ct state != established",
                "ct state untracked",
                "ct state new,untracked",
                "ct state & (established | related) != 0",
                "ct state { invalid, untracked }",
                "ct state != { established, related }",
                "ct state != new,established",
            ])
            .to_owned()
    }

    fn interface(&mut self, output: bool) -> String {
        let not = self.dice.maybe_not("!= ");
        let name = self.dice.pick(&["\"pr0\"", "\"pr1\"", "\"pr*\"", "{ \"pr0\", \"eth0\" }", "@ifs"]);
        let field = if output && self.dice.percent(50) { "oifname" } else { "iifname" };
        format!("{field} {not}{name}")
    }

    fn protocol(&mut self) -> String {
        let four = self.places.iter().any(|places| !places.six);
        let not = self.dice.maybe_not("!= ");
        match self.dice.below(5) {
            0 if four => format!("ip protocol {not}tcp"),
            1 => format!("meta l4proto {not}{{ tcp, udp }}"),
            2 => format!("meta l4proto {not}{}", self.dice.pick(&["tcp", "udp", "50", "47"])),
            3 if self.family == "inet" => format!("meta nfproto {}", self.dice.pick(&["ipv4", "ipv6"])),
            _ => format!("meta l4proto {{ tcp, udp }} th dport {}", self.dice.pick(&PORTS)),
        }
    }

    fn icmp(&mut self) -> String {
        let places = self.place();
        let not = self.dice.maybe_not("!= ");
        if places.six {
            format!(
                "icmpv6 type {not}{}",
                self.dice.pick(&["echo-request", "echo-reply", "{ echo-request, destination-unreachable }"])
            )
        } else {
            format!(
                "icmp type {not}{}",
                self.dice.pick(&["echo-request", "echo-reply", "{ echo-request, 3 }", "13"])
            )
        }
    }

    fn header(&mut self) -> String {
        let places = self.place();
        let not = self.dice.maybe_not("!= ");
        if places.six {
            return match self.dice.below(2) {
                0 => format!("ip6 hoplimit {}", self.dice.pick(&["> 60", "< 10", "63", "64"])),
                _ => format!("ip6 dscp {not}{}", self.dice.pick(&["8", "10", "0"])),
            };
        }
        match self.dice.below(4) {
            0 => format!("ip ttl {}", self.dice.pick(&["> 60", "< 10", "63", "64"])),
            1 => "ip frag-off & 0x1fff == 0".to_owned(),
            2 => format!("meta length {}", self.dice.pick(&["> 40", "< 48", "36", "40-60"])),
            _ => format!("ip dscp {not}{}", self.dice.pick(&["8", "10", "0"])),
        }
    }

    fn concatenation(&mut self) -> String {
        let places = self.place();
        let ip = Self::ip(places);
        let name = if places.six { "six" } else { "four" };
        let not = self.dice.maybe_not("!= ");
        match self.dice.below(4) {
            0 => format!("{ip} daddr . tcp dport {not}@{name}port"),
            1 => format!("{ip} saddr . tcp dport {not}@{name}wide"),
            2 => format!("{ip} daddr . tcp dport {not}@{name}wide"),
            _ => format!(
                "{ip} saddr . {ip} daddr {{ {} . {}, {} . {} }}",
                places.clients[0], places.servers[1], places.clients[1], places.servers[2]
            ),
        }
    }

    fn connection(&mut self) -> String {
        self.dice
            .pick(&[
                "ct direction original",
                "ct direction reply",
                "ct status seen-reply",
                "ct status dnat",
                "ct status snat",
                "ct status confirmed",
                "ct mark 0x1",
                "ct mark != 0x0",
                "ct status { dnat, snat }",
            ])
            .to_owned()
    }

    fn nat_table(&mut self) -> String {
        let mut text = format!("table {} n {{\n", self.family);
        for (hook, priority) in [("prerouting", "dstnat"), ("postrouting", "srcnat"), ("input", "100")] {
            if self.dice.percent(if hook == "input" { 15 } else { 75 }) {
                text.push_str(&format!(
                    "  chain {hook} {{\n    type nat hook {hook} priority {priority}; policy accept;\n"
                ));
                for _ in 0..1 + self.dice.below(4) {
                    text.push_str(&format!("    {}\n", self.nat_rule(hook)));
                }
                text.push_str("  }\n");
            }
        }
        text.push_str("}\n");
        text
    }

    fn nat_rule(&mut self, hook: &str) -> String {
        let places = self.place();
        let ip = Self::ip(places);
        let family = if self.family == "inet" { format!(" {ip}") } else { String::new() };
        let own = Drawer { dice: &mut *self.dice, places: &[places], family: self.family }.nat_match();
        let server = self.dice.pick(places.translated_servers);
        let client = self.dice.pick(places.translated_clients);
        let with_port =
            |port: &str| if places.six { format!("[{server}]:{port}") } else { format!("{server}:{port}") };
        let port = self.dice.pick(&PORTS);
        match hook {
            "prerouting" => match self.dice.below(7) {
                0 => format!("{own} tcp dport {port} counter dnat{family} to {}", with_port("8080")),
                1 => format!("{own} udp dport {port} counter dnat{family} to {}", with_port("8080-8090")),
                2 => format!("{own} counter dnat{family} to {server}"),
                3 => format!("{own} tcp dport {port} counter redirect to :8080"),
                4 => format!(
                    "{own} dnat{family} to tcp dport map {{ 80 : {server}, 443 : {} }}",
                    places.translated_servers[0]
                ),
                5 => format!(
                    "{own} dnat{family} to {ip} saddr map {{ {} : {server}, {} : {} }}",
                    places.clients[0], places.clients[1], places.translated_servers[2]
                ),
                _ => format!("{own} counter accept"),
            },
            "postrouting" => match self.dice.below(4) {
                0 => format!("{own} counter masquerade"),
                1 => format!("{own} counter snat{family} to {client}"),
                2 => format!(
                    "{own} snat{family} to {ip} saddr map {{ {} : {client}, {} : {} }}",
                    places.clients[0], places.clients[2], places.translated_clients[0]
                ),
                _ => format!("{own} counter accept"),
            },
            _ => format!("{own} counter accept"),
        }
    }

    fn nat_match(&mut self) -> String {
        let places = self.places[0];
        let ip = Self::ip(places);
        match self.dice.below(4) {
            0 => format!("{ip} daddr {}", self.dice.pick(places.servers)),
            1 => format!("{ip} saddr {}", self.dice.pick(places.clients)),
            2 => format!("{ip} daddr {}", self.dice.pick(places.networks)),
            _ => format!("{ip} saddr != {}", self.dice.pick(places.clients)),
        }
    }
}

/// Whether nft would refuse both in one rule.
fn clashes(one: &str, two: &str) -> bool {
    let family = |text: &str| match text.split(' ').next() {
        Some("ip" | "icmp") => Some(4),
        Some("ip6" | "icmpv6") => Some(6),
        _ if text.contains(" ip saddr") => Some(4),
        _ if text.contains(" ip6 saddr") => Some(6),
        _ if text.contains("nfproto") => Some(0),
        _ => None,
    };
    let protocol = |text: &str| match text.split(' ').next() {
        Some(name @ ("tcp" | "udp" | "icmp" | "icmpv6")) => Some(name.to_owned()),
        _ if text.contains("tcp ") => Some("tcp".to_owned()),
        _ if text.contains(" udp ") => Some("udp".to_owned()),
        _ if text.contains("icmp ") => Some("icmp".to_owned()),
        _ if text.contains("icmpv6 ") => Some("icmpv6".to_owned()),
        _ if text.contains("protocol") || text.contains("l4proto") => Some("any".to_owned()),
        _ => None,
    };
    let differ =
        |a: Option<String>, b: Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b || a == "any");
    let families = match (family(one), family(two)) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    families || differ(protocol(one), protocol(two))
}
