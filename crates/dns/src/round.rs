//! One name asked of every resolver apart and at once, until each is settled.

use crate::ask::{Asked, Patience, Question, ask, unanswered};
use crate::authority::{self, Authority};
use crate::config::ResolvConf;
use crate::facts::SLOW_MS;
use crate::message::Flags;
use crate::report::{Asking, Ending, Purpose, ResolverReport, ResolverState, Via};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use netwhy_model::{Case, Source};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// A resolver silent this long is asked other things, to see whether it is there at all.
const ESCALATE_MS: u64 = 250;
/// No sign of life over UDP or TCP by then: dead. Three packets were sent.
const DEAD_MS_MAX: u64 = 2_250;
/// One of the questions was refused by ICMP: the others were too, though nobody said so again.
const REFUSED_MS_MAX: u64 = 900;
/// Its host refuses TCP but UDP is silent: it may be slow, so the stub's own wait nearly runs out.
const DOUBT_MS_MAX: u64 = 4_500;
/// It is there and busy with this name.
const BUSY_MS_MAX: u64 = 5_200;
/// It is there and busy, and the zone's own servers proved to be dead.
const HOPELESS_MS: u64 = 2_600;
/// Another resolver has answered already, or half of the answer is there.
const SPARE_MS_MAX: u64 = 2_600;
/// The authority is looked for when a living resolver is busy for this long.
const AUTHORITY_MS: u64 = 450;
/// How long questions that nobody waits for may hold up the rest.
const EXTRA_MS: u64 = 40;
/// After a first answer: how long to listen for a second one.
const LINGER_MS: u64 = 80;
/// A slow answer is worth waiting for what the resolver knows by itself, which was asked later.
const CONTROL_MS: u64 = ESCALATE_MS + 150;
/// A truncated answer over TCP: one repeat of the SYN is in it.
const TCP_MS_MAX: u64 = 2_000;
const TICK_MS: u64 = 20;

/// What to ask in one round.
pub struct Plan<'a> {
    pub case: &'a Case,
    pub conf: &'a ResolvConf,
    pub name: &'a str,
    /// Whose answers the system waits for.
    pub families: Vec<Purpose>,
    /// Ask for the HTTPS record too.
    pub https: bool,
    /// Only addresses are wanted: nothing is asked for the sake of the diagnosis.
    pub brief: bool,
    /// Milliseconds after which the round ends whatever is open.
    pub wait_ms_max: u64,
}

/// What every resolver said.
pub struct Round {
    pub name: String,
    pub resolvers: Vec<ResolverReport>,
    /// The zone's own servers, when they were looked for already.
    pub authorities: Vec<Authority>,
}

struct Progress {
    server: SocketAddr,
    escalated: bool,
    asked: Vec<Asking>,
    open: Vec<(Purpose, Question)>,
}

type Done = (usize, Purpose, Asked);

/// Asks, watches, escalates and gives up in time.
pub async fn run(plan: &Plan<'_>) -> Round {
    let started = Instant::now();
    let mut tasks: JoinSet<Done> = JoinSet::new();
    let mut states = open_all(plan, &mut tasks);
    let mut search: Option<tokio::task::JoinHandle<Vec<Authority>>> = None;
    let mut authorities: Option<Vec<Authority>> = None;
    let mut settled_at: Option<u64> = None;
    loop {
        let now_ms = started.elapsed().as_millis() as u64;
        let hopeless = authorities.as_ref().and_then(|all| all.last()).is_some_and(Authority::is_dead);
        if settled(plan, &states, now_ms, hopeless) {
            let since = *settled_at.get_or_insert(now_ms);
            let extra_ms = states.iter().map(Progress::extra_ms).max().unwrap_or(0);
            if now_ms >= since + extra_ms || now_ms >= plan.wait_ms_max {
                break;
            }
        }
        if !plan.brief {
            escalate(plan, &mut states, &mut tasks, now_ms);
            if search.is_none() && now_ms >= AUTHORITY_MS && states.iter().any(|s| s.alive() && s.waits(plan))
            {
                search = Some(authority::spawn(plan.case, plan.conf, plan.name));
            }
        }
        tokio::select! {
            Some(Ok(done)) = tasks.join_next(), if !tasks.is_empty() => record(plan, &mut states, &mut tasks, done),
            () = sleep(Duration::from_millis(TICK_MS)) => {}
        }
        if search.as_ref().is_some_and(tokio::task::JoinHandle::is_finished)
            && let Some(handle) = search.as_mut()
            && authorities.is_none()
        {
            authorities = Some(handle.await.unwrap_or_default());
        }
    }
    if let Some(handle) = &search {
        handle.abort();
    }
    let elapsed_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let resolvers = states.into_iter().map(|state| state.report(plan, elapsed_ms)).collect();
    Round { name: plan.name.to_owned(), resolvers, authorities: authorities.unwrap_or_default() }
}

