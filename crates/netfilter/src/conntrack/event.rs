//! Connections as they open and close, told by the kernel.

use super::flow::FlowSeen;
use super::open;
use crate::error::NetfilterError;
use crate::fields::Fields;
use crate::nft::split;
use netwhy_netlink::{Connection, be64};
use std::time::Instant;

const GROUP_NEW: u32 = 1;
const GROUP_DESTROY: u32 = 3;
/// IPCTNL_MSG_CT_NEW and IPCTNL_MSG_CT_DELETE of this subsystem.
const MESSAGE_NEW: u16 = super::SUBSYSTEM;
const MESSAGE_DELETE: u16 = super::SUBSYSTEM | 2;

const TUPLE_ORIGINAL: usize = 1;
/// CTA_TUPLE_PROTO.
const TUPLE_PROTOCOL: usize = 2;
const COUNTERS_ORIGINAL: usize = 9;
const COUNTERS_REPLY: usize = 10;
const TIMESTAMP: usize = 20;
/// Within CTA_TUPLE_PROTO: type and code of ICMP and of ICMPv6.
const ICMP_TYPE: [usize; 2] = [5, 8];
const ICMP_CODE: [usize; 2] = [6, 9];

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEventKind {
    New,
    /// Its entry is gone, and these are its last counts.
    Destroyed,
}

/// What one direction of a connection carried; zeros unless `nf_conntrack_acct` is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowCounters {
    pub packets: u64,
    pub bytes: u64,
}

/// A connection that opened or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEvent {
    pub kind: FlowEventKind,
    pub flow: FlowSeen,
    /// From who began it, and back.
    pub there: FlowCounters,
    pub back: FlowCounters,
    /// Milliseconds since 1970, where `nf_conntrack_timestamp` is set.
    pub start_ms: Option<i64>,
    pub stop_ms: Option<i64>,
    /// ICMP's type × 256 + code.
    pub message: u16,
}

/// Hears connections open and close in the network namespace it was started in.
#[derive(Debug)]
pub struct FlowEvents {
    connection: Connection,
}

impl FlowEvents {
    /// Starts to listen.
    ///
    /// # Errors
    /// When connection tracking is not in use, or without CAP_NET_ADMIN.
    pub fn start() -> Result<FlowEvents, NetfilterError> {
        let connection = open()?;
        for group in [GROUP_NEW, GROUP_DESTROY] {
            connection
                .join(group)
                .map_err(|source| NetfilterError::Read { what: "events of connection tracking", source })?;
        }
        Ok(FlowEvents { connection })
    }

    /// Gives events until the deadline.
    ///
    /// Returns false when the kernel had to throw events away.
    pub fn take(&mut self, until: Instant, mut each: impl FnMut(&FlowEvent)) -> Result<bool, NetfilterError> {
        self.connection
            .events(until, |kind, body| {
                if let Some(event) = FlowEvent::parse(kind, body) {
                    each(&event);
                }
                true
            })
            .map_err(|source| NetfilterError::Read { what: "events of connection tracking", source })
    }
}

impl FlowEvent {
    /// Reads one message; `None` for others than these two kinds.
    pub(crate) fn parse(kind: u16, body: &[u8]) -> Option<FlowEvent> {
        let kind = match kind {
            MESSAGE_NEW => FlowEventKind::New,
            MESSAGE_DELETE => FlowEventKind::Destroyed,
            _ => return None,
        };
        let flow = FlowSeen::parse(body)?;
        let fields = Fields::of(split(body).1);
        let counters = |number: usize| {
            let fields = fields.inside(number);
            FlowCounters { packets: fields.be64(1), bytes: fields.be64(2) }
        };
        let times = fields.inside(TIMESTAMP);
        let time_ms = |number: usize| {
            let time_ns = be64(times.find(number)?);
            i64::try_from(time_ns / 1_000_000).ok()
        };
        Some(FlowEvent {
            kind,
            flow,
            there: counters(COUNTERS_ORIGINAL),
            back: counters(COUNTERS_REPLY),
            start_ms: time_ms(1),
            stop_ms: time_ms(2),
            message: icmp_message(&fields.inside(TUPLE_ORIGINAL).inside(TUPLE_PROTOCOL)),
        })
    }
}

fn icmp_message(protocol: &Fields<'_>) -> u16 {
    let byte = |numbers: [usize; 2]| {
        let number = numbers.into_iter().find(|number| protocol.has(*number));
        number.map_or(0, |number| protocol.byte(number))
    };
    u16::from(byte(ICMP_TYPE)) << 8 | u16::from(byte(ICMP_CODE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_netlink::Builder;
    use proptest::prelude::*;

    #[test]
    fn an_end_is_read_with_its_counts() {
        let addresses = Builder::default().put(1, &[10, 0, 0, 1]).put(2, &[10, 0, 0, 2]);
        let protocol = Builder::default().put(1, &[1]).put(5, &[8]).put(6, &[0]);
        let counters = |packets: u64| {
            Builder::default().put(1, &packets.to_be_bytes()).put(2, &(packets * 84).to_be_bytes())
        };
        let times = Builder::default().put(1, &1_700_000_000_123_000_000_u64.to_be_bytes());
        let body = Builder::new(&[2, 0, 0, 0])
            .nest(1, Builder::default().nest(1, addresses).nest(2, protocol))
            .nest(9, counters(3))
            .nest(10, counters(2))
            .nest(20, times);
        let event = FlowEvent::parse(MESSAGE_DELETE, body.bytes()).unwrap();
        assert_eq!(event.kind, FlowEventKind::Destroyed);
        assert_eq!(event.there, FlowCounters { packets: 3, bytes: 252 });
        assert_eq!(event.back.packets, 2);
        assert_eq!((event.start_ms, event.stop_ms, event.message), (Some(1_700_000_000_123), None, 0x0800));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = FlowEvent::parse(MESSAGE_NEW, &bytes);
        }
    }
}
