//! Where results go: the page or JSON lines on stdout, and files beside it. A file that cannot be written is told and
//! left; the scan and the other outputs go on.

use super::compare::Difference;
use super::csv::Csv;
use super::lines::Lines;
use super::xml::Xml;
use crate::failure::while_trying;
use anyhow::Result;
use netwhy_scan::{Finding, Plan, Summary};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What takes findings as they come.
pub(super) trait Sink {
    fn found(&mut self, finding: &Finding) -> io::Result<()>;

    /// A port told before is another after all.
    fn revised(&mut self, finding: &Finding) -> io::Result<()> {
        self.found(finding)
    }

    /// Nothing more comes for now: what was held back is written.
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, summary: &Summary, differences: Option<&[Difference]>) -> io::Result<()>;
}

/// The flags that name outputs.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Flags {
    /// Write JSON lines into this file as well ('-' for stdout)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    jsonl: Option<PathBuf>,
    /// Write XML as nmap does into this file ('-' for stdout)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    xml: Option<PathBuf>,
    /// Write comma-separated values into this file ('-' for stdout)
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    csv: Option<PathBuf>,
}

impl Flags {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.jsonl, &self.xml, &self.csv].into_iter().flatten()
    }

    /// Whether one of them takes stdout, so that the page must not.
    pub(super) fn take_stdout(&self) -> bool {
        self.paths().any(|path| is_stdout(path))
    }

    /// Refuses two outputs in one place.
    pub(super) fn check(&self, json: bool) -> Result<()> {
        let on_stdout = self.paths().filter(|path| is_stdout(path)).count() + usize::from(json);
        let mut files: Vec<&PathBuf> = self.paths().filter(|path| !is_stdout(path)).collect();
        let count = files.len();
        files.sort();
        files.dedup();
        match on_stdout > 1 || files.len() < count {
            true => Err(crate::fail(
                ("two outputs go to one place", "两种输出写往同一处"),
                ("give each a file of its own", "各给一个文件"),
            )),
            false => Ok(()),
        }
    }

    /// Whether closed and silent ports are needed though nobody asked to see them.
    pub(super) fn need_all(&self) -> bool {
        self.xml.is_some()
    }
}

/// A sink with its name and whether it wants closed and silent ports.
struct Named {
    name: String,
    /// XML counts closed and silent ports whether shown or not.
    takes_all: bool,
    sink: Box<dyn Sink + Send>,
}

/// All outputs of a scan.
pub(super) struct Outputs {
    sinks: Vec<Named>,
    failed: Vec<(String, io::Error)>,
}

impl Outputs {
    /// Opens them, so that a slip shows before anything is sent or said.
    pub(super) fn open(
        flags: &Flags,
        json: bool,
        plan: &Plan,
        names: &BTreeMap<IpAddr, String>,
    ) -> Result<Self> {
        let mut outputs = Self { sinks: Vec::new(), failed: Vec::new() };
        if json {
            outputs.add("stdout", Lines::new(buffered_stdout(), plan));
        }
        if let Some(path) = &flags.jsonl {
            outputs.add(&path.display().to_string(), Lines::new(create(path)?, plan));
        }
        if let Some(path) = &flags.csv {
            let csv = Csv::new(create(path)?).map_err(|error| cannot_write(path.display(), error))?;
            outputs.add(&path.display().to_string(), csv);
        }
        if let Some(path) = &flags.xml {
            let sink = Box::new(Xml::new(create(path)?, plan, names));
            outputs.sinks.push(Named { name: path.display().to_string(), takes_all: true, sink });
        }
        Ok(outputs)
    }

    /// Adds one that takes what is shown.
    pub(super) fn add(&mut self, name: &str, sink: impl Sink + Send + 'static) {
        self.sinks.push(Named { name: name.to_owned(), takes_all: false, sink: Box::new(sink) });
    }

    /// Tells one finding; `shown` is false for closed and silent ports nobody asked to see.
    pub(super) fn found(&mut self, finding: &Finding, shown: bool) {
        self.each(|named| if shown || named.takes_all { named.sink.found(finding) } else { Ok(()) });
    }

    /// Tells a finding that replaces another.
    pub(super) fn revised(&mut self, finding: &Finding) {
        self.each(|named| named.sink.revised(finding));
    }

    /// Writes what was held back.
    pub(super) fn settle(&mut self) {
        self.each(|named| named.sink.settle());
    }

    /// Ends all of them.
    pub(super) fn end(&mut self, summary: &Summary, differences: Option<&[Difference]>) {
        self.each(|named| named.sink.end(summary, differences));
    }

    /// Whether nobody takes anything any more.
    pub(super) fn is_deserted(&self) -> bool {
        self.sinks.is_empty()
    }

    /// The outputs that failed since the last call, with why.
    pub(super) fn failures(&mut self) -> Vec<(String, io::Error)> {
        std::mem::take(&mut self.failed)
    }

    fn each(&mut self, mut act: impl FnMut(&mut Named) -> io::Result<()>) {
        let failed = &mut self.failed;
        self.sinks.retain_mut(|named| match act(named) {
            Ok(()) => true,
            Err(error) => {
                failed.push((named.name.clone(), error));
                false
            }
        });
    }
}

/// Stdout in large pieces; [`Sink::settle`] writes what waits.
pub(super) fn buffered_stdout() -> BufWriter<Stdout> {
    BufWriter::new(io::stdout())
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn create(path: &Path) -> Result<Box<dyn Write + Send>> {
    if is_stdout(path) {
        return Ok(Box::new(buffered_stdout()));
    }
    let file = File::create(path).map_err(|error| cannot_write(path.display(), error))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// An output that cannot be written.
pub(super) fn cannot_write(name: impl Display, error: io::Error) -> anyhow::Error {
    while_trying((format!("cannot write {name}"), format!("无法写入 {name}")), error)
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::summary;
    use super::super::results::samples;
    use super::*;
    use netwhy_scan::{Hosts, Ports, Protocol};

    #[test]
    fn a_full_disk_ends_one_output_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("a.csv");
        let flags = Flags { csv: Some(csv.clone()), jsonl: Some("/dev/full".into()), xml: None };
        let hosts = Hosts::parse(&["10.0.0.2"], &[]).unwrap();
        let plan = Plan::new(hosts, Ports::all(Protocol::Tcp));
        let mut outputs = Outputs::open(&flags, false, &plan, &BTreeMap::new()).unwrap();
        samples::findings().iter().for_each(|finding| outputs.found(finding, true));
        outputs.settle();
        outputs.end(&summary(), None);
        let failed = outputs.failures();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].0, "/dev/full");
        assert_eq!(failed[0].1.kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 8);
    }

    #[test]
    fn two_outputs_need_two_places() {
        let both = Flags { csv: Some("-".into()), xml: Some("-".into()), jsonl: None };
        assert!(both.check(false).is_err());
        let one = Flags { csv: Some("-".into()), ..Flags::default() };
        assert!(one.check(false).is_ok() && one.check(true).is_err() && one.take_stdout());
        let same = Flags { csv: Some("a".into()), xml: Some("a".into()), jsonl: None };
        assert!(same.check(false).is_err());
    }
}
