//! Listening sockets with their queues and owners.

use super::part::{Cell, Item, Part, Table, worse};
use super::words::{bytes, fill_state, grouped};
use super::{Looked, Topic};
use netwhy_model::Lang;
use netwhy_model::host::{Listener, Process, Snapshot, State, Transport};

/// Listeners shown unless everything is wanted.
const LISTENER_COUNT_MAX: usize = 16;
/// Rows of one table when everything is wanted.
const ROW_FULL_COUNT_MAX: usize = 2_000;
/// Unread bytes of a UDP socket from which on it is marked: nobody reads it.
const UDP_UNREAD_ODD_BYTES_MIN: u32 = 65_536;

/// Listening sockets of one address and owner: a program may share a port between many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// The one whose queue is fullest.
    pub worst: &'a Listener,
    pub sockets: usize,
    /// Half-open connections of the port.
    pub half_open: u64,
    pub state: State,
}

/// The listeners grouped, trouble first, then TCP by port, then UDP.
pub fn groups(snapshot: &Snapshot) -> Vec<Group<'_>> {
    let mut sorted: Vec<&Listener> = snapshot.listeners.iter().collect();
    let same =
        |l: &Listener| (l.transport, l.address.port(), l.address.ip(), l.interface.clone(), l.pids.clone());
    sorted.sort_by_cached_key(|listener| same(listener));
    let mut groups: Vec<Group<'_>> = sorted
        .chunk_by(|a, b| same(a) == same(b))
        .filter_map(|sockets| {
            let worst = sockets.iter().copied().max_by(|a, b| queue_fill(a).total_cmp(&queue_fill(b)))?;
            let half_open = sockets.iter().map(|socket| u64::from(socket.half_open)).max().unwrap_or(0);
            let state = worse(queue_state(worst), files_state(worst, snapshot));
            Some(Group { worst, sockets: sockets.len(), half_open, state })
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.state));
    groups
}

/// `nginx[812]`, `nginx[812 +3]`; empty when the owner could not be read.
pub fn process_label(snapshot: &Snapshot, pids: &[u32]) -> String {
    let Some(first) = pids.first() else { return String::new() };
    let name = owner(snapshot, pids).map_or("?", |process| process.name.as_str());
    match pids.len() - 1 {
        0 => format!("{name}[{first}]"),
        more => format!("{name}[{first} +{more}]"),
    }
}

/// The process told of for these ids: the first that was read.
fn owner<'a>(snapshot: &'a Snapshot, pids: &[u32]) -> Option<&'a Process> {
    pids.iter().find_map(|pid| snapshot.processes.iter().find(|process| process.pid == *pid))
}

/// How full the accept queue is; a queue without a limit is not.
fn queue_fill(listener: &Listener) -> f64 {
    match listener.queue_max {
        0 => 0.0,
        max => f64::from(listener.queue) / f64::from(max),
    }
}

fn queue_state(listener: &Listener) -> State {
    match listener.transport {
        Transport::Tcp => fill_state(Some(queue_fill(listener))),
        Transport::Udp if listener.queue >= UDP_UNREAD_ODD_BYTES_MIN => State::Odd,
        Transport::Udp => State::Well,
    }
}

fn files_fill(process: &Process) -> Option<f64> {
    match (process.files_open, process.files_max) {
        (Some(open), Some(max)) if max > 0 => Some(open as f64 / max as f64),
        _ => None,
    }
}

fn files_state(listener: &Listener, snapshot: &Snapshot) -> State {
    fill_state(owner(snapshot, &listener.pids).and_then(files_fill))
}

