//! Where an end is, as the user writes it after `--at NAME=`.

use crate::frame::{EndName, end_name_is_valid};
use crate::words::{self, WordsFault};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The port of an agent when none is written.
pub const AGENT_PORT: u16 = 7373;

/// Longest host, user or namespace name, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A place netwhy can run at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// This process's own host.
    Local,
    /// A host reached by OpenSSH's own client, with the user's configuration.
    Ssh { user: Option<String>, host: String, port: Option<u16> },
    /// Whatever a command prefix starts programs in; never empty.
    Exec(Vec<String>),
    /// A network namespace of this host, by the name `ip netns` knows.
    Netns(String),
    /// `netwhy agent` on another host, over mutual TLS.
    Agent { host: String, port: u16 },
}

/// An end with its place: `origin=ssh://root@203.0.113.7`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct At {
    pub name: EndName,
    pub place: Place,
}

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    #[error("{0:?} is not of the form NAME=PLACE")]
    Form(String),
    #[error("{0:?} is no name for an end")]
    Name(String),
    #[error("place {0:?} is of no known kind")]
    Kind(String),
    #[error("place {0:?} names no host")]
    NoHost(String),
    #[error("{host:?} of place {place:?} is not a host name or address")]
    Host { host: String, place: String },
    #[error("{user:?} of place {place:?} is not a user name")]
    User { user: String, place: String },
    #[error("port {port:?} of place {place:?} is not a number from 1 to 65535")]
    Port { port: String, place: String },
    #[error("place {0:?} names no command")]
    NoCommand(String),
    #[error("place {0:?} opens a quote and never closes it")]
    Quote(String),
    #[error("place {0:?} ends in a lone backslash")]
    Backslash(String),
    #[error("the command of place {0:?} is too long")]
    TooLong(String),
    #[error("{name:?} of place {place:?} is not the name of a network namespace")]
    Netns { name: String, place: String },
}

impl FromStr for At {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<At, PlaceError> {
        let (name, place) = text.split_once('=').ok_or_else(|| PlaceError::Form(short(text)))?;
        if !end_name_is_valid(name) {
            return Err(PlaceError::Name(short(name)));
        }
        Ok(At { name: EndName::new(name), place: place.parse()? })
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Place, PlaceError> {
        if text == "local" {
            return Ok(Place::Local);
        }
        if let Some(rest) = text.strip_prefix("ssh://") {
            return ssh(rest, text);
        }
        if let Some(rest) = text.strip_prefix("agent://") {
            let (host, port) = host_and_port(rest, text)?;
            return Ok(Place::Agent { host, port: port.unwrap_or(AGENT_PORT) });
        }
        if let Some(rest) = text.strip_prefix("exec:") {
            return exec(rest, text);
        }
        match text.strip_prefix("netns:") {
            Some(name) if netns_is_valid(name) => Ok(Place::Netns(name.to_owned())),
            Some(name) => Err(PlaceError::Netns { name: short(name), place: short(text) }),
            None => Err(PlaceError::Kind(short(text))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Local => f.write_str("local"),
            Place::Ssh { user, host, port } => {
                let user = user.as_ref().map_or(String::new(), |user| format!("{user}@"));
                let port = port.map_or(String::new(), |port| format!(":{port}"));
                write!(f, "ssh://{user}{}{port}", bracketed(host))
            }
            Place::Exec(prefix) => write!(f, "exec:{}", words::join(prefix)),
            Place::Netns(name) => write!(f, "netns:{name}"),
            Place::Agent { host, port } => write!(f, "agent://{}:{port}", bracketed(host)),
        }
    }
}

fn ssh(rest: &str, whole: &str) -> Result<Place, PlaceError> {
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    // A user that begins with a dash would be a flag to ssh, a colon a password.
    let well = |user: &str| {
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !":/'\"`$;&|<>()\\".contains(c);
        !user.is_empty() && user.len() <= NAME_BYTES_MAX && !user.starts_with('-') && user.chars().all(plain)
    };
    if let Some(user) = user.filter(|user| !well(user)) {
        // What stands after a colon may be a password, which no message repeats.
        let shown = user.split(':').next().unwrap_or_default();
        return Err(PlaceError::User { user: short(shown), place: format!("ssh://…@{}", short(rest)) });
    }
    let (host, port) = host_and_port(rest, whole)?;
    Ok(Place::Ssh { user: user.map(str::to_owned), host, port })
}

fn exec(rest: &str, whole: &str) -> Result<Place, PlaceError> {
    let prefix = words::split(rest).map_err(|fault| match fault {
        WordsFault::OpenQuote => PlaceError::Quote(short(whole)),
        WordsFault::LoneBackslash => PlaceError::Backslash(short(whole)),
        WordsFault::TooMuch => PlaceError::TooLong(short(whole)),
    })?;
    match prefix.first() {
        Some(program) if !program.is_empty() => Ok(Place::Exec(prefix)),
        _ => Err(PlaceError::NoCommand(short(whole))),
    }
}

/// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; one slash may end it.
fn host_and_port(rest: &str, whole: &str) -> Result<(String, Option<u16>), PlaceError> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, after)) => (host, Some(after.strip_prefix(':').unwrap_or(after))),
        None if rest.parse::<std::net::Ipv6Addr>().is_ok() => (rest, None),
        None => match rest.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() {
        return Err(PlaceError::NoHost(short(whole)));
    }
    if !host_is_valid(host) {
        return Err(PlaceError::Host { host: short(host), place: short(whole) });
    }
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    let bad = |text: &str| PlaceError::Port { port: short(text), place: short(whole) };
    let port = port.map(|text| number(text).ok_or_else(|| bad(text))).transpose()?;
    Ok((host.to_owned(), port))
}

