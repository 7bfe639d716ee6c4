//! What the system's own stub makes of the resolvers' answers: which one counts, and after what wait.

use crate::config::ResolvConf;
use crate::report::{Ending, Exchange, Purpose, RecordLine, Reply, ResolverReport};
use std::net::IpAddr;

/// The answer a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    Ok,
    Nxdomain,
    Nodata,
    Servfail,
    Refused,
    #[default]
    Timeout,
    Bad,
}

impl Answer {
    /// The value of fact `dns.answer`.
    pub const fn value(self) -> &'static str {
        match self {
            Answer::Ok => "ok",
            Answer::Nxdomain => "nxdomain",
            Answer::Nodata => "nodata",
            Answer::Servfail => "servfail",
            Answer::Refused => "refused",
            Answer::Timeout => "timeout",
            Answer::Bad => "bad",
        }
    }
}

/// The outcome of one name as the stub sees it.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub answer: Answer,
    pub addresses: Vec<IpAddr>,
    /// Position of the resolver whose answer counts.
    pub winner: Option<usize>,
    /// Milliseconds the stub takes, the time-outs of dead servers before the winner included.
    pub wait_ms: f64,
    /// Of these, milliseconds spent on servers before the winner, or on a family that never came.
    pub lost_ms: f64,
    pub chain: Vec<String>,
    pub negative_soa: Option<RecordLine>,
}

/// How one family's question to one server ended, for the stub.
enum Got<'a> {
    Definite(&'a Reply),
    /// An answer that makes the stub go on to the next server.
    Unusable(Answer),
    /// Nothing: the stub waits its time-out.
    Nothing,
    /// An ICMP error or a refused connection: the stub goes on at once.
    Unreachable,
}

/// Goes through the servers as glibc's `res_nsend` does.
pub fn view(conf: &ResolvConf, families: &[Purpose], name: &str, resolvers: &[ResolverReport]) -> View {
    let mut lost_ms = 0.0;
    let mut failures = Vec::new();
    for (position, resolver) in resolvers.iter().enumerate() {
        let timeout_ms = conf.wait_ms(position) as f64;
        let all: Vec<Got<'_>> = families.iter().map(|family| got(resolver, *family)).collect();
        let definite: Vec<&Reply> = all.iter().filter_map(Got::reply).collect();
        // Both questions leave through one socket: an ICMP error to either ends the wait for both.
        let unreachable = all.iter().any(|got| matches!(got, Got::Unreachable));
        let silent = all.iter().any(|got| matches!(got, Got::Nothing)) && !unreachable;
        if definite.is_empty() {
            failures.extend(all.iter().map(|got| match got {
                Got::Unusable(answer) => *answer,
                _ => Answer::Timeout,
            }));
            lost_ms += if silent { timeout_ms } else { slowest_ms(resolver, families) };
            continue;
        }
        // One family answered, the other never: the stub asks this server for it once more.
        let lost_ms = if silent { lost_ms + timeout_ms } else { lost_ms };
        let mut view = conclude(name, &definite, &all);
        view.winner = Some(position);
        view.lost_ms = lost_ms;
        view.wait_ms = lost_ms + slowest_ms(resolver, families);
        return view;
    }
    let wait_ms = lost_ms * f64::from(conf.attempts);
    View { answer: worst(&failures), wait_ms, lost_ms, ..View::default() }
}

fn conclude(name: &str, definite: &[&Reply], all: &[Got<'_>]) -> View {
    let addresses: Vec<IpAddr> = definite.iter().flat_map(|reply| reply.addresses(name)).collect();
    let failed = all.iter().find_map(|got| match got {
        Got::Unusable(answer) => Some(*answer),
        Got::Nothing | Got::Unreachable => Some(Answer::Timeout),
        Got::Definite(_) => None,
    });
    let denied = definite.iter().any(|reply| reply.rcode == 3);
    let answer = if !addresses.is_empty() {
        Answer::Ok
    } else if denied {
        // There is no such name in either family.
        Answer::Nxdomain
    } else if let Some(failed) = failed {
        failed
    } else {
        Answer::Nodata
    };
    let chain = definite.iter().map(|reply| reply.chain(name)).max_by_key(Vec::len).unwrap_or_default();
    let negative_soa = definite.iter().find_map(|reply| reply.negative_soa().cloned());
    View { answer, addresses, chain, negative_soa, ..View::default() }
}

impl<'a> Got<'a> {
    fn reply(&self) -> Option<&'a Reply> {
        match self {
            Got::Definite(reply) => Some(reply),
            _ => None,
        }
    }
}

