//! One look: everything a record holds, read side by side.

use super::drops::Drops;
use super::firewall::Firewall;
use super::held::Held;
use super::proxies::Proxies;
use super::pulse::{Live, lock};
use super::readings::{self, Processor};
use super::routes::{self, Parties};
use super::telling::{self, Links};
use super::waits::Waits;
use super::wire::Wire;
use crate::counters::{self, Counters};
use crate::files::{Gaps, chain};
use crate::{logs, network, processes};
use netwhy_model::Stamp;
use netwhy_model::host::{Conntrack, LocalRoute, LogSign, Process, Record};
use netwhy_netfilter::NetfilterError;
use netwhy_netlink::route;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Processes whose processor time is noted when the watch begins.
const PROCESS_COUNT_MAX: usize = 64;
/// Log lines recognised.
const SIGN_COUNT_MAX: usize = 200;
/// How long a look waits for logs; what comes later stands in the next one.
const LOGS_MS_MAX: u64 = 400;

/// What was before, and what is set up for the watch.
#[derive(Debug)]
pub(super) struct Observer {
    blank: Record,
    live: Arc<Mutex<Live>>,
    counters: Counters,
    links: Links,
    firewall: Firewall,
    processor: Processor,
    began: Instant,
    /// Processor time of the processes behind the port when the watch began, in seconds.
    cpu_before: BTreeMap<u32, f64>,
    signs: Vec<LogSign>,
    proxies: Proxies,
    waits: Waits,
}

impl Observer {
    /// Reads what is before; what waits for the kernel runs side by side.
    pub(super) fn start(blank: Record, live: Arc<Mutex<Live>>) -> Observer {
        let drops = blank.spec.trace.then(|| {
            let live = Arc::clone(&live);
            thread::spawn(move || start_drops(&live))
        });
        let counters = counters::read();
        let firewall = Firewall::start(&blank.spec);
        if let Some(drops) = drops {
            // A panic there leaves the drop reasons out, and nothing else.
            let _ = drops.join();
        }
        Observer {
            blank,
            live,
            counters,
            links: Links::read(),
            firewall,
            processor: readings::processor(),
            began: Instant::now(),
            cpu_before: BTreeMap::new(),
            signs: Vec::new(),
            proxies: Proxies::default(),
            waits: Waits::default(),
        }
    }

    /// Notes how much processor time the processes behind the port have used so far.
    pub(super) fn note_processes(&mut self) {
        let listeners = lock(&self.live).queues.look().unwrap_or_default();
        let inodes = listeners.iter().map(|listener| listener.inode).collect();
        let pids: BTreeSet<u32> = processes::owners(&inodes).into_values().flatten().collect();
        self.began = Instant::now();
        self.cpu_before = pids
            .into_iter()
            .take(PROCESS_COUNT_MAX)
            .filter_map(|pid| Some((pid, processes::cpu_seconds(pid)?)))
            .collect();
    }

    /// Removes the trace.
    pub(super) fn remove(&mut self) {
        self.firewall.remove();
    }

    /// Reads everything once more.
    pub(super) fn look(&mut self) -> Record {
        let wire = Wire::take(&self.live);
        let mut gaps = Gaps::default();
        gaps.join(wire.unread.clone());
        let mut record = self.blank.clone();
        let Observer { firewall, cpu_before, began, processor, counters, .. } = self;
        let spec = &record.spec;
        let (filter, mut held, signs, place) = thread::scope(|scope| {
            let filter = scope.spawn(|| firewall.look());
            let behind = scope.spawn(|| {
                let held = Held::read(spec, &wire, &record.own_addresses, cpu_before, began.elapsed());
                let signs = read_logs(held.processes.clone(), record.started);
                (held, signs)
            });
            let place = Place::read(&record, &wire, &mut gaps);
            let (held, signs) = behind.join().unwrap_or_default();
            (filter.join().unwrap_or_default(), held, signs, place)
        });
        match signs {
            Some(signs) => self.signs = signs,
            None => gaps.note("logs", format!("reading them took longer than {LOGS_MS_MAX} ms"), false),
        }
        self.waits.look(&mut held.processes);
        record.counters = telling::deltas(counters, &counters::read());
        record.counters.extend(self.links.deltas(&place.network.interfaces));
        record.readings = readings::read(&place.network, &held.processes, *processor, &mut gaps);
        record.signs.clone_from(&self.signs);
        place.fill(&mut record);
        (record.rules, record.candidates, record.trace) = (filter.rules, filter.candidates, filter.trace);
        gaps.join(filter.unread);
        gaps.join(held.unread.clone());
        held.fill(&mut record);
        wire.fill(&mut record);
        self.proxies.fill(&mut record, &mut gaps);
        record.unread = gaps.into_unread();
        record.ended = SystemTime::now().into();
        record
    }
}

