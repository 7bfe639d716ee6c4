//! The words nft(8) uses for numbers.

/// A table of (number, word).
pub(super) type Symbols = &'static [(u32, &'static str)];

/// Finds the word of a number.
pub(super) fn word(symbols: Symbols, number: u32) -> Option<&'static str> {
    symbols.iter().find(|(value, _)| *value == number).map(|(_, word)| *word)
}

/// The words of the bits that are set, joined with commas; what has no word is written as a number.
pub(crate) fn bits(symbols: Symbols, mask: u32) -> String {
    let mut rest = mask;
    let mut words: Vec<String> = Vec::new();
    for (bit, word) in symbols {
        if rest & bit == *bit {
            words.push((*word).to_owned());
            rest &= !bit;
        }
    }
    if rest != 0 || words.is_empty() {
        words.push(format!("{rest:#x}"));
    }
    words.join(",")
}

pub(super) const CT_STATE: Symbols =
    &[(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];

pub(super) const CT_STATUS: Symbols = &[
    (0x1, "expected"),
    (0x2, "seen-reply"),
    (0x4, "assured"),
    (0x8, "confirmed"),
    (0x10, "snat"),
    (0x20, "dnat"),
    (0x200, "dying"),
];

pub(super) const CT_DIRECTION: Symbols = &[(0, "original"), (1, "reply")];

pub(super) const CT_EVENT: Symbols = &[
    (0x1, "new"),
    (0x2, "related"),
    (0x4, "destroy"),
    (0x8, "reply"),
    (0x10, "assured"),
    (0x20, "protoinfo"),
    (0x40, "helper"),
    (0x80, "mark"),
    (0x100, "seqadj"),
    (0x200, "secmark"),
    (0x400, "label"),
];

pub(crate) const TCP_FLAGS: Symbols = &[
    (0x01, "fin"),
    (0x02, "syn"),
    (0x04, "rst"),
    (0x08, "psh"),
    (0x10, "ack"),
    (0x20, "urg"),
    (0x40, "ecn"),
    (0x80, "cwr"),
];

pub(super) const ICMP_TYPE: Symbols = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (15, "info-request"),
    (16, "info-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
];

pub(super) const ICMP_CODE: Symbols = &[
    (0, "net-unreachable"),
    (1, "host-unreachable"),
    (2, "prot-unreachable"),
    (3, "port-unreachable"),
    (4, "frag-needed"),
    (9, "net-prohibited"),
    (10, "host-prohibited"),
    (13, "admin-prohibited"),
];

pub(super) const ICMP6_TYPE: Symbols = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (130, "mld-listener-query"),
    (131, "mld-listener-report"),
    (132, "mld-listener-done"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
    (138, "router-renumbering"),
    (141, "ind-neighbor-solicit"),
    (142, "ind-neighbor-advert"),
    (143, "mld2-listener-report"),
];

pub(super) const ICMP6_CODE: Symbols = &[
    (0, "no-route"),
    (1, "admin-prohibited"),
    (3, "addr-unreachable"),
    (4, "port-unreachable"),
    (5, "policy-fail"),
    (6, "reject-route"),
];

/// Codes of `icmpx`, which the kernel turns into ICMP or ICMPv6 by the packet's own family.
pub(super) const ICMPX_CODE: Symbols =
    &[(0, "no-route"), (1, "port-unreachable"), (2, "host-unreachable"), (3, "admin-prohibited")];

pub(super) const IGMP_TYPE: Symbols = &[
    (17, "membership-query"),
    (18, "membership-report-v1"),
    (22, "membership-report-v2"),
    (23, "leave-group"),
    (34, "membership-report-v3"),
];

pub(super) const DCCP_TYPE: Symbols = &[
    (0, "request"),
    (1, "response"),
    (2, "data"),
    (3, "ack"),
    (4, "dataack"),
    (5, "closereq"),
    (6, "close"),
    (7, "reset"),
    (8, "sync"),
    (9, "syncack"),
];

pub(super) const DSCP: Symbols = &[
    (0x00, "cs0"),
    (0x08, "cs1"),
    (0x10, "cs2"),
    (0x18, "cs3"),
    (0x20, "cs4"),
    (0x28, "cs5"),
    (0x30, "cs6"),
    (0x38, "cs7"),
    (0x01, "lephb"),
    (0x0a, "af11"),
    (0x0c, "af12"),
    (0x0e, "af13"),
    (0x12, "af21"),
    (0x14, "af22"),
    (0x16, "af23"),
    (0x1a, "af31"),
    (0x1c, "af32"),
    (0x1e, "af33"),
    (0x22, "af41"),
    (0x24, "af42"),
    (0x26, "af43"),
    (0x2c, "va"),
    (0x2e, "ef"),
];

pub(super) const ECN: Symbols = &[(0, "not-ect"), (1, "ect1"), (2, "ect0"), (3, "ce")];

pub(super) const ETHER_TYPE: Symbols =
    &[(0x0800, "ip"), (0x0806, "arp"), (0x86dd, "ip6"), (0x8100, "8021q"), (0x88a8, "8021ad")];

pub(super) const ARP_OPERATION: Symbols = &[
    (1, "request"),
    (2, "reply"),
    (3, "rrequest"),
    (4, "rreply"),
    (8, "inrequest"),
    (9, "inreply"),
    (10, "nak"),
];

pub(super) const INTERFACE_TYPE: Symbols = &[
    (0x0001, "ether"),
    (0x0200, "ppp"),
    (0x0300, "ipip"),
    (0x0301, "ipip6"),
    (0x0304, "loopback"),
    (0x0308, "sit"),
    (0x030a, "ipgre"),
];

pub(super) const PACKET_TYPE: Symbols = &[(0, "host"), (1, "broadcast"), (2, "multicast"), (3, "other")];

pub(super) const NF_PROTOCOL: Symbols = &[(2, "ipv4"), (10, "ipv6")];

pub(super) const ADDRESS_TYPE: Symbols = &[
    (0, "unspec"),
    (1, "unicast"),
    (2, "local"),
    (3, "broadcast"),
    (4, "anycast"),
    (5, "multicast"),
    (6, "blackhole"),
    (7, "unreachable"),
    (8, "prohibit"),
];

pub(super) const DAY: Symbols = &[
    (0, "Sunday"),
    (1, "Monday"),
    (2, "Tuesday"),
    (3, "Wednesday"),
    (4, "Thursday"),
    (5, "Friday"),
    (6, "Saturday"),
];

/// As /etc/protocols has them; the file itself is not read.
pub(crate) const PROTOCOL: Symbols = &[
    (0, "ip"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipencap"),
    (5, "st"),
    (6, "tcp"),
    (8, "egp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (88, "eigrp"),
    (89, "ospf"),
    (94, "ipip"),
    (103, "pim"),
    (108, "ipcomp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (135, "mobility-header"),
    (136, "udplite"),
    (262, "mptcp"),
];

pub(super) const LOG_LEVEL: Symbols = &[
    (0, "emerg"),
    (1, "alert"),
    (2, "crit"),
    (3, "err"),
    (4, "warn"),
    (5, "notice"),
    (6, "info"),
    (7, "debug"),
    (8, "audit"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_without_a_word_stay_numbers() {
        assert_eq!(bits(CT_STATE, 6), "established,related");
        assert_eq!(bits(CT_STATE, 0x80 | 1), "invalid,0x80");
        assert_eq!(bits(TCP_FLAGS, 0), "0x0");
    }
}