fn got(resolver: &ResolverReport, family: Purpose) -> Got<'_> {
    let over_tcp = if family == Purpose::Ipv6 { Purpose::Ipv6Tcp } else { Purpose::Ipv4Tcp };
    let Some(exchange) = resolver.exchange(over_tcp).or_else(|| resolver.exchange(family)) else {
        return Got::Nothing;
    };
    match (&exchange.reply, exchange.ending) {
        (Some(reply), _) => match reply.rcode {
            0 | 3 => Got::Definite(reply),
            2 => Got::Unusable(Answer::Servfail),
            5 => Got::Unusable(Answer::Refused),
            _ => Got::Unusable(Answer::Bad),
        },
        (None, Ending::PortUnreachable | Ending::HostUnreachable | Ending::LocalError) => Got::Unreachable,
        (None, _) => Got::Nothing,
    }
}

/// Milliseconds until all families were settled at this server, repeats of ours not counted.
fn slowest_ms(resolver: &ResolverReport, families: &[Purpose]) -> f64 {
    let total = |family: &Purpose| {
        let over_tcp = if *family == Purpose::Ipv6 { Purpose::Ipv6Tcp } else { Purpose::Ipv4Tcp };
        let time = |e: &Exchange| if e.ending == Ending::Answered { e.elapsed_ms } else { 0.0 };
        resolver.exchange(*family).map_or(0.0, time) + resolver.exchange(over_tcp).map_or(0.0, time)
    };
    families.iter().map(total).fold(0.0, f64::max)
}

/// Of several failures, the one the user is told: all refusals stay refusals, a SERVFAIL outweighs silence.
fn worst(failures: &[Answer]) -> Answer {
    let all = |answer| !failures.is_empty() && failures.iter().all(|f| *f == answer);
    if failures.contains(&Answer::Servfail) {
        Answer::Servfail
    } else if all(Answer::Refused)
        || (failures.contains(&Answer::Refused) && !failures.contains(&Answer::Bad))
    {
        Answer::Refused
    } else if failures.contains(&Answer::Bad) {
        Answer::Bad
    } else {
        Answer::Timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Asking, ResolverState, Via};

    fn exchange(ending: Ending, rcode: u16, address: Option<&str>) -> Exchange {
        let reply = (ending == Ending::Answered).then(|| Reply {
            rcode,
            readable: true,
            answers: address
                .map(|data| RecordLine { name: "a.test".into(), kind: "A".into(), ttl: 1, data: data.into() })
                .into_iter()
                .collect(),
            ..Reply::default()
        });
        Exchange {
            server: "10.0.0.1:53".parse().unwrap(),
            via: Via::Udp,
            name: "a.test".into(),
            kind: "A".into(),
            ending,
            elapsed_ms: 3.0,
            tries: 1,
            reply,
            second: None,
            hop_limit: None,
            error: None,
        }
    }

    fn resolver(one: Exchange) -> ResolverReport {
        let asked = vec![Asking { purpose: Purpose::Ipv4, exchange: one }];
        ResolverReport {
            server: "10.0.0.1:53".parse().unwrap(),
            state: ResolverState::Well,
            latency_ms: None,
            asked,
        }
    }

    fn seen(all: Vec<Exchange>) -> View {
        let servers = vec!["10.0.0.1:53".parse().unwrap(); all.len()];
        let conf = ResolvConf { servers, ..ResolvConf::default() };
        view(&conf, &[Purpose::Ipv4], "a.test", &all.into_iter().map(resolver).collect::<Vec<_>>())
    }

    #[test]
    fn a_dead_first_resolver_costs_its_time_out() {
        let view =
            seen(vec![exchange(Ending::Silent, 0, None), exchange(Ending::Answered, 0, Some("10.0.0.9"))]);
        assert_eq!((view.answer, view.winner, view.wait_ms), (Answer::Ok, Some(1), 5_003.0));
    }

    #[test]
    fn a_closed_port_costs_nothing() {
        let view = seen(vec![
            exchange(Ending::PortUnreachable, 0, None),
            exchange(Ending::Answered, 0, Some("10.0.0.9")),
        ]);
        assert_eq!((view.answer, view.wait_ms), (Answer::Ok, 3.0));
    }

    #[test]
    fn failures_are_told_apart() {
        assert_eq!(seen(vec![exchange(Ending::Silent, 0, None)]).answer, Answer::Timeout);
        assert_eq!(seen(vec![exchange(Ending::Answered, 5, None)]).answer, Answer::Refused);
        assert_eq!(seen(vec![exchange(Ending::Answered, 3, None)]).answer, Answer::Nxdomain);
        assert_eq!(seen(vec![exchange(Ending::Answered, 0, None)]).answer, Answer::Nodata);
        let mixed = vec![exchange(Ending::Silent, 0, None), exchange(Ending::Answered, 2, None)];
        assert_eq!(seen(mixed).answer, Answer::Servfail);
    }
}