/// A name of ssh's configuration, a host name or an address; nothing a shell or ssh would take for more.
fn host_is_valid(host: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_.:%".contains(c);
    // Only an IPv6 address has colons; its zone stands after a percent sign.
    let address = host.split('%').next().unwrap_or_default();
    let colons_well = !host.contains(':') || address.parse::<std::net::Ipv6Addr>().is_ok();
    host.len() <= NAME_BYTES_MAX && !host.starts_with('-') && host.chars().all(plain) && colons_well
}

/// One file name below /run/netns.
fn netns_is_valid(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '/';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name != "." && name != ".." && name.chars().all(plain)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The text as a message quotes it.
fn short(text: &str) -> String {
    /// Longest quotation, in characters.
    const QUOTED_CHARS_MAX: usize = 120;
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::Vantage;
    use proptest::prelude::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_is_read_and_written_again() {
        for text in [
            "local",
            "ssh://web1",
            "ssh://root@203.0.113.7:2222",
            "ssh://root@[2001:db8::1]:22",
            "netns:blue",
            "exec:kubectl exec -i pod --",
            "exec:sh -c 'exec \"$@\"' --",
            "agent://origin.example:7373",
        ] {
            assert_eq!(place(text).to_string(), text);
        }
        assert_eq!(place("agent://10.0.0.1"), Place::Agent { host: "10.0.0.1".into(), port: AGENT_PORT });
        assert_eq!(place("ssh://2001:db8::1").to_string(), "ssh://[2001:db8::1]");
        assert_eq!(place("ssh://a@b@c/").to_string(), "ssh://a@b@c");
        let at: At = "edge=exec:docker exec -i web".parse().unwrap();
        assert_eq!((at.name.name.as_str(), at.name.vantage), ("edge", Vantage::Edge));
    }

    #[test]
    fn what_is_no_place_is_refused_by_name() {
        for (text, error) in [
            ("root@host", "place \"root@host\" is of no known kind"),
            ("ssh://", "place \"ssh://\" names no host"),
            (
                "ssh://-oProxyCommand=x",
                "\"-oProxyCommand=x\" of place \"ssh://-oProxyCommand=x\" is not a host name or address",
            ),
            ("ssh://-l@h", "\"-l\" of place \"ssh://…@h\" is not a user name"),
            ("ssh://u:secret@h", "\"u\" of place \"ssh://…@h\" is not a user name"),
            ("ssh://h:0", "port \"0\" of place \"ssh://h:0\" is not a number from 1 to 65535"),
            ("ssh://h h", "\"h h\" of place \"ssh://h h\" is not a host name or address"),
            ("exec:", "place \"exec:\" names no command"),
            ("exec:''", "place \"exec:''\" names no command"),
            ("exec:a 'b", "place \"exec:a 'b\" opens a quote and never closes it"),
            ("netns:../x", "\"../x\" of place \"netns:../x\" is not the name of a network namespace"),
            ("agent://h:x", "port \"x\" of place \"agent://h:x\" is not a number from 1 to 65535"),
        ] {
            assert_eq!(text.parse::<Place>().unwrap_err().to_string(), error);
        }
        assert!(matches!("local".parse::<At>(), Err(PlaceError::Form(_))));
        assert!(matches!("a b=local".parse::<At>(), Err(PlaceError::Name(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_what_is_read_is_written_back(text in "(ssh://|exec:|agent://|netns:|)\\PC{0,60}") {
            if let Ok(place) = text.parse::<Place>() {
                prop_assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
            }
        }
    }
}
