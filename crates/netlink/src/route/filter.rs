//! Filters of traffic control: they see, change and drop packets outside of the firewall.

use super::qdisc::{HEADER_LEN, Statistics};
use super::{Listed, Qdisc, list, name, qdiscs};
use crate::attribute::{attributes, ne32};
use crate::connection::NetlinkError;
use std::fmt;

const GET_FILTER: u16 = 46;
/// Filters kept per place.
pub const FILTER_COUNT_MAX: usize = 4_096;
/// Places (interface and direction) looked at.
const PLACE_COUNT_MAX: usize = 4_096;
/// Actions read of one filter (TCA_ACT_MAX_PRIO).
const ACTION_COUNT_MAX: usize = 32;
/// The two ends of a clsact (TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS).
const PARENT_INGRESS: u32 = 0xffff_fff2;
const PARENT_EGRESS: u32 = 0xffff_fff3;

/// One action of a filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterAction {
    /// `gact`, `mirred`, `police`, `pedit`, `bpf`, …
    pub kind: String,
    /// What becomes of the packet: `drop`, `pass`, `stolen`, …; empty when not read.
    pub verdict: &'static str,
    pub packets: u64,
    pub drops: u32,
}

/// One filter. Displays in one line, as `ingress u32 priority 10: gact drop`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub interface: u32,
    pub interface_name: String,
    /// Sees packets that come in; else packets that go out.
    pub ingress: bool,
    /// `u32`, `flower`, `matchall`, `bpf`, …
    pub kind: String,
    pub priority: u16,
    /// EtherType: 0x0800 is IPv4, 3 is every protocol.
    pub protocol: u16,
    pub handle: u32,
    /// Name and id of a BPF program.
    pub program: Option<String>,
    pub program_id: Option<u32>,
    /// The program itself says what becomes of the packet.
    pub direct_action: bool,
    pub actions: Vec<FilterAction>,
}

impl Filter {
    /// Some packets may end here: dropped, or led elsewhere.
    pub fn can_drop(&self) -> bool {
        let ends = |action: &FilterAction| {
            matches!(action.verdict, "drop" | "stolen" | "queued" | "redirect" | "trap")
        };
        self.direct_action || self.actions.iter().any(ends)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.ingress { "ingress" } else { "egress" };
        write!(f, "{direction} {} priority {}", self.kind, self.priority)?;
        if let Some(program) = &self.program {
            write!(f, " {program}")?;
        }
        if let Some(id) = self.program_id {
            write!(f, " id {id}")?;
        }
        for action in &self.actions {
            write!(f, ": {} {}", action.kind, action.verdict)?;
        }
        Ok(())
    }
}

/// Lists the filters of every interface: at both ends of a clsact, at an ingress, and below queueing disciplines.
pub fn filters() -> Result<Listed<Filter>, NetlinkError> {
    let disciplines = qdiscs()?;
    let mut all = Listed { items: Vec::new(), complete: disciplines.complete };
    let mut count = 0;
    for qdisc in &disciplines.items {
        for parent in parents(qdisc) {
            count += 1;
            if count > PLACE_COUNT_MAX {
                return Ok(Listed { complete: false, ..all });
            }
            let found = match filters_at(qdisc, *parent) {
                // The discipline takes no filters, or went away.
                Err(NetlinkError::Refused(_)) => continue,
                other => other?,
            };
            all.complete &= found.complete;
            all.items.extend(found);
        }
    }
    Ok(all)
}

/// Where the filters of a discipline hang.
fn parents(qdisc: &Qdisc) -> &[u32] {
    match qdisc.kind.as_str() {
        "clsact" => &[PARENT_INGRESS, PARENT_EGRESS],
        "ingress" => &[PARENT_INGRESS],
        // The default ones have no handle and no filters.
        _ if qdisc.handle == 0 => &[],
        _ => std::slice::from_ref(&qdisc.handle),
    }
}

fn filters_at(qdisc: &Qdisc, parent: u32) -> Result<Listed<Filter>, NetlinkError> {
    let mut header = vec![0; 4];
    for word in [qdisc.interface, 0, parent, 0] {
        header.extend(word.to_ne_bytes());
    }
    let mut found = list(GET_FILTER, &header, FILTER_COUNT_MAX, parse_filter)?;
    for filter in &mut found.items {
        // A block shared by several interfaces names none.
        filter.interface = qdisc.interface;
        filter.interface_name.clone_from(&qdisc.interface_name);
        filter.ingress = parent == PARENT_INGRESS;
    }
    Ok(found)
}

/// Reads one filter; `None` when it is too short or only a node of the classifier's own structure.
///
/// The direction is that of its parent when that is a clsact; the interface's name is left empty.
pub fn parse_filter(message: &[u8]) -> Option<Filter> {
    let head = message.first_chunk::<HEADER_LEN>()?;
    let info = ne32(&head[16..]);
    let mut filter = Filter {
        interface: ne32(&head[4..]),
        handle: ne32(&head[8..]),
        ingress: ne32(&head[12..]) == PARENT_INGRESS,
        priority: (info >> 16) as u16,
        protocol: u16::from_be(info as u16),
        ..Filter::default()
    };
    let mut options = None;
    for (kind, value) in attributes(message.get(HEADER_LEN..)?) {
        match kind {
            1 => filter.kind = name(value),
            2 => options = Some(value),
            _ => {}
        }
    }
    // A classifier without a handle announces itself; its filters follow.
    let options = options.filter(|_| filter.handle != 0)?;
    read_options(options, &mut filter)?;
    Some(filter)
}

