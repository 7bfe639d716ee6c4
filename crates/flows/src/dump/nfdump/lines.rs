//! Lines for people (`-o line`, `long`, `extended` and their 6 forms), and the pipe format.

use super::Line;
use super::words::{clock_ms, port, protocol, scaled, tcp_flags, time};
use crate::record::{Address, Flow, Opener};
use netwhy_wire::TcpFlags;
use std::net::IpAddr;

/// Columns of one heading.
const COLUMN_COUNT_MAX: usize = 32;
/// Columns of the pipe format.
const PIPE_COLUMNS: usize = 22;

/// What the columns behind the addresses are.
#[derive(Debug)]
pub struct Columns {
    /// An event of a firewall stands before the protocol.
    events: bool,
    behind: Vec<Column>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Flags,
    Packets,
    Bytes,
    Other,
}

impl Columns {
    /// Reads a heading; `None` when the line is none.
    pub fn of(line: &str) -> Option<Columns> {
        let heading = line.trim_start();
        if !heading.starts_with("Date f") && !heading.starts_with("Date e") {
            return None;
        }
        let (before, behind) = heading.split_once("Dst IP Addr:Port")?;
        let behind = behind.replace("In Pkt", "In-Pkt").replace("Out Pkt", "Out-Pkt");
        let behind = behind.replace("In Byte", "In-Byte").replace("Out Byte", "Out-Byte");
        let column = |word| match word {
            "Flags" => Column::Flags,
            "Packets" | "In-Pkt" => Column::Packets,
            "Bytes" | "In-Byte" => Column::Bytes,
            _ => Column::Other,
        };
        let behind = behind.split_whitespace().take(COLUMN_COUNT_MAX).map(column).collect();
        Some(Columns { events: before.contains("Event"), behind })
    }

    /// Reads one line.
    pub fn flow(&self, line: &str, base: &Flow) -> Line {
        if line.contains("..") && line.split_whitespace().any(is_shortened) {
            return Line::Bad(
                "nfdump shortened an IPv6 address; print with -6 or in another format",
                "nfdump 缩短了 IPv6 地址；请加 -6 或改用其他格式输出",
            );
        }
        let bad = Line::Bad("the line does not have the columns of its heading", "该行与表头的列不符");
        self.parse(line, base).map_or(bad, Line::Flow)
    }

    fn parse(&self, line: &str, base: &Flow) -> Option<Flow> {
        let mut words = line.split_whitespace();
        let start_ms = time(words.next()?, words.next()?)?;
        let mut word = words.next()?;
        let mut duration_ms = 0;
        if !self.events || clock_ms(word).is_some() {
            duration_ms = clock_ms(word)?;
            word = words.next()?;
        }
        // Event and extended event of a firewall.
        for _ in 0..2 {
            if self.events && protocol(word).is_none() {
                word = words.next()?;
            }
        }
        let protocol = protocol(word)?;
        let (source, source_port) = end(words.next()?)?;
        words.next().filter(|arrow| matches!(*arrow, "->" | "<->"))?;
        let (destination, destination_port) = end(words.next()?)?;
        let mut flow = Flow {
            start_ms,
            end_ms: start_ms.checked_add(duration_ms)?,
            protocol,
            source,
            source_port,
            destination,
            destination_port,
            ..*base
        };
        let mut words = words.peekable();
        for column in &self.behind {
            let word = words.next()?;
            let unit = words.next_if(|next| matches!(*next, "K" | "M" | "G" | "T"));
            match column {
                Column::Flags => flow.tcp_flags = tcp_flags(word),
                Column::Packets => flow.packets = scaled(word, unit)?,
                Column::Bytes => flow.bytes = scaled(word, unit)?,
                Column::Other => {}
            }
        }
        flow.opener = opener(&flow);
        Some(flow)
    }
}

/// Whether a SYN alone tells who began.
pub fn opener(flow: &Flow) -> Opener {
    if flow.protocol == 6 && TcpFlags(flow.tcp_flags).is_syn() { Opener::Source } else { Opener::Unknown }
}

/// Reads `10.0.0.1:80`, `10.0.0.1:8.0`, `fe80::1.80` or `fe80::1.135.0`.
fn end(word: &str) -> Option<(Address, u16)> {
    let split = |at: usize| {
        let address: IpAddr = word.get(..at)?.parse().ok()?;
        Some((Address::from(address), port(word.get(at + 1..)?)?))
    };
    if let Some(at) = word.rfind(':')
        && word[..at].contains('.')
    {
        return split(at);
    }
    word.match_indices('.').find_map(|(at, _)| split(at))
}

/// `fe80::2..05:80da.0`: the middle is left out.
fn is_shortened(word: &str) -> bool {
    word.contains("..") && word.contains(':')
}

/// Reads a line of the pipe format: family, times, protocol, then each address as four numbers.
pub fn pipe(line: &str, base: &Flow) -> Option<Flow> {
    let mut fields = [0_u64; PIPE_COLUMNS];
    let mut words = line.trim().split('|');
    for field in &mut fields {
        *field = words.next()?.parse().ok()?;
    }
    if words.next().is_some() || !matches!(fields[0], 2 | 10) {
        return None;
    }
    let v6 = fields[0] == 10;
    let address = |at: usize| {
        let number = fields[at..at + 4].iter().fold(0_u128, |number, part| number << 32 | u128::from(*part));
        if v6 { Address(number) } else { Address::v4(number as u32) }
    };
    let mut flow = Flow {
        start_ms: fields[1].cast_signed(),
        end_ms: fields[2].cast_signed(),
        protocol: u8::try_from(fields[3]).ok()?,
        source: address(4),
        source_port: u16::try_from(fields[8]).ok()?,
        destination: address(9),
        destination_port: u16::try_from(fields[13]).ok()?,
        tcp_flags: fields[18] as u8 & 0x3f,
        packets: fields[20],
        bytes: fields[21],
        ..*base
    };
    flow.opener = opener(&flow);
    Some(flow)
}
