//! One IPsec policy (struct xfrm_userpolicy_info).

use crate::attribute::{attributes, be16, ne16, ne32};
use crate::route::Prefix;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The selector, two lifetimes, then priority, index and four bytes.
const HEADER_LEN: usize = 168;
const PRIORITY_AT: usize = 152;
const DIRECTION_AT: usize = 160;
const ATTRIBUTE_TEMPLATES: u16 = 5;
/// struct xfrm_user_tmpl.
const TEMPLATE_LEN: usize = 64;
/// XFRM_MAX_DEPTH.
const TEMPLATE_COUNT_MAX: usize = 6;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Which packets a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    In,
    Out,
    Forward,
    /// Of one socket alone, or a number not known.
    Other(u8),
}

/// What a policy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyAction {
    /// Lets pass: through its templates, or in the clear when it has none.
    Allow,
    Block,
}

/// How packets are to be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// IP protocol: 50 is ESP, 51 AH, 108 IPComp.
    pub protocol: u8,
    /// The ends of the tunnel; none in transport mode.
    pub from: Option<IpAddr>,
    pub to: Option<IpAddr>,
    pub tunnel: bool,
    /// Packets may also go without.
    pub optional: bool,
}

/// One policy. Displays in one line, as `out 10.0.0.0/8 to 192.0.2.0/24: esp tunnel 10.0.0.1 to 10.0.0.2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub direction: Direction,
    pub action: PolicyAction,
    pub from: Prefix,
    pub to: Prefix,
    /// Port and mask, in host order; a mask of 0 takes any.
    pub from_port: (u16, u16),
    pub to_port: (u16, u16),
    /// IP protocol; 0 takes any.
    pub protocol: u8,
    /// Interface index; 0 takes any.
    pub interface: u32,
    /// The smallest wins.
    pub priority: u32,
    pub templates: Vec<Template>,
}

impl Policy {
    /// Whether it could take packets from one address to another, whatever their ports.
    pub fn covers(&self, from: IpAddr, to: IpAddr) -> bool {
        self.from.contains(from.to_canonical()) && self.to.contains(to.to_canonical())
    }

    /// Whether it takes packets of this flow, whatever the interface.
    pub fn covers_flow(&self, from: SocketAddr, to: SocketAddr, protocol: u8) -> bool {
        let port = |(port, mask): (u16, u16), own: u16| (port ^ own) & mask == 0;
        self.covers(from.ip(), to.ip())
            && (self.protocol == 0 || self.protocol == protocol)
            && port(self.from_port, from.port())
            && port(self.to_port, to.port())
    }

    /// Packets it takes do not pass in the clear.
    pub fn restricts(&self) -> bool {
        self.action == PolicyAction::Block || self.templates.iter().any(|template| !template.optional)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::In => f.write_str("in ")?,
            Direction::Out => f.write_str("out ")?,
            Direction::Forward => f.write_str("fwd ")?,
            Direction::Other(number) => write!(f, "dir {number} ")?,
        }
        match self.protocol {
            0 => {}
            TCP => f.write_str("tcp ")?,
            UDP => f.write_str("udp ")?,
            other => write!(f, "proto {other} ")?,
        }
        write_end(f, self.from, self.from_port)?;
        f.write_str(" to ")?;
        write_end(f, self.to, self.to_port)?;
        f.write_str(":")?;
        if self.action == PolicyAction::Block {
            return f.write_str(" block");
        }
        if self.templates.is_empty() {
            return f.write_str(" allow");
        }
        self.templates.iter().try_for_each(|template| write!(f, " {template}"))
    }
}

