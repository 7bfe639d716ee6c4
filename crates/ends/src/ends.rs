//! All ends of a run: opened at once, closed together.

use crate::BoxFuture;
use crate::agent::{self, AgentCredentials};
use crate::end::End;
use crate::error::EndError;
use crate::eyes::Eyes;
use crate::frame::{EndFault, EndName, FaultCode, Hello, Reply};
use crate::host::HostEyes;
use crate::place::Place;
use crate::relay::{Relay, Table};
use crate::serve::{Runner, ServeOptions, serve};
use crate::session::{Handler, Incoming, Session, SessionLimits};
use crate::start::{self, Keeper, Program, Spawner, Started};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Requests of one end that are passed on at the same time.
const PASSED_ON_AT_ONCE_MAX: usize = 16;
/// What a local end may have on its way, in bytes.
const LOCAL_PIPE_BYTES: usize = 256 * 1024;
/// An end whose program has ended is given up so many milliseconds later, its streams still open or not.
const GONE_MS: u64 = 500;

/// How ends are opened.
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// The program file to start at other places; this process's own when unset.
    pub program: Option<PathBuf>,
    /// OpenSSH's client, `ssh` when unset.
    pub ssh_program: Option<String>,
    /// More words for it, before the host: `-F FILE`, `-i KEY`.
    pub ssh_options: Vec<String>,
    /// Shown to agents, which refuse everybody else.
    pub agent: Option<AgentCredentials>,
    /// Runs cases at [`Place::Local`].
    pub runner: Option<Arc<dyn Runner>>,
    /// Reads this host for [`Place::Local`]; the real reader when unset.
    pub eyes: Option<Arc<dyn Eyes>>,
}

/// An open end.
pub struct Opened {
    pub end: End,
    pub place: Place,
    /// Who answered there.
    pub hello: Hello,
    /// Netwhy was copied there, and nothing over there could compute the hash of what arrived: only its size was
    /// compared.
    pub unchecked: bool,
    keeper: Option<Keeper>,
}

/// Open ends, in the order they were given. Dropping them ends everything over there.
pub struct Ends {
    open: Vec<Opened>,
    failed: Vec<(EndName, Place, EndError)>,
    /// Keeps what relays reach.
    table: Arc<Table>,
    /// Children are told when this goes; it goes last.
    _spawner: Option<Arc<Spawner>>,
}

impl Ends {
    /// Starts netwhy at every place at the same time; what cannot be opened is in [`Ends::failed`].
    pub async fn open(places: &[(EndName, Place)], options: &OpenOptions) -> Ends {
        let table = Arc::<Table>::default();
        let opener = Arc::new(Opener {
            options: options.clone(),
            table: Arc::clone(&table),
            spawner: OnceLock::new(),
            program: OnceLock::new(),
        });
        let mut tasks = JoinSet::new();
        for (at, (name, place)) in places.iter().enumerate() {
            let (opener, name, place) = (Arc::clone(&opener), name.clone(), place.clone());
            tasks.spawn(async move { (at, opener.open(at, &name, &place).await) });
        }
        let mut results: Vec<_> = tasks.join_all().await;
        results.sort_by_key(|(at, _)| *at);
        let (mut open, mut failed) = (Vec::new(), Vec::new());
        for ((_, result), (name, place)) in results.into_iter().zip(places) {
            match result {
                Ok(opened) => open.push(opened),
                Err(why) => failed.push((name.clone(), place.clone(), why)),
            }
        }
        let _spawner = opener.spawner.get().and_then(|spawner| spawner.as_ref().ok().cloned());
        Ends { open, failed, table, _spawner }
    }

    /// The open end of this name.
    pub fn end(&self, name: &str) -> Option<&End> {
        self.open.iter().map(|opened| &opened.end).find(|end| end.name().name == name)
    }

    /// The open ends.
    pub fn opened(&self) -> &[Opened] {
        &self.open
    }

    /// Places that could not be opened, and why.
    pub fn failed(&self) -> &[(EndName, Place, EndError)] {
        &self.failed
    }

