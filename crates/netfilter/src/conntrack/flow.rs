//! One entry of the table, from the bytes of its message; nothing is allocated.

use netwhy_netlink::{attributes, be16, be32};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const GENERIC_HEADER_LEN: usize = 4;
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const PROTOCOL_INFO: u16 = 4;
const TIMEOUT: u16 = 7;
const MARK: u16 = 8;
const ZONE: u16 = 18;
const STATUS_SEEN_REPLY: u32 = 1 << 1;
const STATUS_ASSURED: u32 = 1 << 2;
const STATUS_SNAT: u32 = 1 << 4;
const STATUS_DNAT: u32 = 1 << 5;
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// One entry of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowSeen {
    /// The IP protocol: 6 is TCP, 17 UDP.
    pub protocol: u8,
    /// Who began the connection, and where it wanted to go; ports are 0 where the protocol has none.
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// Who answers, and to whom: differs from the above where addresses are translated.
    pub reply_from: SocketAddr,
    pub reply_to: SocketAddr,
    /// IPS_* bits (linux/netfilter/nf_conntrack_common.h).
    pub status: u32,
    /// TCP_CONNTRACK_* (linux/netfilter/nf_conntrack_tcp.h); `None` when not TCP.
    pub tcp_state: Option<u8>,
    /// Seconds until the entry ends by itself.
    pub timeout_s: u32,
    pub mark: u32,
    pub zone: u16,
}

/// One direction of an entry.
#[derive(Clone, Copy)]
struct Tuple {
    from: SocketAddr,
    to: SocketAddr,
    protocol: u8,
}

impl FlowSeen {
    /// Reads the body of one IPCTNL_MSG_CT_NEW; `None` when it has no addresses.
    pub(crate) fn parse(body: &[u8]) -> Option<FlowSeen> {
        let mut flow = FlowSeen {
            protocol: 0,
            from: NO_ADDRESS,
            to: NO_ADDRESS,
            reply_from: NO_ADDRESS,
            reply_to: NO_ADDRESS,
            status: 0,
            tcp_state: None,
            timeout_s: 0,
            mark: 0,
            zone: 0,
        };
        let mut complete = false;
        for (kind, value) in attributes(body.get(GENERIC_HEADER_LEN..)?) {
            match kind {
                TUPLE_ORIGINAL => {
                    let tuple = tuple(value)?;
                    (flow.from, flow.to, flow.protocol) = (tuple.from, tuple.to, tuple.protocol);
                    complete = true;
                }
                TUPLE_REPLY => {
                    let tuple = tuple(value)?;
                    (flow.reply_from, flow.reply_to) = (tuple.from, tuple.to);
                }
                STATUS => flow.status = be32(value),
                PROTOCOL_INFO => flow.tcp_state = tcp_state(value),
                TIMEOUT => flow.timeout_s = be32(value),
                MARK => flow.mark = be32(value),
                ZONE => flow.zone = be16(value),
                _ => {}
            }
        }
        complete.then_some(flow)
    }

    /// TCP's state as conntrack(8) names it; of other protocols whether an answer came.
    pub fn state(&self) -> &'static str {
        const TCP: [&str; 10] = [
            "NONE",
            "SYN_SENT",
            "SYN_RECV",
            "ESTABLISHED",
            "FIN_WAIT",
            "CLOSE_WAIT",
            "LAST_ACK",
            "TIME_WAIT",
            "CLOSE",
            "SYN_SENT2",
        ];
        match self.tcp_state {
            Some(state) => TCP.get(usize::from(state)).copied().unwrap_or("NONE"),
            None if self.replied() => "REPLIED",
            None => "UNREPLIED",
        }
    }

    /// Packets went both ways.
    pub fn replied(&self) -> bool {
        self.status & STATUS_SEEN_REPLY != 0
    }

    /// The kernel will not drop it early when the table is full.
    pub fn assured(&self) -> bool {
        self.status & STATUS_ASSURED != 0
    }

    /// Its source or destination is translated.
    pub fn translated(&self) -> bool {
        self.status & (STATUS_SNAT | STATUS_DNAT) != 0
    }
}

/// CTA_TUPLE_IP and CTA_TUPLE_PROTO.
fn tuple(nest: &[u8]) -> Option<Tuple> {
    let (mut from, mut to) = (None, None);
    let (mut protocol, mut ports) = (0, (0, 0));
    for (kind, value) in attributes(nest) {
        match kind {
            1 => {
                for (kind, value) in attributes(value) {
                    match kind {
                        1 | 3 => from = address(value),
                        2 | 4 => to = address(value),
                        _ => {}
                    }
                }
            }
            2 => {
                for (kind, value) in attributes(value) {
                    match kind {
                        1 => protocol = value.first().copied().unwrap_or(0),
                        2 => ports.0 = be16(value),
                        3 => ports.1 = be16(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(Tuple { from: SocketAddr::new(from?, ports.0), to: SocketAddr::new(to?, ports.1), protocol })
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
        16 => value.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into()),
        _ => None,
    }
}

/// CTA_PROTOINFO_TCP, and CTA_PROTOINFO_TCP_STATE in it.
fn tcp_state(nest: &[u8]) -> Option<u8> {
    let (_, tcp) = attributes(nest).find(|(kind, _)| *kind == 1)?;
    let (_, state) = attributes(tcp).find(|(kind, _)| *kind == 1)?;
    state.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_netlink::Builder;
    use proptest::prelude::*;

    fn tuple_nest(from: [u8; 4], to: [u8; 4], ports: (u16, u16)) -> Builder {
        let addresses = Builder::default().put(1, &from).put(2, &to);
        let protocol =
            Builder::default().put(1, &[6]).put(2, &ports.0.to_be_bytes()).put(3, &ports.1.to_be_bytes());
        Builder::default().nest(1, addresses).nest(2, protocol)
    }

    #[test]
    fn an_entry_is_read_with_its_state() {
        let state = Builder::default().nest(1, Builder::default().put(1, &[3]));
        let body = Builder::new(&[2, 0, 0, 0])
            .nest(TUPLE_ORIGINAL, tuple_nest([10, 0, 0, 1], [10, 0, 0, 2], (4000, 443)))
            .nest(TUPLE_REPLY, tuple_nest([10, 0, 0, 3], [10, 0, 0, 1], (8443, 4000)))
            .put(STATUS, &0x26_u32.to_be_bytes())
            .nest(PROTOCOL_INFO, state)
            .put(TIMEOUT, &60_u32.to_be_bytes());
        let flow = FlowSeen::parse(body.bytes()).unwrap();
        assert_eq!(flow.to, "10.0.0.2:443".parse().unwrap());
        assert_eq!(flow.reply_from, "10.0.0.3:8443".parse().unwrap());
        assert_eq!((flow.state(), flow.assured(), flow.translated()), ("ESTABLISHED", true, true));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = FlowSeen::parse(&bytes);
        }
    }
}
