//! What is known besides the rules, and whether an answer touches it.

use super::{Role, World};
use crate::balancer::Known;
use crate::can::Answer;
use crate::estate::{Ask, Because, End, Endpoint};
use crate::place::{Place, both};
use crate::zero_trust::Facts;
use std::net::IpAddr;

/// What is known besides the rules.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// What packet filters are; without it each is taken for what its chains suggest.
    pub role: Option<Role>,
    /// Who asks, for conditions of zero-trust policies.
    pub facts: Facts,
    /// Where hosts listen and what members of balancers answer.
    pub known: Known,
}

impl World {
    /// Adds to an answer that the host that is asked is known not to listen on the port.
    pub(super) fn with_sockets(&self, mut answer: Answer, ask: &Ask) -> Answer {
        let Some(port) = ask.port.filter(|_| ask.protocol == 6) else { return answer };
        let names = self.names_of(&ask.to);
        let closed = names.iter().find(|name| self.known.is_closed(name, port));
        if let Some(name) = closed {
            let place = self.known.of(name).and_then(|one| one.place.clone());
            answer.notes.push(Because {
                place: place.unwrap_or_else(|| Place::whole(&"".into())),
                within: String::new(),
                rule: None,
                text: String::new(),
                why: both(
                    format!("{name} does not listen on port {port}, whatever the rules let through"),
                    format!("无论规则是否放行，{name} 都没有监听端口 {port}"),
                ),
            });
        }
        answer
    }

    /// What an end is called by: its address, or its id, names and addresses.
    fn names_of(&self, end: &End) -> Vec<String> {
        match end {
            End::Addresses(first, last) if first == last => vec![first.to_string()],
            End::Addresses(..) | End::Outside | End::OutsideBut(_) => Vec::new(),
            End::Known(id) => {
                let own: Vec<&Endpoint> = self.endpoints().filter(|one| one.id == *id).collect();
                let addresses = own.iter().flat_map(|one| one.addresses.iter().map(IpAddr::to_string));
                let names = own.iter().flat_map(|one| one.names.iter().cloned());
                std::iter::once(id.clone()).chain(names).chain(addresses).collect()
            }
        }
    }
}
