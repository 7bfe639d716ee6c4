//! What one record looks like by itself.

use crate::record::{Action, Flow};

/// The largest mean of a packet without data: IPv4 and TCP headers with all usual options.
const EMPTY_PACKET_BYTES_MAX: u64 = 64;
/// The kernel gives up after six retransmissions of a SYN.
const SYN_COUNT_MAX: u64 = 7;
/// SYN, ACK, a request, FIN: nothing that was understood takes less.
const SESSION_PACKETS_MIN: u64 = 4;

pub const SSH: u16 = 22;

/// A call that failed by its look: rejected, or nothing but packets without data.
pub fn is_knock(flow: &Flow) -> bool {
    flow.action == Action::Reject || (flow.packets <= SYN_COUNT_MAX && is_empty(flow))
}

/// Nothing but packets without data, however many.
pub fn is_empty(flow: &Flow) -> bool {
    flow.bytes <= flow.packets * EMPTY_PACKET_BYTES_MAX
}

/// A call that became a conversation.
pub fn is_session(flow: &Flow) -> bool {
    flow.action != Action::Reject && flow.packets >= SESSION_PACKETS_MIN && !is_knock(flow)
}

/// An answer that carried data.
pub fn carries_data(flow: &Flow) -> bool {
    flow.action != Action::Reject && flow.packets >= 2 && flow.bytes > flow.packets * EMPTY_PACKET_BYTES_MAX
}

/// A datagram or two without weight, as a scan sends; a flood sends more.
pub fn is_light(flow: &Flow) -> bool {
    flow.packets <= 3 && flow.bytes <= 200 * flow.packets
}

/// The service behind a port where passwords are guessed.
pub fn guessed_service(port: u16) -> Option<&'static str> {
    Some(match port {
        22 | 2222 => "ssh",
        23 | 2323 => "telnet",
        21 => "ftp",
        139 | 445 => "smb",
        3389 => "rdp",
        5900 | 5901 => "vnc",
        5985 | 5986 => "winrm",
        1433 | 1434 | 1521 | 3306 | 5432 | 5433 | 5984 | 6379 | 9042 | 9200 | 11211 | 27017 | 27018 => {
            "database"
        }
        _ => return None,
    })
}

/// UDP services whose answers are larger than their questions.
pub fn is_reflector(port: u16) -> bool {
    matches!(
        port,
        17 | 19
            | 53
            | 69
            | 111
            | 123
            | 137
            | 161
            | 389
            | 520
            | 623
            | 1434
            | 1900
            | 3283
            | 3478
            | 3702
            | 5093
            | 5353
            | 5683
            | 10001
            | 11211
            | 27015
            | 27960
            | 32414
            | 37810
    )
}

/// Ports where many strangers' servers do not answer although nothing is wrong.
pub fn is_mail(port: u16) -> bool {
    matches!(port, 25 | 465 | 587)
}

pub fn is_web(port: u16) -> bool {
    matches!(port, 80 | 443 | 8000 | 8080 | 8081 | 8443 | 8888)
}
