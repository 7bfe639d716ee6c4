//! What an answer, a silence or a reset after the handshake means for a pair.

use crate::connect::engine::Engine;
use crate::connect::peer::{Kind, Peer, Standing};
use crate::connect::slots::{Aim, Ask, Held};
use crate::connect::socket::{Step, icmp_error, is_own_echo, step};
use crate::ledger::finding;
use crate::{Finding, Notice, Reason, ScanError, State, Summary};
use netwhy_socket::tcp_info;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Loss above which a ban needs one canary more.
const LOSSY: f64 = 0.03;
/// Ports a proxy answered for when it is told, if not at the end.
const PROXIED_COUNT_TOLD: u32 = 64;
/// Positions told as open early that are looked at again, a host.
const EARLY_COUNT_MAX: usize = 64;

impl Engine<'_> {
    /// A socket has something to tell.
    pub(crate) fn heard(&mut self, index: u32) -> Result<(), ScanError> {
        let Some((ask, socket, remote)) = self.slots.get(index) else { return Ok(()) };
        if ask.held_since.is_some() {
            return self.held(index, false);
        }
        match step(socket, remote) {
            Step::Open => self.opened(index),
            Step::Failed(errno) => self.failed(index, errno, false),
            // An ICMP error that came while the kernel was busy with the socket is only in its queue.
            Step::Pending => match icmp_error(socket) {
                Some(reason) => self.icmp(index, reason),
                None => Ok(()),
            },
        }
    }

    /// The time of a socket is over.
    pub(crate) fn late(&mut self, index: u32) -> Result<(), ScanError> {
        let Some((ask, socket, remote)) = self.slots.get(index) else { return Ok(()) };
        if ask.held_since.is_some() {
            return self.held(index, true);
        }
        // The answer may be there, not read yet.
        match step(socket, remote) {
            Step::Open => self.opened(index),
            Step::Failed(errno) => self.failed(index, errno, false),
            Step::Pending => {
                let ask = *ask;
                let queued = icmp_error(socket);
                match queued {
                    Some(reason) => self.icmp(index, reason),
                    None => {
                        self.slots.free(index, false);
                        self.silent(ask);
                        Ok(())
                    }
                }
            }
        }
    }

    /// The handshake is done: hold the connection a while, since a proxy resets it when the host refuses.
    pub(crate) fn opened(&mut self, index: u32) -> Result<(), ScanError> {
        let Some((ask, socket, _)) = self.slots.get(index) else { return Ok(()) };
        let (ask, now) = (*ask, Instant::now());
        if is_own_echo(socket) {
            self.slots.free(index, false);
            self.again.push_back(ask.aim);
            return Ok(());
        }
        let known = tcp_info(socket);
        let rtt = known
            .map(|info| Duration::from_micros(info.rtt_us.into()))
            .filter(|rtt| !rtt.is_zero())
            .unwrap_or(now - ask.sent);
        self.ledger.heard += 1;
        self.pacer.answered(ask.sent, ask.sent_before, ask.sent + rtt);
        if ask.aim == Aim::OpenCanary {
            self.slots.free(index, false);
            self.proved(ask, rtt);
            return Ok(());
        }
        let peer = self.peers.entry(ask.host).or_insert_with(|| Peer::new(ask.ip, ask.sent));
        peer.opened();
        let window = known.and_then(|info| info.peer_window);
        let until = now + peer.hold(window);
        let held = Held { since: now, rtt, shut: window == Some(0) };
        self.slots
            .hold(index, held, until)
            .map_err(|source| ScanError::System { doing: "watching a socket".into(), source })
    }

    /// Something happened to a held connection, or its time is over.
    fn held(&mut self, index: u32, is_over: bool) -> Result<(), ScanError> {
        let Some((ask, socket, _)) = self.slots.get(index) else { return Ok(()) };
        let (ask, now) = (*ask, Instant::now());
        let Some(since) = ask.held_since else { return Ok(()) };
        let info = tcp_info(socket);
        let stands = info.is_some_and(|info| info.stands());
        let window = info.and_then(|info| info.peer_window);
        let spoke = info.is_some_and(|info| info.bytes_received > 0);
        // A service may reset at once too; only where a proxy is likely does it speak for a closed port.
        let suspect = ask.shut || self.peers.get(&ask.host).is_some_and(Peer::may_be_proxy);
        let verdict = match (stands, spoke) {
            (false, false) if suspect => (State::Intercepted, Reason::RstAfterHandshake),
            (false, _) | (_, true) => (State::Open, Reason::SynAck),
            (true, false) if !is_over => return Ok(()),
            (true, false) => {
                let until =
                    since + self.peers.get(&ask.host).map_or(Duration::ZERO, |peer| peer.hold(window));
                if until > now {
                    return self.watch(index, until);
                }
                match window {
                    Some(0) => (State::Intercepted, Reason::Tarpit),
                    _ => (State::Open, Reason::SynAck),
                }
            }
        };
        self.slots.free(index, false);
        self.conclude(ask, verdict);
        Ok(())
    }

    /// What became of a handshake.
    fn conclude(&mut self, ask: Ask, (state, reason): (State, Reason)) {
        let rtt = ask.rtt.unwrap_or_default();
        let kind = if state == State::Open { Kind::Open } else { Kind::Proxied };
        self.keep(ask, kind, rtt);
        let Some(peer) = self.peers.get_mut(&ask.host) else { return };
        let everything = peer.opens_everything();
        let (state, reason) = match (state, everything) {
            (State::Open, true) => (State::Intercepted, Reason::Tarpit),
            _ => (state, reason),
        };
        let found = Finding { rtt: Some(rtt), ..finding(self.ledger.plan, ask.ip, ask.port, state, reason) };
        match ask.aim {
            Aim::Pair(position) => {
                if state == State::Open && peer.early.len() < EARLY_COUNT_MAX {
                    peer.early.push(position);
                }
                self.settled(position, found);
            }
            Aim::Recheck(_) if state != State::Open => self.ledger.revise(State::Open, found),
            _ => {}
        }
        self.name_proxy(ask.host, reason);
    }

    /// Notes that something else answers for a host, and has what was told before looked at again.
    fn name_proxy(&mut self, host: u64, reason: Reason) {
        let Some(peer) = self.peers.get_mut(&host) else { return };
        let everything = peer.opens_everything();
        if peer.proxy.is_none() && (peer.proxied() > 0 || everything) {
            peer.proxy = Some(match (everything, reason) {
                (true, _) => "opens every port",
                (_, Reason::Tarpit) => "tarpit: the window never opens",
                _ => "SYN proxy: resets after the handshake",
            });
            let early = std::mem::take(&mut peer.early);
            self.again.extend(early.into_iter().map(Aim::Recheck));
        }
        if peer.proxied() >= PROXIED_COUNT_TOLD || everything {
            self.tell_proxy(host);
        }
    }

    /// Tells of a proxy once: when it has answered for many ports, or at the end.
    fn tell_proxy(&mut self, host: u64) {
        let Some(peer) = self.peers.get_mut(&host) else { return };
        let Some(kind) = peer.proxy.filter(|_| !peer.proxy_told) else { return };
        peer.proxy_told = true;
        let (host, ports_answered) = (peer.ip, peer.ports_opened());
        self.ledger.notice(Notice::Proxy { host, ports_answered, kind: kind.into() });
    }

    /// The connection failed with what the kernel read from an answer; `at_once` while it was still being asked.
    pub(crate) fn failed(&mut self, index: u32, errno: i32, at_once: bool) -> Result<(), ScanError> {
        let Some((ask, socket, _)) = self.slots.get(index) else { return Ok(()) };
        let ask = *ask;
        if let Some(reason) = icmp_error(socket) {
            return self.icmp(index, reason);
        }
        self.slots.free(index, true);
        match errno {
            libc::ECONNRESET => self.reset(ask, at_once),
            libc::ECONNREFUSED => {
                let rtt = ask.sent.elapsed();
                self.answered(ask, Kind::Closed, (State::Closed, Reason::Rst), rtt);
            }
            libc::ETIMEDOUT => self.silent(ask),
            _ => self.unasked(ask, errno),
        }
        Ok(())
    }

    /// A reset that came after the handshake, before this end could look: `connect` says refused to any other.
    ///
    /// No program accepts and resets while the SYN is still being sent, so then it was a proxy in any case.
    fn reset(&mut self, ask: Ask, at_once: bool) {
        self.ledger.heard += 1;
        let peer = self.peers.entry(ask.host).or_insert_with(|| Peer::new(ask.ip, ask.sent));
        peer.opened();
        let verdict = match at_once || peer.may_be_proxy() {
            true => (State::Intercepted, Reason::RstAfterHandshake),
            false => (State::Open, Reason::SynAck),
        };
        let rtt = ask.sent.elapsed();
        match ask.aim {
            Aim::OpenCanary => self.proved(ask, rtt),
            _ => self.conclude(Ask { rtt: Some(rtt), ..ask }, verdict),
        }
    }

    /// An ICMP error answered.
    fn icmp(&mut self, index: u32, reason: Reason) -> Result<(), ScanError> {
        let Some((ask, _, _)) = self.slots.get(index) else { return Ok(()) };
        let ask = *ask;
        self.slots.free(index, false);
        match reason {
            Reason::Icmp { kind, code, from } if self.own.contains(&from) && from != ask.ip => {
                match is_no_neighbour(ask.ip, kind, code) {
                    true => self.silent(ask),
                    false => self.unasked(ask, libc::EPERM),
                }
            }
            _ => self.answered(ask, Kind::Rejected, (State::Rejected, reason), ask.sent.elapsed()),
        }
        Ok(())
    }

    fn unasked(&mut self, ask: Ask, errno: i32) {
        if let Aim::Pair(position) = ask.aim {
            self.trouble.refused(position, ask.host, ask.ip, errno);
        }
    }

    fn answered(&mut self, ask: Ask, kind: Kind, (state, reason): (State, Reason), rtt: Duration) {
        self.ledger.heard += 1;
        self.pacer.answered(ask.sent, ask.sent_before, ask.sent + rtt);
        self.keep(ask, kind, rtt);
        let found = Finding { rtt: Some(rtt), ..finding(self.ledger.plan, ask.ip, ask.port, state, reason) };
        match ask.aim {
            Aim::Pair(position) => self.settled(position, found),
            Aim::Recheck(_) => self.ledger.revise(State::Open, found),
            Aim::OpenCanary => self.proofs.0 += 1,
            Aim::ClosedCanary => {}
        }
    }

    fn settled(&mut self, position: u64, found: Finding) {
        self.trouble.heal(position);
        self.ledger.settle(position, found);
    }

    /// A canary was answered as before.
    fn proved(&mut self, ask: Ask, rtt: Duration) {
        self.proofs.0 += 1;
        self.suspicions = 0;
        self.pacer.canary(ask.sent, false);
        self.keep(ask, Kind::Open, rtt);
    }

    /// Keeps what an answer says of its host and of the way.
    fn keep(&mut self, ask: Ask, kind: Kind, rtt: Duration) {
        self.latest = Some(ask.host);
        self.rtt = Some(self.rtt.map_or(rtt, |before| (before * 15 + rtt) / 16));
        let peer = self.peers.entry(ask.host).or_insert_with(|| Peer::new(ask.ip, ask.sent));
        peer.answered(ask.aim, kind, ask.port, ask.sent, rtt);
        if ask.aim == Aim::ClosedCanary {
            return self.name_limit(ask.host);
        }
        // A limit of resets looks like loss, so where there is one only what is not limited counts.
        if let Aim::Pair(position) = ask.aim
            && (kind == Kind::Open || !peer.limited)
        {
            let heard_from = *self.deaf_until.get_or_insert(self.cursor);
            match self.pass == 1 || position < heard_from {
                true => self.answers.0 += 1,
                false => self.answers.1 += 1,
            }
        }
    }

    /// Nothing came in time.
    fn silent(&mut self, ask: Ask) {
        if !matches!(ask.aim, Aim::OpenCanary | Aim::ClosedCanary) {
            return;
        }
        if ask.aim == Aim::OpenCanary {
            self.proofs.0 += 1;
            self.proofs.1 += 1;
            self.suspicions += 1;
            self.pacer.canary(ask.sent, true);
        }
        let lossy = self.loss().is_some_and(|loss| loss > LOSSY);
        let now = Instant::now();
        let Some(peer) = self.peers.get_mut(&ask.host) else { return };
        let was_free = peer.standing == Standing::Free;
        let is_ban = peer.canary_silent(ask.aim, ask.port, ask.sent, now, lossy);
        if is_ban {
            self.banned += 1;
            // What fell silent because of the ban says nothing of loss.
            let silent = self.proofs.1.min(self.suspicions);
            self.proofs = (self.proofs.0 - silent, self.proofs.1 - silent);
            let (host, after_questions) = (peer.ip, peer.questions());
            let after_ms = peer.known_for(now).as_millis() as u64;
            self.ledger.notice(Notice::Banned { host, after_questions, after_ms });
        } else if was_free && matches!(peer.standing, Standing::Suspect { .. }) {
            self.suspects.push(ask.host);
            if let Some(per_second) = self.pacer.warned(now) {
                self.ledger.notice(Notice::SlowedTo { per_second });
            }
        }
        self.name_limit(ask.host);
    }

    /// Tells once that a host limits its resets; from then on they say nothing of loss.
    fn name_limit(&mut self, host: u64) {
        let Some(peer) = self.peers.get_mut(&host) else { return };
        if peer.limited || !peer.limits_resets() {
            return;
        }
        peer.limited = true;
        self.answers = (peer.ports_opened().into(), 0);
        let (host, per_second) = (peer.ip, peer.resets_per_second(Instant::now()));
        self.ledger.notice(Notice::AnswersLimited { host, per_second });
    }

    /// Settles what stayed silent, and sums up.
    pub(crate) fn close(mut self, is_done: bool) -> Result<Summary, ScanError> {
        let passes = self.pass;
        let proxies: Vec<u64> =
            self.peers.iter().filter(|(_, peer)| peer.proxy.is_some()).map(|(host, _)| *host).collect();
        proxies.into_iter().for_each(|host| self.tell_proxy(host));
        let (missed, loss, rtt) = (self.expected_missed(passes), self.loss(), self.rtt);
        let mut from = 0;
        // Bounded by the pairs there are: every turn settles one.
        while let Some(position) = self.ledger.next_unsettled(from).filter(|_| is_done || self.banned > 0) {
            from = position + 1;
            let Some((host, ip, port)) = self.ledger.pair(position) else { continue };
            let (state, reason) = self.last_word(position, host, is_done);
            let found = finding(self.ledger.plan, ip, port, state, reason);
            self.ledger.settle(position, found);
        }
        if let Some(loss) = loss.filter(|loss| *loss >= 0.001) {
            self.ledger.notice(Notice::Loss { percent: (loss * 1e4).round() / 100.0 });
        }
        let is_complete = is_done && self.banned == 0;
        let summary = self.ledger.summary("connect", passes, is_complete);
        Ok(Summary {
            loss,
            expected_missed: missed,
            rtt_ms: rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            ..summary
        })
    }

    /// What the silence of a pair means.
    fn last_word(&self, position: u64, host: u64, is_done: bool) -> (State, Reason) {
        let peer = self.peers.get(&host);
        match (peer.map(|peer| (peer.standing, peer.limited)), self.trouble.of(position, host)) {
            (Some((Standing::Banned, _)), _) => (State::Unknown, Reason::Banned),
            (_, Some(errno)) => (State::Unknown, Reason::Local { errno }),
            (Some((_, true)), _) => (State::Unknown, Reason::RateLimited),
            _ if is_done => (State::Filtered, Reason::NoAnswer),
            _ => (State::Unknown, Reason::NoAnswer),
        }
    }
}

/// The host's neighbour entry failed: nobody answered ARP or neighbour discovery.
fn is_no_neighbour(host: IpAddr, kind: u8, code: u8) -> bool {
    match host {
        IpAddr::V4(_) => (kind, code) == (3, 1),
        IpAddr::V6(_) => (kind, code) == (1, 3),
    }
}