fn write_end(f: &mut fmt::Formatter<'_>, prefix: Prefix, (port, mask): (u16, u16)) -> fmt::Result {
    match prefix.length {
        0 => f.write_str("any")?,
        _ => write!(f, "{prefix}")?,
    }
    match mask {
        0 => Ok(()),
        u16::MAX => write!(f, " port {port}"),
        mask => write!(f, " port {port:#x}/{mask:#x}"),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            50 => f.write_str("esp")?,
            51 => f.write_str("ah")?,
            108 => f.write_str("comp")?,
            other => write!(f, "proto {other}")?,
        }
        f.write_str(if self.tunnel { " tunnel" } else { " transport" })?;
        if let (Some(from), Some(to)) = (self.from, self.to) {
            write!(f, " {from} to {to}")?;
        }
        if self.optional { f.write_str(" optional") } else { Ok(()) }
    }
}

/// Reads one policy of a dump; `None` when it is too short or of no IP family.
pub fn parse_policy(message: &[u8]) -> Option<Policy> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    // struct xfrm_selector: destination first.
    let family = i32::from(ne16(&head[40..]));
    let to = address(family, &head[..16])?;
    let from = address(family, &head[16..32])?;
    let [direction, action] = [head[DIRECTION_AT], head[DIRECTION_AT + 1]];
    let mut policy = Policy {
        direction: match direction {
            0 => Direction::In,
            1 => Direction::Out,
            2 => Direction::Forward,
            other => Direction::Other(other),
        },
        action: if action == 1 { PolicyAction::Block } else { PolicyAction::Allow },
        to: Prefix { address: to, length: head[42] },
        from: Prefix { address: from, length: head[43] },
        to_port: (be16(&head[32..]), be16(&head[34..])),
        from_port: (be16(&head[36..]), be16(&head[38..])),
        protocol: head[44],
        interface: ne32(&head[48..]),
        priority: ne32(&head[PRIORITY_AT..]),
        templates: Vec::new(),
    };
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        if kind == ATTRIBUTE_TEMPLATES {
            let parts = value.chunks_exact(TEMPLATE_LEN).take(TEMPLATE_COUNT_MAX);
            policy.templates = parts.filter_map(template).collect();
        }
    }
    Some(policy)
}

/// struct xfrm_user_tmpl: id {to, spi, protocol}, family, from, request id, mode, share, optional, …
fn template(bytes: &[u8]) -> Option<Template> {
    let bytes = bytes.first_chunk::<TEMPLATE_LEN>()?;
    let family = i32::from(ne16(&bytes[24..]));
    let end = |bytes: &[u8]| address(family, bytes).filter(|address| !address.is_unspecified());
    Some(Template {
        protocol: bytes[20],
        from: end(&bytes[28..44]),
        to: end(&bytes[..16]),
        tunnel: bytes[48] == 1,
        optional: bytes[50] != 0,
    })
}

fn address(family: i32, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        libc::AF_INET => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        libc::AF_INET6 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> Policy {
        let prefix = |text: &str, length| Prefix { address: text.parse().unwrap(), length };
        Policy {
            direction: Direction::Out,
            action: PolicyAction::Allow,
            from: prefix("10.0.0.0", 8),
            to: prefix("192.0.2.0", 24),
            from_port: (0, 0),
            to_port: (443, 0xffff),
            protocol: TCP,
            interface: 0,
            priority: 0,
            templates: Vec::new(),
        }
    }

    #[test]
    fn a_policy_takes_what_its_selector_says() {
        let policy = policy();
        let [from, to]: [IpAddr; 2] = ["10.1.1.1".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        assert!(policy.covers(from, to));
        assert!(!policy.covers(to, from));
        assert!(policy.covers("::ffff:10.1.1.1".parse().unwrap(), to));
        assert!(policy.covers_flow((from, 9).into(), (to, 443).into(), TCP));
        assert!(!policy.covers_flow((from, 9).into(), (to, 80).into(), TCP));
        assert!(!policy.covers_flow((from, 9).into(), (to, 443).into(), UDP));
        assert_eq!(policy.to_string(), "out tcp 10.0.0.0/8 to 192.0.2.0/24 port 443: allow");
        assert!(!policy.restricts());
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
            if let Some(policy) = parse_policy(&bytes) {
                prop_assert!(policy.templates.len() <= TEMPLATE_COUNT_MAX);
                let _ = policy.to_string();
            }
        }
    }
}
