//! nfdump's CSV: the columns are found by their names, which have changed over the years.

use super::Line;
use super::lines::opener;
use super::words::{clock_ms, port, protocol, tcp_flags, time};
use crate::names::{Names, Symbol};
use crate::record::{Address, Direction, Flow};
use std::net::IpAddr;

/// Columns of one heading; `-o csv` has 48.
const COLUMN_COUNT_MAX: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Start,
    End,
    Duration,
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    Protocol,
    Flags,
    Packets,
    Bytes,
    Input,
    Direction,
    Other,
}

/// What the columns are.
#[derive(Debug)]
pub struct Columns {
    columns: Vec<Column>,
}

impl Columns {
    /// Reads a heading; `None` when the line is none.
    pub fn of(line: &str) -> Option<Columns> {
        let columns: Vec<Column> = line.split(',').take(COLUMN_COUNT_MAX).map(column).collect();
        let known = [Column::Source, Column::Destination, Column::Bytes];
        let heading = line.starts_with("ts,") || line.starts_with("first");
        (heading && known.iter().all(|column| columns.contains(column))).then_some(Columns { columns })
    }

    /// Reads one line.
    pub fn flow(&self, line: &str, base: &Flow, names: &Names) -> Line {
        let bad = Line::Bad("the line does not have the columns of its heading", "该行与表头的列不符");
        self.parse(line, base, names).map_or(bad, Line::Flow)
    }

    fn parse(&self, line: &str, base: &Flow, names: &Names) -> Option<Flow> {
        let mut flow = *base;
        let mut duration_ms = None;
        let mut words = line.split(',');
        for column in &self.columns {
            let word = words.next()?.trim();
            match column {
                Column::Start => flow.start_ms = moment(word)?,
                Column::End => flow.end_ms = moment(word)?,
                Column::Duration => duration_ms = clock_ms(word),
                Column::Source => flow.source = address(word)?,
                Column::Destination => flow.destination = address(word)?,
                Column::SourcePort => flow.source_port = port(word)?,
                Column::DestinationPort => flow.destination_port = port(word)?,
                Column::Protocol => flow.protocol = protocol(word)?,
                Column::Flags => flow.tcp_flags = tcp_flags(word),
                Column::Packets => flow.packets = word.parse().ok()?,
                Column::Bytes => flow.bytes = word.parse().ok()?,
                Column::Input => flow.interface = interface(word, names),
                Column::Direction if word == "1" => flow.direction = Direction::Out,
                Column::Direction | Column::Other => {}
            }
        }
        if flow.end_ms == 0 {
            flow.end_ms = flow.start_ms.checked_add(duration_ms.unwrap_or(0))?;
        }
        flow.opener = opener(&flow);
        Some(flow)
    }
}

fn column(name: &str) -> Column {
    match name.trim() {
        "ts" | "firstSeen" | "first" => Column::Start,
        "te" | "lastSeen" | "last" => Column::End,
        "td" | "duration" => Column::Duration,
        "sa" | "srcAddr" | "srcaddr" => Column::Source,
        "da" | "dstAddr" | "dstaddr" => Column::Destination,
        "sp" | "srcPort" | "srcport" => Column::SourcePort,
        "dp" | "dstPort" | "dstport" => Column::DestinationPort,
        "pr" | "proto" => Column::Protocol,
        "flg" | "flags" => Column::Flags,
        "ipkt" | "packets" | "inPackets" => Column::Packets,
        "ibyt" | "bytes" | "inBytes" => Column::Bytes,
        "in" | "input" => Column::Input,
        "dir" => Column::Direction,
        _ => Column::Other,
    }
}

/// A date and a time, or milliseconds since 1970.
fn moment(word: &str) -> Option<i64> {
    match word.split_once([' ', 'T']) {
        Some((date, clock)) => time(date, clock.trim_end_matches('Z')),
        None => word.parse().ok(),
    }
}

fn address(word: &str) -> Option<Address> {
    word.parse::<IpAddr>().ok().map(Address::from)
}

fn interface(word: &str, names: &Names) -> Symbol {
    match word.parse::<u32>() {
        Ok(number) if number > 0 => names.symbol(word),
        _ => Symbol::NONE,
    }
}
