//! What one end of a connection sees while a source probes it: the both-ends observation.
//!
//! The same watch runs at the source (the port is the remote one then), at the asked host, at a node in front
//! of it and at routers between. It sees packets as the wire has them: incoming ones before netfilter and after
//! XDP, outgoing ones behind netfilter; on the loopback each twice. Counters, rules, queues, sockets, routes,
//! drop reasons and logs are read before and after. Drop reasons are system-wide and only a hint.
//!
//! Everything belongs to the network namespace of the thread that starts the watch. What is set up goes with
//! its descriptors, so nothing is left behind even by kill -9.

mod drops;
mod filter;
mod firewall;
mod held;
mod keep;
mod look;
mod packet;
mod proxies;
mod pulse;
mod queues;
mod reach;
mod readings;
mod ring;
mod routes;
mod sockets;
mod tap;
mod telling;
mod tracefs;
mod waits;
mod wire;

use crate::files::Gaps;
use look::Observer;
use netwhy_model::Vantage;
use netwhy_model::host::{Record, WatchSpec};
use netwhy_netlink::route;
use pulse::{Live, Pulse, lock};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::Builder;
use std::time::{Duration, Instant, SystemTime};
use tap::Tap;
pub(crate) use telling::{CARRIER_CHANGES, LINK_ERRORS};

/// The `what` of the record's `unread` when no packets could be watched.
pub const PACKETS_UNREAD: &str = "packets";
/// The same when of the source's packets some kinds or flows were left out: a missing one proves nothing then.
pub const SOURCE_UNREAD: &str = "the source's packets";
/// The same of everybody else's: they cannot be counted then, nor a source be found behind a NAT.
pub const OTHERS_UNREAD: &str = "packets of others";

/// How long a start waits for the first reading of rules and counters; a longer one goes on by itself.
const START_MS_MAX: u64 = 25;
/// How long one look may take; past this the last record is given again.
const LOOK_MS_MAX: u64 = 10_000;
/// How long a drop waits; what is still there then goes with the process.
const REMOVE_MS_MAX: u64 = 1_000;

/// The watch of one end, until it is dropped.
///
/// Packets are kept up to a limit: of a transfer only the first 32 KiB in each direction, of many flows first
/// those in trouble. `packets_lost` counts what was wanted and is not there; transfers cut by design and
/// traffic left out on a busy port (named in `unread`) are not counted.
#[derive(Debug)]
pub struct Watch {
    /// Taken only on drop, which ends the thread that looks.
    asks: Option<mpsc::Sender<mpsc::Sender<Record>>>,
    /// Closed when that thread has removed what it had set up.
    removed: mpsc::Receiver<()>,
    last: Record,
    /// Dropping it ends the thread that drains the tap.
    _pulse: Option<Pulse>,
}

impl Watch {
    /// Begins to watch in the calling thread's network namespace; the tap is open when this returns.
    ///
    /// Never fails as a whole: what could not be set up is named in the record's `unread`.
    pub fn start(name: &str, vantage: Vantage, spec: WatchSpec) -> Watch {
        let began = Instant::now();
        let mut gaps = Gaps::default();
        let own = own_addresses(&mut gaps);
        let forwards = readings::forwards();
        let blank = Record {
            schema: "netwhy.record/1".to_owned(),
            name: name.to_owned(),
            vantage: Some(vantage),
            hostname: hostname(),
            spec: spec.clone(),
            started: SystemTime::now().into(),
            own_addresses: own.iter().copied().collect(),
            forwards_v4: forwards.0,
            forwards_v6: forwards.1,
            ..Record::default()
        };
        let live = Arc::new(Mutex::new(Live::new(&spec)));
        let (asks, asked) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let (removes, removed) = mpsc::channel();
        let (record, shared) = (blank.clone(), Arc::clone(&live));
        let observer = Builder::new().name("netwhy-watch".to_owned()).spawn(move || {
            let mut observer = Observer::start(record, shared);
            // Nobody waits any more when it took too long.
            let _ = ready.send(());
            observer.note_processes();
            serve(&mut observer, &asked);
            observer.remove();
            drop::<mpsc::Sender<()>>(removes);
        });
        if let Err(error) = observer {
            gaps.failed("the watch", &error);
        }
        match Tap::open(&spec, own, forwards.0 || forwards.1) {
            Ok(tap) => lock(&live).tap = Some(tap),
            Err(error) => {
                let refused = error.kind() == std::io::ErrorKind::PermissionDenied;
                gaps.note(PACKETS_UNREAD, format!("a packet socket needs CAP_NET_RAW: {error}"), refused);
            }
        }
        let pulse = Pulse::start(&live).map_err(|error| gaps.failed("queues between looks", &error)).ok();
        // An agent that may set nothing up sends nothing either.
        if spec.trace && matches!(vantage, Vantage::Edge | Vantage::Origin) {
            reach::start(&spec.sources);
        }
        let left = Duration::from_millis(START_MS_MAX).saturating_sub(began.elapsed());
        let _ = is_ready.recv_timeout(left);
        lock(&live).unread.extend(gaps.into_unread());
        Watch { asks: Some(asks), removed, last: blank, _pulse: pulse }
    }