/// Each classifier numbers its attributes its own way (linux/pkt_cls.h).
fn read_options(options: &[u8], filter: &mut Filter) -> Option<()> {
    const U32_DIVISOR: u16 = 4;
    const BPF_NAME: u16 = 7;
    const BPF_FLAGS: u16 = 8;
    const BPF_ID: u16 = 11;
    let actions = match filter.kind.as_str() {
        "u32" => 7,
        "flower" | "basic" => 3,
        "matchall" => 2,
        "bpf" | "cgroup" => 1,
        "fw" => 4,
        "flow" => 9,
        "route" => 6,
        _ => 0,
    };
    let bpf = filter.kind == "bpf";
    for (kind, value) in attributes(options) {
        match kind {
            U32_DIVISOR if filter.kind == "u32" => return None,
            kind if kind == actions => filter.actions = read_actions(value),
            BPF_NAME if bpf => filter.program = Some(name(value)),
            BPF_FLAGS if bpf => filter.direct_action = ne32(value) & 1 != 0,
            BPF_ID if bpf => filter.program_id = Some(ne32(value)),
            _ => {}
        }
    }
    Some(())
}

fn read_actions(value: &[u8]) -> Vec<FilterAction> {
    attributes(value).take(ACTION_COUNT_MAX).map(|(_, value)| read_action(value)).collect()
}

fn read_action(value: &[u8]) -> FilterAction {
    let mut action = FilterAction::default();
    let mut options: &[u8] = &[];
    for (kind, value) in attributes(value) {
        match kind {
            1 => action.kind = name(value),
            2 => options = value,
            4 => {
                let stats = Statistics::read(value);
                (action.packets, action.drops) = (stats.packets, stats.drops);
            }
            _ => {}
        }
    }
    // struct tc_police has its verdict second; every other begins with tc_gen: index, capabilities, verdict.
    let (parameters, at) = match action.kind.as_str() {
        "police" => (1, 4),
        "nat" | "ct" => (1, 8),
        "gact" | "mirred" | "bpf" | "pedit" | "skbedit" | "vlan" => (2, 8),
        _ => return action,
    };
    let found = attributes(options).find(|(kind, _)| *kind == parameters);
    action.verdict = found.and_then(|(_, value)| value.get(at..)).map_or("", |value| verdict(ne32(value)));
    action
}

/// TC_ACT_*; the upper bits mark jumps.
fn verdict(number: u32) -> &'static str {
    match number {
        0 => "pass",
        1 => "reclassify",
        2 => "drop",
        3 => "pipe",
        4 => "stolen",
        5 => "queued",
        6 => "repeat",
        7 => "redirect",
        8 => "trap",
        u32::MAX => "continue",
        other if other >> 28 == 1 => "jump",
        other if other >> 28 == 2 => "goto chain",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::Builder;

    fn message(kind: &str, options: Builder) -> Vec<u8> {
        let mut header = vec![0; 4];
        for word in [3, 1, PARENT_EGRESS, 10 << 16 | 0x0300] {
            header.extend(u32::to_ne_bytes(word));
        }
        Builder::new(&header).put_text(1, kind).nest(2, options).bytes().to_vec()
    }

    #[test]
    fn a_dropping_filter_says_so() {
        let parameters = [0_u32, 0, 2].map(u32::to_ne_bytes).concat();
        let counted = [9_u32, 0, 7].map(u32::to_ne_bytes).concat();
        let action = Builder::default()
            .put_text(1, "gact")
            .nest(2, Builder::default().put(2, &parameters))
            .nest(4, Builder::default().put(1, &counted));
        let options = Builder::default().nest(3, Builder::default().nest(1, action));
        let filter = parse_filter(&message("flower", options)).unwrap();
        assert_eq!(filter.to_string(), "egress flower priority 10: gact drop");
        assert!(filter.can_drop());
        assert_eq!((filter.actions[0].packets, filter.protocol), (7, 3));
    }

    #[test]
    fn a_program_is_named() {
        let options =
            Builder::default().put_text(7, "guard\x1b.o").put(8, &[1, 0, 0, 0]).put(11, &[9, 0, 0, 0]);
        let filter = parse_filter(&message("bpf", options)).unwrap();
        assert_eq!(filter.to_string(), "egress bpf priority 10 guard?.o id 9");
        assert!(filter.can_drop(), "the program decides");
    }

    #[test]
    fn a_node_of_the_hash_table_is_no_filter() {
        assert_eq!(parse_filter(&message("u32", Builder::default().put(4, &[1, 0, 0, 0]))), None);
    }
}
