//! IPsec policies (XFRM): which traffic the kernel wants encrypted, or refuses.
//!
//! Policies that cover an address pair explain a connection that goes nowhere though routes and firewalls let
//! it pass. Keys are never asked for: of the associations only the count is read.

mod policy;

pub use policy::{Direction, Policy, PolicyAction, Template, parse_policy};

use crate::attribute::{attributes, ne32};
use crate::connection::{Connection, NetlinkError, Protocol};
use crate::route::Listed;
use std::net::IpAddr;

const GET_POLICY: u16 = 0x15;
const GET_ASSOCIATION_INFO: u16 = 0x23;
/// Policies kept; a VPN concentrator has some thousands.
pub const POLICY_COUNT_MAX: usize = 65_536;

/// Lists the policies of the calling thread's network namespace. Needs CAP_NET_ADMIN.
///
/// A kernel built without IPsec has none, which is no error.
pub fn policies() -> Result<Listed<Policy>, NetlinkError> {
    let mut items = Vec::new();
    let connection = match Connection::open(Protocol::Xfrm) {
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => {
            return Ok(Listed { items, complete: true });
        }
        other => other?,
    };
    // The dump wants a struct xfrm_userpolicy_id, and reads nothing of it.
    let complete = connection.dump_some(GET_POLICY, &[0; 64], |_, message| {
        let Some(policy) = parse_policy(message) else { return true };
        let room = items.len() < POLICY_COUNT_MAX;
        if room {
            items.push(policy);
        }
        room
    })?;
    Ok(Listed { items, complete })
}

/// The policies that could take packets between two addresses, in either direction.
pub fn covering(policies: &[Policy], from: IpAddr, to: IpAddr) -> Vec<&Policy> {
    policies.iter().filter(|policy| policy.covers(from, to) || policy.covers(to, from)).collect()
}

/// How many security associations exist: a policy without any encrypts nothing, and drops. Needs CAP_NET_ADMIN.
pub fn association_count() -> Result<u32, NetlinkError> {
    const COUNT: u16 = 1;
    let mut connection = match Connection::open(Protocol::Xfrm) {
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => return Ok(0),
        other => other?,
    };
    // A word of flags that nobody reads comes before the attributes, both ways.
    let answer = connection.ask(GET_ASSOCIATION_INFO, 0, &[0; 4])?;
    let message = answer.map(|(_, message)| message).unwrap_or_default();
    let found = attributes(message.get(4..).unwrap_or_default()).find(|(kind, _)| *kind == COUNT);
    Ok(found.map_or(0, |(_, value)| ne32(value)))
}
