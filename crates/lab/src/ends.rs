//! Where netwhy stands: on the client alone, or beside the lab with a way into its hosts.

use crate::scenario::Network;
use serde::{Deserialize, Serialize};

/// The three ends of the usual chain, each with the host names that play it when `[ends]` says nothing.
const ROLES: [(&str, &[&str]); 3] = [("client", &[]), ("origin", &["origin"]), ("edge", &["edge", "lb"])];

/// From where a scenario is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ends {
    /// netwhy runs on the client and knows nothing else.
    #[default]
    Client,
    /// netwhy runs beside the lab, with a way into the client, the origin and the edge.
    Both,
    /// As `Both`, and into every router and whatever else `[ends]` names.
    All,
}

impl Ends {
    /// All three words.
    pub const NAMES: [&str; 3] = ["client", "both", "all"];

    /// Reads one of [`Ends::NAMES`]; anything else is the client.
    pub fn named(name: &str) -> Ends {
        match name {
            "both" => Ends::Both,
            "all" => Ends::All,
            _ => Ends::Client,
        }
    }

    /// The word a user types.
    pub fn name(self) -> &'static str {
        match self {
            Ends::Client => "client",
            Ends::Both => "both",
            Ends::All => "all",
        }
    }
}

/// The hosts netwhy gets a way into, as `(role, host)`; the client first. None when it runs on the client.
///
/// `from` is the host the scenario looks from: the client, unless `[ends]` says otherwise. A role that
/// `[ends]` leaves empty, and one that no host plays, is left out.
pub fn places(network: &Network, from: &str, ends: Ends) -> Vec<(String, String)> {
    let mut places: Vec<(String, String)> = Vec::new();
    if ends == Ends::Client {
        return places;
    }
    for (role, usual) in ROLES {
        let host = match network.ends.get(role) {
            Some(host) => Some(host.as_str()),
            None if role == "client" => Some(from),
            None => usual.iter().copied().find(|name| network.host.iter().any(|host| host.name == *name)),
        };
        add(&mut places, role, host.unwrap_or_default());
    }
    if ends == Ends::All {
        for (role, host) in &network.ends {
            add(&mut places, role, host);
        }
        for host in network.host.iter().filter(|host| host.forward) {
            add(&mut places, &host.name, &host.name);
        }
    }
    places
}

/// Nobody stands twice on one host, nor under one role.
fn add(places: &mut Vec<(String, String)>, role: &str, host: &str) {
    if !host.is_empty() && !places.iter().any(|(known, at)| known == role || at == host) {
        places.push((role.to_owned(), host.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Host;

    fn network(hosts: &[&str], ends: &[(&str, &str)]) -> Network {
        let host = |name: &&str| Host {
            name: (*name).to_owned(),
            forward: name.starts_with('r'),
            ..Host::default()
        };
        Network {
            host: hosts.iter().map(host).collect(),
            ends: ends.iter().map(|(role, host)| ((*role).to_owned(), (*host).to_owned())).collect(),
            ..Network::default()
        }
    }

    fn roles(network: &Network, from: &str, ends: Ends) -> Vec<String> {
        places(network, from, ends).into_iter().map(|(role, host)| format!("{role}={host}")).collect()
    }

    #[test]
    fn roles_are_found_named_or_left_out() {
        let chain = network(&["client", "r1", "lb", "app1", "ns1"], &[("origin", "app1"), ("ns1", "ns1")]);
        assert!(roles(&chain, "client", Ends::Client).is_empty());
        assert_eq!(roles(&chain, "client", Ends::Both), ["client=client", "origin=app1", "edge=lb"]);
        let all = ["client=client", "origin=app1", "edge=lb", "ns1=ns1", "r1=r1"];
        assert_eq!(roles(&chain, "client", Ends::All), all);
    }

    #[test]
    fn nobody_stands_twice_on_one_host() {
        let chain = network(&["client", "edge", "origin"], &[]);
        assert_eq!(roles(&chain, "edge", Ends::Both), ["client=edge", "origin=origin"]);
        let without = network(&["client", "origin"], &[("origin", "")]);
        assert_eq!(roles(&without, "client", Ends::Both), ["client=client"]);
    }

    #[test]
    fn the_words_go_both_ways() {
        assert_eq!(Ends::NAMES.map(|name| Ends::named(name).name()), Ends::NAMES);
    }
}
