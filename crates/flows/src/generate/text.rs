//! Records as AWS writes them.

use crate::names::{Names, Symbol};
use crate::record::{Action, Flow, Status};
use std::collections::HashMap;
use std::io::{Result, Write};
use std::sync::Arc;

/// Writes records as AWS VPC flow logs, version 2 or (with flags and instance) version 5.
#[derive(Debug)]
pub struct Writer<'a, W> {
    out: W,
    names: &'a Names,
    words: HashMap<Symbol, Arc<str>>,
    version: u8,
}

impl<'a, W: Write> Writer<'a, W> {
    /// Begins a file with its header.
    pub fn new(mut out: W, names: &'a Names, version: u8) -> Result<Writer<'a, W>> {
        let more = if version >= 3 { " tcp-flags" } else { "" };
        writeln!(
            out,
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status{more}"
        )?;
        Ok(Writer { out, names, words: HashMap::new(), version })
    }

    pub fn write(&mut self, flow: &Flow) -> Result<()> {
        let names = self.names;
        for symbol in [flow.account, flow.interface] {
            self.words.entry(symbol).or_insert_with(|| names.word(symbol));
        }
        let (account, interface) = (&self.words[&flow.account], &self.words[&flow.interface]);
        let (version, start, end) = (self.version, flow.start_ms / 1000, flow.end_ms / 1000);
        if flow.status != Status::Ok {
            write!(self.out, "{version} {account} {interface} - - - - - - - {start} {end} - NODATA")?;
        } else {
            let action = if flow.action == Action::Reject { "REJECT" } else { "ACCEPT" };
            write!(
                self.out,
                "{version} {account} {interface} {} {} {} {} {} {} {} {start} {end} {action} OK",
                flow.source,
                flow.destination,
                flow.source_port,
                flow.destination_port,
                flow.protocol,
                flow.packets,
                flow.bytes,
            )?;
        }
        match (version >= 3, flow.status) {
            (false, _) => writeln!(self.out),
            (true, Status::Ok) => writeln!(self.out, " {}", flow.tcp_flags),
            (true, _) => writeln!(self.out, " -"),
        }
    }

    /// Gives back what it wrote to.
    pub fn end(mut self) -> Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