/// Everything that listens.
pub(super) fn listeners(looked: &Looked<'_>) -> Part {
    let groups = groups(looked.snapshot);
    if groups.is_empty() {
        return Part::default();
    }
    let title = match looked.lang {
        Lang::En => format!("Listeners ({})", looked.snapshot.listeners.len()),
        Lang::Zh => format!("监听（{}）", looked.snapshot.listeners.len()),
    };
    let table = |rows_max| Item::from(listener_table(&groups, rows_max, looked));
    let brief = vec![table(LISTENER_COUNT_MAX)];
    let full = if groups.len() > LISTENER_COUNT_MAX { vec![table(ROW_FULL_COUNT_MAX)] } else { Vec::new() };
    Part { title, brief, full, topic: Topic::Listeners }
}

fn listener_table(groups: &[Group<'_>], rows_max: usize, looked: &Looked<'_>) -> Table {
    let lang = looked.lang;
    let mut table = Table::new(&[
        lang.pick("address", "地址"),
        lang.pick(">queue/limit", ">队列/上限"),
        lang.pick("?>half-open", "?>半连接"),
        lang.pick("?>drops", "?>丢弃"),
        lang.pick("process", "进程"),
        lang.pick("?>files/limit", "?>文件/上限"),
        lang.pick("?unit or container", "?服务单元或容器"),
    ]);
    for group in groups.iter().take(rows_max) {
        table.row(group.state, listener_cells(group, looked));
    }
    table.left_out = groups.len().saturating_sub(rows_max);
    table.without_empty_columns()
}

fn listener_cells(group: &Group<'_>, looked: &Looked<'_>) -> Vec<Cell> {
    let (listener, snapshot) = (group.worst, looked.snapshot);
    let owner = owner(snapshot, &listener.pids);
    let many = if group.sockets > 1 { format!(" ×{}", group.sockets) } else { String::new() };
    let via = listener.interface.as_ref().map_or_else(String::new, |name| format!(" %{name}"));
    let queue = match listener.transport {
        Transport::Tcp => format!("{}/{}", listener.queue, listener.queue_max),
        Transport::Udp if listener.queue > 0 => bytes(u64::from(listener.queue)),
        Transport::Udp => String::new(),
    };
    let some = |count: u64| if count > 0 { grouped(count) } else { String::new() };
    let files = owner.and_then(|process| Some(format!("{}/{}", process.files_open?, process.files_max?)));
    let home = owner.map_or_else(String::new, |process| match (&process.container, &process.unit) {
        (Some(container), _) => container.clone(),
        (None, Some(unit)) => unit.clone(),
        (None, None) => String::new(),
    });
    vec![
        format!("{} {}{via}{many}", transport(listener), listener.address).into(),
        queue.into(),
        some(group.half_open).into(),
        some(listener.drops.unwrap_or(0)).into(),
        process_label(snapshot, &listener.pids).into(),
        files.unwrap_or_default().into(),
        home.into(),
    ]
}

const fn transport(listener: &Listener) -> &'static str {
    match listener.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, queue: u32, queue_max: u32) -> Listener {
        Listener {
            transport: Transport::Tcp,
            address: address.parse().unwrap(),
            v6_only: false,
            interface: None,
            queue,
            queue_max,
            half_open: 0,
            drops: None,
            inode: u64::from(queue),
            pids: vec![7],
        }
    }

    #[test]
    fn shared_ports_are_one_row_and_trouble_comes_first() {
        let listeners = vec![
            listener("0.0.0.0:80", 0, 10),
            listener("0.0.0.0:443", 11, 10),
            listener("0.0.0.0:80", 3, 10),
        ];
        let snapshot = Snapshot { listeners, ..Snapshot::default() };
        let groups = groups(&snapshot);
        let told: Vec<_> = groups.iter().map(|g| (g.worst.address.port(), g.sockets, g.state)).collect();
        assert_eq!(told, [(443, 1, State::Bad), (80, 2, State::Well)]);
        assert_eq!(groups[1].worst.queue, 3);
    }

    #[test]
    fn an_owner_that_could_not_be_read_is_not_invented() {
        let snapshot = Snapshot::default();
        assert_eq!(process_label(&snapshot, &[]), "");
        assert_eq!(process_label(&snapshot, &[4, 5]), "?[4 +1]");
    }
}
