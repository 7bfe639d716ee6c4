//! Where a scan stands, on disk: what a stopped or killed one goes on from.
//!
//! A file is a line naming its format, a line with lengths and a SHA-256, a JSON head, and one bit for each pair in the
//! plan's order. It is written beside its place, synced, and renamed over it, so that a crash leaves the last whole one.

mod file;
mod row;

use crate::{Event, Finding, Hosts, Notice, Plan, Ports, Protocol, ScanError, Shard, Span, State};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Shortest time between two checkpoints.
const GAP: Duration = Duration::from_secs(2);
/// Share of the time writing may take: a checkpoint that took a second waits this many.
const GAP_PER_COST: u32 = 20;

/// Where a scan stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What is asked; another plan cannot go on from here.
    pub plan: Planned,
    pub pass: u32,
    /// Next position of the order in this pass.
    pub position: u64,
    /// Questions asked so far, and packets sent of all kinds.
    pub asked: u64,
    pub sent: u64,
    pub elapsed: Duration,
    /// Pairs settled as closed and as filtered, which `findings` need not hold.
    pub closed: u64,
    pub filtered: u64,
    /// One bit a pair, by its position in [`Plan::order`]; the lowest bit of a word comes first.
    pub settled: Vec<u64>,
    pub findings: Vec<Finding>,
}

/// What makes two plans the same scan. Pace, engine and source may differ between its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    hosts: Vec<(IpAddr, IpAddr)>,
    ports: String,
    protocol: Protocol,
    shard: (u32, u32),
    pub seed: u64,
}

/// What is wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("checkpoint {path}: {fault}")]
pub struct CheckpointError {
    pub path: PathBuf,
    pub fault: CheckpointFault,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFault {
    #[error("cannot be read: {0}")]
    Unread(std::io::Error),
    #[error("cannot be written: {0}")]
    Unwritten(std::io::Error),
    #[error("is no checkpoint of a scan")]
    Foreign,
    #[error("is of format {0}, which this version does not know")]
    Version(String),
    #[error("is torn: not all of it was written, or it was changed")]
    Torn,
    #[error("is of another scan: its hosts, ports, protocol, shard or seed differ")]
    OtherPlan,
}

impl CheckpointFault {
    /// What would do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unread(_) => "name the file that --checkpoint wrote",
            Self::Unwritten(_) => "free some space, or name another place with --checkpoint",
            Self::Foreign => "name the file that --checkpoint wrote",
            Self::Version(_) => "start again, or resume with the version that wrote it",
            Self::Torn => "start the scan again; this file cannot say what was asked",
            Self::OtherPlan => {
                "leave hosts and ports out to go on with its own, or start again without --resume"
            }
        }
    }
}

impl From<CheckpointError> for ScanError {
    fn from(error: CheckpointError) -> Self {
        let problem = format!("{} ({})", error.fault, error.fault.hint());
        Self::Checkpoint { path: error.path, problem }
    }
}

impl Planned {
    /// What of a plan decides which pairs are asked, and in which order.
    pub fn of(plan: &Plan) -> Self {
        Self {
            hosts: plan.hosts.spans().iter().map(Span::ends).collect(),
            ports: plan.ports.to_string(),
            protocol: plan.protocol,
            shard: (plan.shard.index, plan.shard.of),
            seed: plan.seed,
        }
    }

    pub fn hosts(&self) -> Hosts {
        let spans: Vec<Span> =
            self.hosts.iter().filter_map(|&(first, last)| Span::between(first, last)).collect();
        Hosts::of(&spans, &[]).unwrap_or_default()
    }

    pub fn ports(&self) -> Ports {
        Ports::parse(&self.ports, self.protocol).unwrap_or_else(|_| Ports::of(Vec::new(), self.protocol))
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub fn shard(&self) -> Shard {
        Shard { index: self.shard.0, of: self.shard.1 }
    }
}

impl Checkpoint {
    /// The start of a plan: nothing asked, nothing settled.
    pub fn start(plan: &Plan) -> Self {
        let words = plan.order().len().div_ceil(64) as usize;
        Self {
            plan: Planned::of(plan),
            pass: 0,
            position: 0,
            asked: 0,
            sent: 0,
            elapsed: Duration::ZERO,
            closed: 0,
            filtered: 0,
            settled: vec![0; words],
            findings: Vec::new(),
        }
    }

    /// Reads one, whole or not at all.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        file::read(path).map_err(|fault| CheckpointError { path: path.to_owned(), fault })
    }

    /// Refuses to go on with another scan.
    pub fn check(&self, plan: &Plan, path: &Path) -> Result<(), CheckpointError> {
        match self.plan == Planned::of(plan) {
            true => Ok(()),
            false => Err(CheckpointError { path: path.to_owned(), fault: CheckpointFault::OtherPlan }),
        }
    }

