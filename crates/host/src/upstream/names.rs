//! What a name means to a process now: its own hosts file, then the resolvers it is told to ask.

mod message;

use super::Files;
use super::place::Place;
pub use message::answer;
use message::{Family, question};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long one name may take, in milliseconds.
const NAME_MS_MAX: u64 = 300;
/// And all names of one host together.
const ALL_MS_MAX: u64 = 600;
/// Names looked up.
const NAME_COUNT_MAX: usize = 32;
/// Resolvers asked, as glibc does.
const SERVER_COUNT_MAX: usize = 3;
/// Suffixes tried.
const SEARCH_COUNT_MAX: usize = 6;
/// Addresses of one name.
const ADDRESS_COUNT_MAX: usize = 32;
/// Packets looked at while one name is asked for.
const PACKET_COUNT_MAX: usize = 64;
/// What one answer may hold, in bytes; larger ones are cut by the server.
const ANSWER_BYTES_MAX: usize = 4_096;
/// The answer of a server that knows no such name.
const NO_SUCH_NAME: u8 = 3;

/// How a process resolves names.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    hosts: String,
    system: System,
    known: BTreeMap<String, Option<Vec<IpAddr>>>,
    spent: Duration,
}

/// What resolv.conf says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct System {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    /// Names with fewer dots are tried with the suffixes first.
    dots: usize,
}

impl Resolver {
    pub(super) fn of(place: &mut Place) -> Resolver {
        let mut read = |path: &str| place.read(path).unwrap_or_default();
        Resolver {
            hosts: read("/etc/hosts"),
            system: parse_system(&read("/etc/resolv.conf")),
            ..Resolver::default()
        }
    }

    /// The addresses of a name; `None` when nobody could say in time.
    pub(super) fn resolve(&mut self, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        if self.known.len() >= NAME_COUNT_MAX {
            return None;
        }
        let written = in_hosts(&self.hosts, name);
        let found = if written.is_empty() { self.ask(name) } else { Some(written) };
        self.known.insert(name.to_owned(), found.clone());
        found
    }

    fn ask(&mut self, name: &str) -> Option<Vec<IpAddr>> {
        let began = Instant::now();
        let left = Duration::from_millis(ALL_MS_MAX).saturating_sub(self.spent);
        let until = began + left.min(Duration::from_millis(NAME_MS_MAX));
        let mut found = None;
        for name in candidates(name, &self.system) {
            found = ask(&name, &self.system.servers, until);
            // Only a name that does not exist is looked for elsewhere.
            if found.as_ref().is_none_or(|addresses| !addresses.is_empty()) {
                break;
            }
        }
        self.spent += began.elapsed();
        found
    }
}

/// Asks every server at once for both families; the first server that answers both decides, earlier ones first.
fn ask(name: &str, servers: &[IpAddr], until: Instant) -> Option<Vec<IpAddr>> {
    let mut asked = Asked::send(name, servers)?;
    for _ in 0..PACKET_COUNT_MAX {
        if let Some(found) = asked.decided() {
            return Some(found);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || !asked.wait(left) {
            break;
        }
        asked.receive();
    }
    asked.best()
}

/// Questions under way.
struct Asked {
    sockets: Vec<UdpSocket>,
    servers: Vec<SocketAddr>,
    questions: [Vec<u8>; 2],
    /// By server and question: the answer.
    answers: Vec<[Option<Vec<IpAddr>>; 2]>,
}

impl Asked {
    fn send(name: &str, servers: &[IpAddr]) -> Option<Asked> {
        let random = RandomState::new().hash_one(name);
        let ids = [(random & 0xffff) as u16, (random >> 16 & 0xffff) as u16];
        let questions = [question(ids[0], name, Family::V4)?, question(ids[1], name, Family::V6)?];
        let servers: Vec<SocketAddr> = servers.iter().map(|ip| SocketAddr::new(*ip, 53)).collect();
        let mut sockets: Vec<UdpSocket> = Vec::new();
        for (is_v6, own) in
            [(false, IpAddr::from(Ipv4Addr::UNSPECIFIED)), (true, IpAddr::from(Ipv6Addr::UNSPECIFIED))]
        {
            let mut these = servers.iter().filter(|server| server.is_ipv6() == is_v6).peekable();
            if these.peek().is_none() {
                continue;
            }
            let Ok(socket) = UdpSocket::bind((own, 0)) else { continue };
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            for (server, question) in these.flat_map(|server| questions.iter().map(move |q| (server, q))) {
                // A server without a route answers as little as a silent one.
                let _ = socket.send_to(question, server);
            }
            sockets.push(socket);
        }
        let answers = vec![[None, None]; servers.len()];
        (!sockets.is_empty()).then_some(Asked { sockets, servers, questions, answers })
    }

    fn wait(&self, left: Duration) -> bool {
        let mut fds: Vec<PollFd<'_>> =
            self.sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let left = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::ZERO);
        poll(&mut fds, left).is_ok_and(|ready| ready > 0)
    }

    fn receive(&mut self) {
        let mut bytes = [0; ANSWER_BYTES_MAX];
        for socket in &self.sockets {
            // An ICMP error comes as an error here, and is used up by it.
            let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
            let Some(server) = self.servers.iter().position(|server| *server == from) else { continue };
            for (number, question) in self.questions.iter().enumerate() {
                let Some(said) = bytes.get(..length).and_then(|bytes| answer(bytes, Some(question))) else {
                    continue;
                };
                if said.code == 0 || said.code == NO_SUCH_NAME {
                    self.answers[server][number] = Some(said.addresses);
                }
            }
        }
    }

    /// The addresses by the first server in the list that has answered both questions.
    fn decided(&self) -> Option<Vec<IpAddr>> {
        self.answers.iter().find_map(|both| match both {
            [Some(v4), Some(v6)] => Some(joined(v4, v6)),
            _ => None,
        })
    }

    /// What half an answer says, when time is up.
    fn best(&self) -> Option<Vec<IpAddr>> {
        self.decided().or_else(|| {
            self.answers.iter().find_map(|[v4, v6]| {
                let some = joined(v4.as_deref().unwrap_or_default(), v6.as_deref().unwrap_or_default());
                (!some.is_empty()).then_some(some)
            })
        })
    }
}