fn start_drops(live: &Mutex<Live>) {
    match Drops::start() {
        Ok(drops) => lock(live).drops = Some(drops),
        Err(error) => {
            let mut gaps = Gaps::default();
            let refused = error.kind() == std::io::ErrorKind::PermissionDenied;
            let why = format!("the tracepoint skb:kfree_skb needs root of the first user namespace: {error}");
            gaps.note("drop reasons", why, refused);
            lock(live).unread.extend(gaps.into_unread());
        }
    }
}

/// Reads the logs since the watch began; `None` when that takes too long.
fn read_logs(processes: Vec<Process>, since: Stamp) -> Option<Vec<LogSign>> {
    let (done, read) = mpsc::channel();
    let reader = move || {
        let mut signs = logs::signs(&processes, since);
        signs.truncate(SIGN_COUNT_MAX);
        // Nobody may wait any more.
        let _ = done.send(signs);
    };
    thread::Builder::new().name("netwhy-logs".to_owned()).spawn(reader).ok()?;
    read.recv_timeout(Duration::from_millis(LOGS_MS_MAX)).ok()
}

/// Where this host stands in its network.
struct Place {
    network: network::Network,
    own: BTreeSet<IpAddr>,
    routes: Vec<LocalRoute>,
    conntrack: Option<Conntrack>,
}

impl Place {
    fn read(record: &Record, wire: &Wire, gaps: &mut Gaps) -> Place {
        let network = network::read(gaps);
        let own: BTreeSet<IpAddr> = network
            .interfaces
            .iter()
            .flat_map(|interface| &interface.addresses)
            .filter_map(|text| text.split('/').next()?.parse().ok())
            .collect();
        let parties = Parties {
            own: own.clone(),
            targets: record.spec.targets.clone(),
            sources: record.spec.sources.clone(),
            knockers: wire.knockers.clone(),
            onward: wire
                .translated
                .iter()
                .map(|(to, _)| *to)
                .chain(wire.destinations.iter().map(SocketAddr::ip))
                .collect(),
            forwards: record.forwards_v4 || record.forwards_v6,
        };
        let links = route::links().map(|list| list.items).unwrap_or_default();
        let routes = routes::look_up(&parties.ways(), &links).unwrap_or_else(|error| {
            gaps.note("routes to the source", chain(&error), false);
            Vec::new()
        });
        let conntrack = match netwhy_netfilter::conntrack_fill() {
            Ok(state) => Some(state).filter(|state| state.max > 0 || state.count > 0),
            Err(NetfilterError::NoConntrack) => None,
            Err(error) => {
                gaps.note("connection tracking", chain(&error), error.root_helps());
                None
            }
        };
        Place { network, own, routes, conntrack }
    }

    fn fill(self, record: &mut Record) {
        (record.forwards_v4, record.forwards_v6) = readings::forwards();
        record.own_addresses = self.own.into_iter().collect();
        record.interfaces = self.network.interfaces;
        record.neighbours = self.network.neighbours;
        record.routes = self.routes;
        record.conntrack = self.conntrack;
    }
}