    /// The record so far, cumulative since the start; may be called many times.
    pub fn look(&mut self) -> Record {
        let (answer, answered) = mpsc::channel();
        let asked = self.asks.as_ref().is_some_and(|asks| asks.send(answer).is_ok());
        if asked && let Ok(record) = answered.recv_timeout(Duration::from_millis(LOOK_MS_MAX)) {
            self.last = record;
        }
        self.last.clone()
    }
}

impl Drop for Watch {
    /// Waits until the trace is removed; the tap is closed beside, since the kernel takes its time over that.
    fn drop(&mut self) {
        self.asks = None;
        let _ = self.removed.recv_timeout(Duration::from_millis(REMOVE_MS_MAX));
    }
}

/// Answers looks until the watch is dropped.
fn serve(observer: &mut Observer, asked: &mpsc::Receiver<mpsc::Sender<Record>>) {
    while let Ok(answer) = asked.recv() {
        let _ = answer.send(observer.look());
    }
}

fn own_addresses(gaps: &mut Gaps) -> BTreeSet<IpAddr> {
    match route::addresses() {
        Ok(list) => list.into_iter().map(|own| own.prefix.address).collect(),
        Err(error) => {
            gaps.note("own addresses", crate::files::chain(&error), false);
            BTreeSet::new()
        }
    }
}

fn hostname() -> String {
    crate::text::printable(crate::files::text_or_empty("/proc/sys/kernel/hostname").trim(), 255)
}

/// Takes captured packets and tracepoints of any bytes apart, as a watch does: for fuzzing.
///
/// Returns how many packets were kept. Packets are cut at every 0xff 0xfe; the first byte of each says the way.
pub fn take_apart(bytes: &[u8]) -> usize {
    let spec = WatchSpec { port: 443, onward: true, ..WatchSpec::default() };
    let mut keeper = keep::Keeper::new(&spec);
    let own = BTreeSet::from([IpAddr::from([10, 0, 0, 1])]);
    keeper.place(own, vec![IpAddr::from([10, 0, 0, 2])], true);
    let mut rest = bytes;
    let mut at_ns = 0;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == [0xff, 0xfe]).unwrap_or(rest.len());
        let (one, after) = rest.split_at(end);
        let (way, packet) = one.split_first().unwrap_or((&0, &[]));
        let frame = ring::Frame {
            at_ns,
            outgoing: way & 1 == 1,
            other_station: false,
            interface: 1,
            mac: None,
            bytes: packet,
        };
        if let Some(seen) = packet::read(&frame) {
            keeper.take(seen);
        }
        at_ns += 1_000_000;
        rest = after.get(2..).unwrap_or_default();
    }
    let _ = tracefs::parse(&String::from_utf8_lossy(bytes));
    let _ = drops::record(bytes, bytes.first().map_or(0, |at| usize::from(*at) % bytes.len()), bytes.len());
    keeper.packets().len()
}

#[cfg(test)]
mod tests;
