//! Listens, lets clients with a certificate in, and serves each within limits.

use super::verify::{OnlyClients, subject};
use super::{AgentFiles, Loaded, WELCOME, unusable};
use crate::error::EndError;
use crate::eyes::Eyes;
use crate::line::printable;
use crate::rate::{Bucket, Rate};
use crate::serve::{Runner, ServeOptions, serve};
use crate::session::MESSAGE_BYTES_MAX;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest message of a client while no cases are run, in bytes: its requests are small.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Pause after a failed accept(2), in milliseconds: out of descriptors, most likely.
const ACCEPT_PAUSE_MS: u64 = 200;
/// Longest wait for sessions to end when the agent stops, in milliseconds.
const STOP_MS_MAX: u64 = 15_000;
/// Why a session or handshake ends then.
const STOPPING: &str = "the agent stops";
/// Longest reason told, in characters.
const REASON_CHARS_MAX: usize = 200;

/// What an agent gives at most.
#[derive(Debug, Clone, Copy)]
pub struct AgentLimits {
    /// Sessions at the same time; as many more may be in their handshake.
    pub connection_count_max: usize,
    /// Sessions and handshakes of one address.
    pub per_peer_count_max: usize,
    pub handshake_ms_max: u64,
    /// Longest silence of a client.
    pub idle_ms_max: u64,
    /// Longest session.
    pub lifetime_ms_max: u64,
    /// Requests of one session.
    pub rate: Rate,
    /// Whether watches may trace rules and drops: a trace is set up in the packet filter and removed
    /// again, and the sources are sent echo requests.
    pub trace: bool,
}

impl Default for AgentLimits {
    fn default() -> AgentLimits {
        AgentLimits {
            connection_count_max: 16,
            per_peer_count_max: 8,
            handshake_ms_max: 10_000,
            idle_ms_max: 600_000,
            lifetime_ms_max: 3_600_000,
            rate: Rate { per_second: 20.0, burst: 60.0 },
            trace: false,
        }
    }
}

/// Refusals told: a port scan must not fill the log.
const REFUSALS: Rate = Rate { per_second: 1.0, burst: 30.0 };

/// Takes what happens, refusals only so often.
struct Log {
    take: Box<dyn Fn(AgentEvent) + Send + Sync>,
    refusals: Mutex<(Bucket, u64)>,
}

impl Log {
    fn tell(&self, event: AgentEvent) {
        (self.take)(event);
    }

    fn refused(&self, peer: SocketAddr, why: &str) {
        let untold = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if !refusals.0.take(Instant::now()) {
                refusals.1 += 1;
                return;
            }
            std::mem::take(&mut refusals.1)
        };
        self.tell(AgentEvent::Refused { peer, why: printable(why, REASON_CHARS_MAX), untold });
    }
}

/// What happens at an agent, for its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEvent {
    /// A connection came no further; `untold` others before it are in no event.
    Refused { peer: SocketAddr, why: String, untold: u64 },
    /// A client is in.
    Opened { peer: SocketAddr, subject: String },
    /// Its session is over; without a reason it took its leave.
    Closed { peer: SocketAddr, subject: String, after_ms: u64, why: Option<String> },
}

/// An agent with everything it needs, before it listens.
pub struct Agent {
    acceptor: TlsAcceptor,
    eyes: Arc<dyn Eyes>,
    runner: Option<Arc<dyn Runner>>,
    limits: AgentLimits,
}

impl Agent {
    /// Reads the files; with a runner, cases of clients are run.
    pub fn new(
        files: &AgentFiles,
        eyes: Arc<dyn Eyes>,
        runner: Option<Arc<dyn Runner>>,
        limits: AgentLimits,
    ) -> Result<Agent, EndError> {
        let Loaded { roots, chain, key } = files.read()?;
        let verifier = OnlyClients::of(roots).map_err(|why| unusable(&files.authority, why))?;
        let bad = |error: rustls::Error| unusable(&files.certificate, error);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(bad)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(chain, key)
            .map_err(bad)?;
        // A resumed session would not be asked for its certificate again.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Agent { acceptor: TlsAcceptor::from(Arc::new(config)), eyes, runner, limits })
    }

