//! One report of the kernel about a traced packet (NFTA_TRACE_*).

use crate::fields::Fields;
use crate::nft::{Verdict, family_name, split};
use netwhy_model::host::RuleVerdict;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What kind of thing reported (enum nft_trace_types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Policy,
    /// The end of a chain that was jumped to.
    Return,
    Rule,
}

/// One report.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) packet: u32,
    pub(super) source: Source,
    pub(super) family: &'static str,
    pub(super) table: String,
    pub(super) chain: String,
    /// 0 unless a rule reported.
    pub(super) handle: u64,
    pub(super) verdict: RuleVerdict,
    /// The packet's addresses, which come with the first report of each hook's chain.
    pub(super) addresses: Option<(SocketAddr, SocketAddr)>,
}

impl Event {
    /// Reads an NFT_MSG_TRACE body; `None` when it names no packet or no kind.
    pub(super) fn parse(body: &[u8]) -> Option<Event> {
        let (family, attributes) = split(body);
        let fields = Fields::of(attributes);
        let source = match fields.be32(4) {
            1 => Source::Policy,
            2 => Source::Return,
            3 => Source::Rule,
            _ => return None,
        };
        let verdict = match source {
            Source::Policy => Verdict::of_netfilter(fields.be32(16).cast_signed()),
            _ => Verdict::parse(fields.get(5)),
        };
        fields.has(6).then(|| Event {
            packet: fields.be32(6),
            source,
            family: family_name(family),
            table: fields.text(1),
            chain: fields.text(2),
            handle: if source == Source::Rule { fields.be64(3) } else { 0 },
            verdict: verdict.verdict,
            addresses: addresses(fields.get(8), fields.get(9)),
        })
    }
}

/// The addresses of an IP header, and the ports behind it where the protocol has them.
fn addresses(network: &[u8], transport: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const FIRST_HEADERS: [u8; 4] = [0, 43, 44, 60];
    let version = network.first()? >> 4;
    let (from, to, protocol): (IpAddr, IpAddr, u8) = match version {
        4 => {
            let source = network.get(12..)?.first_chunk::<4>()?;
            let destination = network.get(16..)?.first_chunk::<4>()?;
            (Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), *network.get(9)?)
        }
        6 => {
            let source = network.get(8..)?.first_chunk::<16>()?;
            let destination = network.get(24..)?.first_chunk::<16>()?;
            (Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), *network.get(6)?)
        }
        _ => return None,
    };
    // Behind an extension header only what is watched was marked, and that has ports.
    let ports = matches!(protocol, TCP | UDP) || (version == 6 && FIRST_HEADERS.contains(&protocol));
    let port = |at: usize| {
        let two = transport.get(at..).and_then(|rest| rest.first_chunk::<2>()).filter(|_| ports);
        two.map_or(0, |two| u16::from_be_bytes(*two))
    };
    Some((SocketAddr::new(from, port(0)), SocketAddr::new(to, port(2))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_headers() {
        let mut header = [0_u8; 20];
        (header[0], header[9]) = (0x45, 6);
        header[12..16].copy_from_slice(&[10, 0, 0, 1]);
        header[16..20].copy_from_slice(&[10, 0, 0, 2]);
        let (from, to) = addresses(&header, &[0x1f, 0x90, 0, 80]).unwrap();
        assert_eq!((from, to), ("10.0.0.1:8080".parse().unwrap(), "10.0.0.2:80".parse().unwrap()));
        assert_eq!(addresses(&header[..18], &[]), None);
    }
}