fn open_all(plan: &Plan<'_>, tasks: &mut JoinSet<Done>) -> Vec<Progress> {
    let mut states = Vec::new();
    for (index, server) in plan.conf.servers.iter().enumerate() {
        let mut state = Progress { server: *server, escalated: false, asked: Vec::new(), open: Vec::new() };
        let stub = if plan.conf.edns { Flags::EDNS } else { Flags::STUB };
        for family in [Purpose::Ipv4, Purpose::Ipv6] {
            if plan.families.contains(&family) || !plan.brief {
                state.open(plan, tasks, index, family, stub);
            }
        }
        if !plan.brief {
            state.open(plan, tasks, index, Purpose::Explained, Flags::EDNS);
        }
        if plan.https && !plan.brief {
            state.open(plan, tasks, index, Purpose::Https, Flags::EDNS);
        }
        states.push(state);
    }
    states
}

/// Puts further questions to resolvers that kept silent.
fn escalate(plan: &Plan<'_>, states: &mut [Progress], tasks: &mut JoinSet<Done>, now_ms: u64) {
    if now_ms < ESCALATE_MS {
        return;
    }
    for (index, state) in states.iter_mut().enumerate() {
        if state.escalated || !state.waits(plan) {
            continue;
        }
        state.escalated = true;
        let chaos = Flags { chaos: true, ..Flags::STUB };
        state.open(plan, tasks, index, Purpose::Control, chaos);
        state.open(plan, tasks, index, Purpose::Control, Flags::STUB);
        state.open(plan, tasks, index, Purpose::Sibling, Flags::STUB);
        // Something it knows by itself: some resolvers serve one TCP client at a time, and stop for it.
        state.open(plan, tasks, index, Purpose::Tcp, chaos);
    }
}

fn record(plan: &Plan<'_>, states: &mut [Progress], tasks: &mut JoinSet<Done>, done: Done) {
    let (index, purpose, first) = done;
    let Some(state) = states.get_mut(index) else { return };
    if let Some(at) = state.open.iter().position(|(p, q)| *p == purpose && q.name == first.exchange.name) {
        state.open.remove(at);
    }
    let cut = first.exchange.via == Via::Udp && first.reply().is_some_and(|r| r.truncated || !r.readable);
    state.asked.push(Asking { purpose, exchange: first.exchange });
    if cut && matches!(purpose, Purpose::Ipv4 | Purpose::Ipv6) {
        state.open(plan, tasks, index, over_tcp(purpose), Flags::STUB);
    }
}

/// True when nothing is open that could still change what is concluded.
fn settled(plan: &Plan<'_>, states: &[Progress], now_ms: u64, hopeless: bool) -> bool {
    if now_ms >= plan.wait_ms_max {
        return true;
    }
    let spare = states.iter().any(|state| state.has_answer(plan));
    states.iter().all(|state| !state.waits(plan) || now_ms >= state.patience_ms(plan, spare, hopeless))
}

impl Progress {
    fn open(
        &mut self,
        plan: &Plan<'_>,
        tasks: &mut JoinSet<Done>,
        index: usize,
        purpose: Purpose,
        flags: Flags,
    ) {
        let (name, kind) = subject(plan.name, purpose, flags);
        let linger_ms =
            if matches!(purpose, Purpose::Ipv4 | Purpose::Explained) && !plan.brief { LINGER_MS } else { 0 };
        let cut = matches!(purpose, Purpose::Ipv4Tcp | Purpose::Ipv6Tcp);
        let tcp = cut
            || purpose == Purpose::Tcp
            || (plan.conf.use_tcp && matches!(purpose, Purpose::Ipv4 | Purpose::Ipv6));
        let via = if tcp { Via::Tcp } else { Via::Udp };
        let total_ms = if cut { TCP_MS_MAX } else { BUSY_MS_MAX + 500 };
        let patience = Patience { total_ms, linger_ms };
        let question = Question { server: self.server, via, name, kind, flags, patience };
        self.open.push((purpose, question.clone()));
        let source: Source = plan.case.source.clone();
        tasks.spawn(async move { (index, purpose, ask(&source, question).await) });
    }

    /// A family the system waits for is open.
    fn waits(&self, plan: &Plan<'_>) -> bool {
        let waited = |purpose: &Purpose| {
            plan.families.iter().any(|family| purpose == family || *purpose == over_tcp(*family))
        };
        self.open.iter().any(|(purpose, _)| waited(purpose))
    }

    /// How long what is open for the diagnosis alone may hold up a settled round, in milliseconds.
    fn extra_ms(&self) -> u64 {
        let open = |wanted: &[Purpose]| self.open.iter().any(|(purpose, _)| wanted.contains(purpose));
        let late = self.asked.iter().any(|a| {
            a.purpose != Purpose::Tcp
                && a.exchange.ending == Ending::Answered
                && a.exchange.elapsed_ms >= SLOW_MS
        });
        if late && open(&[Purpose::Control]) {
            CONTROL_MS
        } else if open(&[Purpose::Https, Purpose::Explained]) {
            EXTRA_MS
        } else {
            0
        }
    }