    /// Serves whoever may be served until `stop` turns true; then ends every session in order.
    pub async fn listen(
        self,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
        log: impl Fn(AgentEvent) + Send + Sync + 'static,
    ) {
        let agent = Arc::new(self);
        let doors = Arc::new(Doors { limits: agent.limits, counts: Mutex::default() });
        let refusals = Mutex::new((Bucket::new(REFUSALS, Instant::now()), 0));
        let log = Arc::new(Log { take: Box::new(log), refusals });
        let mut sessions = JoinSet::new();
        loop {
            while sessions.try_join_next().is_some() {}
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                continue;
            };
            match Place::take(&doors, peer.ip()) {
                Ok(place) => {
                    let (agent, log, stop) = (Arc::clone(&agent), Arc::clone(&log), stop.clone());
                    sessions.spawn(async move { agent.attend(stream, peer, place, stop, &log).await });
                }
                Err(why) => log.refused(peer, why),
            }
        }
        drop(listener);
        let all = async { while sessions.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_millis(STOP_MS_MAX), all).await;
    }

    async fn attend(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        mut place: Place,
        mut stop: watch::Receiver<bool>,
        log: &Log,
    ) {
        let _ = stream.set_nodelay(true);
        let shaken = tokio::select! {
            shaken = self.handshake(stream) => shaken,
            _ = stop.wait_for(|stop| *stop) => Err(STOPPING.to_owned()),
        };
        let (mut stream, subject) = match shaken {
            Ok(done) => done,
            Err(why) => return log.refused(peer, &why),
        };
        if let Err(why) = place.enter() {
            return log.refused(peer, why);
        }
        let begun = Instant::now();
        log.tell(AgentEvent::Opened { peer, subject: subject.clone() });
        let why = match stream.write_all(format!("{WELCOME}\n").as_bytes()).await {
            Ok(()) => self.session(stream, stop).await,
            Err(error) => Some(error.to_string()),
        };
        let after_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let why = why.map(|why| printable(&why, REASON_CHARS_MAX));
        log.tell(AgentEvent::Closed { peer, subject, after_ms, why });
    }

    /// The stream with the subject of the client's certificate.
    async fn handshake(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, String), String> {
        let longest = Duration::from_millis(self.limits.handshake_ms_max);
        let stream = tokio::time::timeout(longest, self.acceptor.accept(stream))
            .await
            .map_err(|_| "the handshake took too long".to_owned())?
            .map_err(|error| error.to_string())?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(subject);
        // The verifier demands one; without one nothing is served, whatever the verifier does.
        let subject = shown.ok_or("the client showed no certificate")?;
        Ok((stream, subject))
    }

    /// Serves one client; why it ended, unless the client took its leave.
    async fn session(&self, stream: TlsStream<TcpStream>, mut stop: watch::Receiver<bool>) -> Option<String> {
        let (end, ended) = watch::channel(false);
        let mut options = ServeOptions::new(Arc::clone(&self.eyes), self.runner.clone());
        options.allow_files = false;
        options.allow_trace = self.limits.trace;
        options.rate = Some(self.limits.rate);
        options.idle_ms_max = Some(self.limits.idle_ms_max);
        options.stop = Some(ended);
        // A case that runs here gets its other ends' records through the client.
        options.message_bytes_max = if self.runner.is_some() { MESSAGE_BYTES_MAX } else { REQUEST_BYTES_MAX };
        let (reader, writer) = tokio::io::split(stream);
        let mut served = std::pin::pin!(serve(reader, writer, options));
        let why = tokio::select! {
            served = served.as_mut() => return served.err().map(|why| why.to_string()),
            () = tokio::time::sleep(Duration::from_millis(self.limits.lifetime_ms_max)) => {
                "the session is as old as sessions get"
            }
            _ = stop.wait_for(|stop| *stop) => STOPPING,
        };
        let _ = end.send(true);
        let _ = served.await;
        Some(why.to_owned())
    }
}

/// Counts who is in, and who is at the door.
struct Doors {
    limits: AgentLimits,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    handshakes: usize,
    sessions: usize,
    by_peer: HashMap<IpAddr, usize>,
}

impl Doors {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place, given back when dropped.
struct Place {
    doors: Arc<Doors>,
    peer: IpAddr,
    inside: bool,
}

impl Place {
    fn take(doors: &Arc<Doors>, peer: IpAddr) -> Result<Place, &'static str> {
        let mut counts = doors.counts();
        if counts.handshakes >= doors.limits.connection_count_max {
            return Err("too many connections are in their handshake");
        }
        let of_peer = counts.by_peer.entry(peer).or_default();
        if *of_peer >= doors.limits.per_peer_count_max {
            return Err("too many connections from this address");
        }
        *of_peer += 1;
        counts.handshakes += 1;
        Ok(Place { doors: Arc::clone(doors), peer, inside: false })
    }

    /// From the handshake to the session.
    fn enter(&mut self) -> Result<(), &'static str> {
        let mut counts = self.doors.counts();
        if counts.sessions >= self.doors.limits.connection_count_max {
            return Err("too many sessions");
        }
        counts.handshakes -= 1;
        counts.sessions += 1;
        self.inside = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.doors.counts();
        match self.inside {
            true => counts.sessions -= 1,
            false => counts.handshakes -= 1,
        }
        if let Some(of_peer) = counts.by_peer.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                counts.by_peer.remove(&self.peer);
            }
        }
    }
}
