//! What is known of the members of a balancer besides its configuration: what they answer, and where they listen.

use crate::place::Place;
use netwhy_model::host::{Snapshot, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What is known of the members besides the balancer's own configuration.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What members answered when they were asked.
    pub answers: Vec<Answer>,
    /// Every TCP port that a host listens on, by its address or name. Of a host that is not here nothing is known.
    pub listening: BTreeMap<String, Listening>,
    /// The names that members serve, when what they answer depends on the name.
    pub names: Vec<String>,
}

/// One answer of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The member that gave it, as its pool has it; `None` for any.
    pub member: Option<String>,
    /// The name it was asked by.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub path: String,
    pub status: u16,
    pub location: Option<String>,
}

/// The TCP ports of one host, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listening {
    pub ports: BTreeSet<u16>,
    /// The snapshot that says so; `None` when the user does.
    pub place: Option<Place>,
}

impl Known {
    /// Notes that a host listens on a port: `10.0.0.5:8080`, `web:80`, `[2001:db8::1]:80`. The ports named of a host
    /// are taken for all that it has.
    pub fn listens(&mut self, text: &str) -> Option<()> {
        let (host, port) = host_port(text)?;
        self.listening.entry(host).or_default().ports.insert(port);
        Some(())
    }

    /// Notes what a member answers: `10.0.0.5:8080/health=200`, `10.0.0.5:8080/=302>/login`; `*:8080/` is any member.
    pub fn answer(&mut self, text: &str) -> Option<()> {
        let slash = text.find('/')?;
        let (host, port) = host_port(text.get(..slash)?)?;
        let (rest, location) = match text.rsplit_once('>') {
            Some((rest, location)) => (rest, Some(location.to_owned())),
            None => (text, None),
        };
        // A query may have signs of equality too.
        let (path, code) = rest.get(slash..)?.rsplit_once('=')?;
        let status = code.parse().ok().filter(|code| (100..600).contains(code))?;
        let member = (host != "*").then_some(host);
        let path = path.to_owned();
        self.answers.push(Answer { member, host: None, port: Some(port), path, status, location });
        Some(())
    }

    /// Takes from what `netwhy host --json` printed where that host listens.
    pub fn snapshot(&mut self, file: &Arc<str>, snapshot: &Snapshot) {
        let own = snapshot.interfaces.iter().flat_map(|one| &one.addresses);
        let own = own.filter_map(|text| text.split('/').next()?.parse::<IpAddr>().ok());
        let named = own.filter(|own| !own.is_loopback());
        let place = Place::whole(file);
        let listens = |to: IpAddr| {
            let tcp = snapshot.listeners.iter().filter(|one| one.transport == Transport::Tcp);
            let takes = tcp.filter(|one| one.takes(SocketAddr::new(to, one.address.port())));
            takes.map(|one| one.address.port()).collect::<BTreeSet<u16>>()
        };
        let mut all = BTreeSet::new();
        for address in named {
            let ports = listens(address);
            all.extend(&ports);
            self.listening.insert(address.to_string(), Listening { ports, place: Some(place.clone()) });
        }
        if !snapshot.hostname.is_empty() && !all.is_empty() {
            let listening = Listening { ports: all, place: Some(place) };
            self.listening.insert(snapshot.hostname.clone(), listening);
        }
    }

    /// What is known of where a host listens.
    pub fn of(&self, host: &str) -> Option<&Listening> {
        self.listening.get(host)
    }

    /// Whether a host is known not to listen on a port.
    pub fn is_closed(&self, host: &str, port: u16) -> bool {
        self.of(host).is_some_and(|one| !one.ports.contains(&port))
    }
}

/// A host, whose address is spelled as addresses are, and a port.
fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if host.is_empty() || bare.is_none() && host.contains(':') {
        return None;
    }
    let host = bare.unwrap_or(host);
    let host = host.parse::<IpAddr>().map_or_else(|_| host.to_owned(), |address| address.to_string());
    Some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_from_words() {
        let mut known = Known::default();
        for text in ["10.0.0.5:80", "10.0.0.5:81", "[2001:db8:0::1]:80", "web:1"] {
            known.listens(text).expect(text);
        }
        for text in ["", "80", ":80", "a:b", "2001:db8::1:80"] {
            assert_eq!(known.listens(text), None, "{text}");
        }
        assert!(known.is_closed("10.0.0.5", 82) && !known.is_closed("10.0.0.5", 81));
        assert!(known.is_closed("2001:db8::1", 81) && !known.is_closed("10.0.0.6", 1));
        known.answer("10.0.0.5:80/a?x=1=302>/login?y=2").expect("answer");
        known.answer("*:80/=200").expect("answer");
        for text in ["", "/", "a:80/=", "a:80/=20", "a/=200", "a:80/x"] {
            assert_eq!(known.answer(text), None, "{text}");
        }
        let [first, second] = known.answers.as_slice() else { panic!("{known:?}") };
        assert_eq!(
            (first.member.as_deref(), first.path.as_str(), first.status),
            (Some("10.0.0.5"), "/a?x=1", 302)
        );
        assert_eq!(first.location.as_deref(), Some("/login?y=2"));
        assert_eq!((second.member.as_deref(), second.path.as_str()), (None, "/"));
    }
}