    /// All families the system waits for came with an answer.
    fn has_answer(&self, plan: &Plan<'_>) -> bool {
        let answered = |family: &Purpose| {
            self.asked
                .iter()
                .any(|a| a.purpose == *family && a.exchange.reply.as_ref().is_some_and(|r| r.rcode == 0))
        };
        plan.families.iter().all(answered)
    }

    /// Something came back over UDP.
    fn alive(&self) -> bool {
        self.asked.iter().any(|a| a.exchange.via == Via::Udp && a.exchange.ending == Ending::Answered)
    }

    fn patience_ms(&self, plan: &Plan<'_>, spare: bool, hopeless: bool) -> u64 {
        let half = plan
            .families
            .iter()
            .any(|f| self.asked.iter().any(|a| a.purpose == *f && a.exchange.reply.is_some()));
        let over_tcp = self.asked.iter().find(|a| a.purpose == Purpose::Tcp).map(|a| a.exchange.ending);
        let refused = self.asked.iter().any(|a| a.exchange.via == Via::Udp && is_refusal(a.exchange.ending));
        let limit = match (self.alive(), over_tcp) {
            (false, _) if refused => REFUSED_MS_MAX,
            (true, _) if hopeless => HOPELESS_MS,
            (true, _) if half => SPARE_MS_MAX,
            (true, _) => BUSY_MS_MAX,
            // TCP answered the name itself: UDP alone is blocked.
            (false, Some(Ending::Answered)) => DEAD_MS_MAX,
            (false, Some(Ending::PortUnreachable)) => DOUBT_MS_MAX,
            (false, _) => DEAD_MS_MAX,
        };
        if spare { limit.min(SPARE_MS_MAX) } else { limit }
    }

    fn report(mut self, plan: &Plan<'_>, elapsed_ms: f64) -> ResolverReport {
        for (purpose, question) in std::mem::take(&mut self.open) {
            self.asked.push(Asking { purpose, exchange: unanswered(&question, Ending::Silent, elapsed_ms) });
        }
        let state = state_of(plan, &self.asked);
        let waited = self.asked.iter().filter(|a| plan.families.contains(&a.purpose));
        let answered =
            waited.filter(|a| a.exchange.ending == Ending::Answered).map(|a| a.exchange.elapsed_ms);
        let latency_ms = answered.reduce(f64::max);
        ResolverReport { server: self.server, state, latency_ms, asked: self.asked }
    }
}

fn is_refusal(ending: Ending) -> bool {
    matches!(ending, Ending::PortUnreachable | Ending::HostUnreachable | Ending::LocalError)
}

fn state_of(plan: &Plan<'_>, asked: &[Asking]) -> ResolverState {
    let replies = || {
        asked.iter().filter(|a| plan.families.contains(&a.purpose)).filter_map(|a| a.exchange.reply.as_ref())
    };
    let any = |rcodes: &[u16]| replies().any(|r| rcodes.contains(&r.rcode));
    let addresses = replies().any(|r| r.answers.iter().any(|a| a.kind == "A" || a.kind == "AAAA"));
    if addresses || (any(&[0, 3]) && !any(&[2])) {
        ResolverState::Well
    } else if any(&[2]) {
        ResolverState::Servfail
    } else if any(&[5]) {
        ResolverState::Refuses
    } else if replies().next().is_some() {
        ResolverState::Bad
    } else if asked.iter().any(|a| a.exchange.via == Via::Udp && a.exchange.ending == Ending::Answered) {
        ResolverState::Mute
    } else {
        ResolverState::Dead
    }
}

/// The purpose of the repeat over TCP.
fn over_tcp(family: Purpose) -> Purpose {
    if family == Purpose::Ipv6 { Purpose::Ipv6Tcp } else { Purpose::Ipv4Tcp }
}

fn subject(name: &str, purpose: Purpose, flags: Flags) -> (String, RecordType) {
    match purpose {
        Purpose::Control | Purpose::Tcp if flags.chaos => ("version.bind".to_owned(), RecordType::TXT),
        Purpose::Control => ("localhost".to_owned(), RecordType::A),
        Purpose::Sibling => (sibling(name), RecordType::A),
        Purpose::Ipv6 | Purpose::Ipv6Tcp => (name.to_owned(), RecordType::AAAA),
        Purpose::Https => (name.to_owned(), RecordType::HTTPS),
        _ => (name.to_owned(), RecordType::A),
    }
}

/// A child of the name that nobody has asked for before: it cannot be cached.
pub fn sibling(name: &str) -> String {
    let random = Message::query().metadata.id;
    let long = format!("netwhy-{random:04x}.{name}");
    if long.len() <= 253 { long } else { name.to_owned() }
}
