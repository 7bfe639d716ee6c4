//! ICMP in flow records: type × 256 + code stands where the destination port does.

use netwhy_wire::protocol::{ICMP, ICMPV6};

/// Requests and their answers, of ICMP and ICMPv6: echo, timestamp, information, mask; echo, solicitations.
const PAIRS_V4: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
const PAIRS_V6: [(u8, u8); 3] = [(128, 129), (133, 134), (135, 136)];

/// Whether the protocol is ICMP of either family.
pub fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6)
}

/// The type of the request that a message answers; `None` when it is no answer.
pub fn request_of(protocol: u8, kind: u8) -> Option<u8> {
    pairs(protocol).iter().find(|(_, answer)| *answer == kind).map(|(request, _)| *request)
}

/// The type that answers a request; `None` when it asks for none.
pub fn answer_of(protocol: u8, kind: u8) -> Option<u8> {
    pairs(protocol).iter().find(|(request, _)| *request == kind).map(|(_, answer)| *answer)
}

fn pairs(protocol: u8) -> &'static [(u8, u8)] {
    if protocol == ICMPV6 { &PAIRS_V6 } else { &PAIRS_V4 }
}