    /// Ends everything over there and waits until it is gone.
    pub async fn close(mut self) {
        self.hang_up();
        let mut tasks = JoinSet::new();
        for keeper in self.open.iter_mut().filter_map(|opened| opened.keeper.take()) {
            tasks.spawn(keeper.close());
        }
        tasks.join_all().await;
    }

    /// Closes every session: the other sides read the end of their input.
    fn hang_up(&self) {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for opened in &self.open {
            opened.end.session().close();
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// What opening one end needs of the others.
struct Opener {
    options: OpenOptions,
    table: Arc<Table>,
    spawner: OnceLock<Result<Arc<Spawner>, EndError>>,
    program: OnceLock<Result<Arc<Program>, EndError>>,
}

impl Opener {
    async fn open(&self, at: usize, name: &EndName, place: &Place) -> Result<Opened, EndError> {
        let Started { lines, writer, said, keeper, unchecked } = self.start(place).await?;
        // Lane 0 is ours.
        let relay = Relay::new(u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1), &self.table);
        let limits =
            SessionLimits { requests_at_once_max: PASSED_ON_AT_ONCE_MAX, rate: None, idle_ms_max: None };
        let session = Session::start(lines, writer, passing_on(&relay), limits);
        let end = End::direct(name.clone(), session.clone(), said, Some(relay));
        let hello = match end.hello().await {
            Ok(hello) => hello,
            Err(why) => {
                session.close();
                return Err(why);
            }
        };
        if let Some(keeper) = &keeper {
            give_up_after(keeper, session);
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.insert(name.name.clone(), end.clone());
        Ok(Opened { end, place: place.clone(), hello, unchecked, keeper })
    }

    async fn start(&self, place: &Place) -> Result<Started, EndError> {
        match place {
            Place::Local => Ok(self.local()),
            Place::Ssh { .. } => {
                start::by_ssh(place, &self.options, &self.spawner()?, &self.program()?).await
            }
            Place::Exec(prefix) => start::by_prefix(prefix, &self.spawner()?, &self.program()?).await,
            Place::Netns(name) => start::in_netns(name, &self.spawner()?, &self.program()?).await,
            Place::Agent { host, port } => {
                let credentials = self.options.agent.as_ref().ok_or(EndError::NoCredentials)?;
                agent::connect(host, *port, credentials).await
            }
        }
    }

    /// Served by this very process.
    fn local(&self) -> Started {
        let (ours, theirs) = tokio::io::duplex(LOCAL_PIPE_BYTES);
        let eyes = self.options.eyes.clone().unwrap_or_else(|| Arc::new(HostEyes));
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(serve(reader, writer, ServeOptions::new(eyes, self.options.runner.clone())));
        let (reader, writer) = tokio::io::split(ours);
        Started::over(Box::new(reader), Box::new(writer))
    }

    fn spawner(&self) -> Result<Arc<Spawner>, EndError> {
        self.spawner.get_or_init(|| Spawner::new().map(Arc::new)).clone()
    }

    fn program(&self) -> Result<Arc<Program>, EndError> {
        let open = || Program::open(self.options.program.as_deref()).map(Arc::new);
        self.program.get_or_init(open).clone()
    }
}

/// Answers an end by passing on what it asks for.
fn passing_on(relay: &Arc<Relay>) -> Handler {
    let relay = Arc::clone(relay);
    Arc::new(move |incoming: Incoming| -> BoxFuture<'static, Result<Reply, EndFault>> {
        let relay = Arc::clone(&relay);
        Box::pin(async move {
            match &incoming.end {
                Some(name) => relay.pass(name, incoming.request).await,
                None => Err(EndFault::new(FaultCode::NotAllowed, "the asker itself answers nothing")),
            }
        })
    })
}

/// Some command prefixes leave the streams open when their program has ended.
fn give_up_after(keeper: &Keeper, session: Session) {
    let mut ended = keeper.watch();
    tokio::spawn(async move {
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => {}
            _ = session.ended() => return,
        }
        tokio::time::sleep(Duration::from_millis(GONE_MS)).await;
        session.gone();
    });
}