fn joined(v4: &[IpAddr], v6: &[IpAddr]) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = v4.iter().chain(v6).copied().collect();
    all.truncate(ADDRESS_COUNT_MAX);
    all
}

/// The addresses a hosts file gives a name.
fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let of_line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse::<IpAddr>().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    };
    text.lines().filter_map(of_line).take(ADDRESS_COUNT_MAX).collect()
}

fn parse_system(text: &str) -> System {
    const DOTS_MAX: usize = 15;
    let mut system = System { dots: 1, ..System::default() };
    for line in text.lines() {
        let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
        match words.next() {
            Some("nameserver") if system.servers.len() < SERVER_COUNT_MAX => {
                // Scopes are left out: a link-local resolver is not asked.
                system.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
            }
            Some("search" | "domain") => {
                let suffixes = words.filter(|word| super::endpoint::is_name(word.trim_end_matches('.')));
                system.search = suffixes
                    .map(|word| word.trim_end_matches('.').to_owned())
                    .take(SEARCH_COUNT_MAX)
                    .collect();
            }
            Some("options") => {
                let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                system.dots = dots.unwrap_or(system.dots).min(DOTS_MAX);
            }
            _ => {}
        }
    }
    if system.servers.is_empty() {
        // resolv.conf(5): without one, the local host is asked.
        system.servers.push(IpAddr::from(Ipv4Addr::LOCALHOST));
    }
    system
}

/// The names to ask for, in order.
fn candidates(name: &str, system: &System) -> Vec<String> {
    let mut all: Vec<String> = system.search.iter().map(|suffix| format!("{name}.{suffix}")).collect();
    let is_whole = name.matches('.').count() >= system.dots;
    let at = if is_whole { 0 } else { all.len() };
    all.insert(at, name.to_owned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hosts_file_names_addresses() {
        let text =
            "127.0.0.1 localhost\n10.0.0.2\torigin.test Origin # 10.0.0.9 origin\n::2 origin\nbad origin\n";
        assert_eq!(in_hosts(text, "origin").len(), 2);
        assert!(in_hosts(text, "10.0.0.9").is_empty());
    }

    #[test]
    fn resolv_conf_is_read() {
        let text = "nameserver 10.0.0.1 # x\nnameserver bad\nnameserver ::1\nsearch a.test b.test.\noptions ndots:2 timeout:1\n";
        let system = parse_system(text);
        assert_eq!((system.servers.len(), system.dots), (2, 2));
        assert_eq!(candidates("web", &system), ["web.a.test", "web.b.test", "web"]);
        assert_eq!(candidates("a.b.c", &system)[0], "a.b.c");
        assert_eq!(parse_system("").servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_said() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let until = Instant::now() + Duration::from_millis(50);
        let mut asked = Asked::send("a.test", &[]).map(|_| ());
        assert!(asked.take().is_none());
        // Nobody listens on port 53 of this address, or nobody there knows the name.
        let began = Instant::now();
        let _ = ask("a.test", &[IpAddr::from([127, 77, 53, 53])], until);
        assert!(began.elapsed() < Duration::from_millis(500));
        drop(server);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            let system = parse_system(&text);
            prop_assert!(system.servers.len() <= SERVER_COUNT_MAX);
            let _ = (in_hosts(&text, &text), candidates(&text, &system));
        }
    }
}