    /// Writes it whole: a crash at any moment leaves this one or the one before.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        file::write(self, path).map_err(|error| CheckpointError {
            path: path.to_owned(),
            fault: CheckpointFault::Unwritten(error),
        })
    }

    /// Whether the pair at a position of the order is settled.
    pub fn is_settled(&self, position: u64) -> bool {
        self.settled.get((position / 64) as usize).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// How many pairs are settled.
    pub fn settled_count(&self) -> u64 {
        self.settled.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many findings are of a state; closed and filtered ones are counted apart.
    pub fn count(&self, state: State) -> u64 {
        match state {
            State::Closed => self.closed,
            State::Filtered => self.filtered,
            _ => self.findings.iter().filter(|finding| finding.state == state).count() as u64,
        }
    }
}

/// Writes checkpoints now and then, and tells once when it cannot: a full disk does not stop a scan.
#[derive(Debug)]
pub struct Keeper {
    path: Option<PathBuf>,
    next: Instant,
    failing: bool,
}

impl Keeper {
    /// For a plan; one without a checkpoint keeps nothing.
    pub fn new(plan: &Plan, now: Instant) -> Self {
        Self { path: plan.checkpoint.clone(), next: now + GAP, failing: false }
    }

    /// Whether it is time to [`Self::keep`].
    pub fn is_due(&self, now: Instant) -> bool {
        self.path.is_some() && now >= self.next
    }

    /// Writes one, due or not; the notice says that it could not, once until it can again.
    pub fn keep(&mut self, checkpoint: &Checkpoint, tell: &mut dyn FnMut(Event)) {
        let Some(path) = &self.path else { return };
        let began = Instant::now();
        let saved = checkpoint.save(path);
        self.next = Instant::now() + (began.elapsed() * GAP_PER_COST).max(GAP);
        match saved {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let path = path.display().to_string();
                    tell(Event::Notice(Notice::CheckpointUnwritten {
                        path,
                        reason: error.fault.to_string(),
                    }));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Look, Reason};

    fn plan(ports: &str) -> Plan {
        let hosts = Hosts::parse(&["10.0.0.1-3", "fd00::1"], &[]).unwrap();
        Plan::new(hosts, Ports::parse(ports, Protocol::Tcp).unwrap())
    }

    fn sample() -> Checkpoint {
        let mut checkpoint = Checkpoint::start(&plan("1-100"));
        checkpoint.settled[2] = 1 << 5;
        checkpoint.position = 133;
        checkpoint.closed = 1;
        let look =
            Look { service: "ssh".into(), banner: Some("SSH-2.0-x".into()), names: vec![], matches: None };
        checkpoint.findings.push(Finding {
            host: "10.0.0.2".parse().unwrap(),
            port: 22,
            protocol: Protocol::Tcp,
            state: State::Open,
            reason: Reason::SynAck,
            ttl: Some(63),
            rtt: Some(Duration::from_nanos(123_456)),
            look: Some(look),
        });
        checkpoint
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("netwhy-scan-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_is_saved_comes_back() {
        let folder = folder("whole");
        let path = folder.join("scan.checkpoint");
        sample().save(&path).unwrap();
        let read = Checkpoint::load(&path).unwrap();
        assert_eq!(read, sample());
        assert!(read.is_settled(133) && !read.is_settled(132) && !read.is_settled(1 << 40));
        assert_eq!((read.settled_count(), read.count(State::Open), read.count(State::Closed)), (1, 1, 1));
        assert!(read.check(&plan("1-100"), &path).is_ok());
        let other = read.check(&plan("1-99"), &path).unwrap_err();
        assert!(matches!(other.fault, CheckpointFault::OtherPlan), "{other}");
        assert_eq!(read.plan.hosts(), plan("1").hosts);
        assert_eq!(read.plan.ports(), plan("1-100").ports);
        let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing but the checkpoint is left");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_torn_or_changed_file_is_refused() {
        let folder = folder("torn");
        let path = folder.join("scan.checkpoint");
        sample().save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = Checkpoint::load(&path).unwrap_err();
            assert!(
                matches!(error.fault, CheckpointFault::Torn | CheckpointFault::Foreign),
                "{length}: {error}"
            );
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(Checkpoint::load(&path).is_err(), "byte {at} changed unseen");
        }
        std::fs::write(&path, b"netwhy scan checkpoint 9\nrest").unwrap();
        assert!(
            matches!(Checkpoint::load(&path).unwrap_err().fault, CheckpointFault::Version(v) if v == "9")
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_disk_is_told_once_and_leaves_the_last_one() {
        let mut full = plan("1-100");
        full.checkpoint = Some(PathBuf::from("/dev/full/scan.checkpoint"));
        let mut keeper = Keeper::new(&full, Instant::now());
        let mut told = Vec::new();
        for _ in 0..3 {
            keeper.keep(&sample(), &mut |event| told.push(event));
        }
        let [Event::Notice(Notice::CheckpointUnwritten { path, .. })] = &told[..] else { panic!("{told:?}") };
        assert_eq!(path, "/dev/full/scan.checkpoint");
        assert!(!keeper.is_due(Instant::now()));
    }
}
