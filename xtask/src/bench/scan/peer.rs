//! The scanners: how each is started on a target, and what it says it found.

use super::target::{ROUTER_MAC, SCANNER, TWIN_PORT, Target, Way};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Packets a second the peers are told on a way that is clear, and on the bottleneck: just what it carries.
const RATE: u32 = 100_000;
const RATE_NARROW: u32 = 20_000;
/// What nmap is told: more makes it no faster on one host.
const NMAP_RATE: u32 = 20_000;
const NMAP_RATE_MANY: u32 = 50_000;
/// New connections a second told where more are banned.
const RATE_ALLOWED: u32 = 90;

/// How netwhy is told to ask a large network, behind its addresses and ports.
pub const NETWHY_LARGE: &str = "--json --i-am-authorized --rate max";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Tools {
    pub netwhy: PathBuf,
    pub rustscan: PathBuf,
    /// Names of peers to run; none leaves netwhy alone.
    pub peers: Vec<String>,
}

/// What is measured of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Raw,
    /// Without privilege.
    Connect,
    /// Below the limit of the defence.
    Gentle,
    /// Against the defence, to see what it does.
    Fast,
}

/// How a scanner says what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    JsonLines,
    NmapGrepable,
    MasscanList,
    Addresses,
    RustScan,
}

/// One scanner with its command line on a target.
#[derive(Debug, Clone)]
pub struct Contender {
    pub name: &'static str,
    pub program: PathBuf,
    pub words: Vec<String>,
    pub form: Form,
    pub privileged: bool,
}

/// Everybody who runs on a target, netwhy first.
pub fn contenders(target: &Target, mode: Mode, tools: &Tools, folder: &Path) -> Result<Vec<Contender>> {
    let mut all = vec![netwhy(target, mode, tools)];
    match mode {
        Mode::Fast => {}
        Mode::Connect => {
            all.push(nmap("nmap -sT", target, "-sT -T4", false));
            all.push(Contender { privileged: false, ..rustscan(target, tools) });
        }
        Mode::Gentle => {
            all.push(nmap("nmap -sS -T4", target, "-sS -T4", true));
            let told = format!("-sT -T4 --max-rate {RATE_ALLOWED}");
            all.push(nmap("nmap -sT, told the limit", target, &told, true));
            all.extend([masscan(target), zmap("zmap", target, 1, folder)?, rustscan(target, tools)]);
        }
        Mode::Raw => {
            all.push(nmap("nmap -sS -T4", target, "-sS -T4", true));
            let rate = if target.many { NMAP_RATE_MANY } else { NMAP_RATE };
            let told = format!("-sS -T4 --min-rate {rate} --max-retries 1");
            all.push(nmap("nmap, told the rate", target, &told, true));
            all.extend([masscan(target), zmap("zmap", target, 1, folder)?]);
            if matches!(target.way, Way::Loses(_)) {
                all.push(zmap("zmap, 3 passes", target, 3, folder)?);
            }
            all.push(rustscan(target, tools));
        }
    }
    all.retain(|one| one.form == Form::JsonLines || (tools.wants(one.name) && exists(&one.program)));
    Ok(all)
}

impl Tools {
    fn wants(&self, name: &str) -> bool {
        self.peers.iter().any(|peer| name.starts_with(peer.as_str()))
    }
}

/// Each peer's name and what it says of its version; `None` where it is missing.
pub fn versions(tools: &Tools) -> Vec<(String, Option<String>)> {
    let programs = [
        ("nmap", "nmap".into()),
        ("masscan", "masscan".into()),
        ("zmap", "zmap".into()),
        ("rustscan", tools.rustscan.clone()),
    ];
    let version = |program: &PathBuf| {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
        text.split_whitespace().find(number).map(str::to_owned)
    };
    programs.iter().map(|(name, program)| ((*name).to_owned(), version(program))).collect()
}

fn exists(program: &Path) -> bool {
    let mut tried = Command::new(program);
    tried.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    tried.status().is_ok()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn netwhy(target: &Target, mode: Mode, tools: &Tools) -> Contender {
    let pace = match mode {
        Mode::Gentle => "--gentle",
        Mode::Raw | Mode::Connect | Mode::Fast => "--fast",
    };
    let text = format!("scan {} --ports {} --json --i-am-authorized {pace}", target.hosts(), target.ports());
    let privileged = mode != Mode::Connect;
    Contender {
        name: "netwhy",
        program: tools.netwhy.clone(),
        words: words(&text),
        form: Form::JsonLines,
        privileged,
    }
}

fn nmap(name: &'static str, target: &Target, how: &str, privileged: bool) -> Contender {
    let text = format!("-n -Pn {how} -p {} -oG - {}", target.ports(), target.hosts());
    Contender { name, program: "nmap".into(), words: words(&text), form: Form::NmapGrepable, privileged }
}

fn rate(target: &Target) -> u32 {
    if matches!(target.way, Way::Narrow(_)) { RATE_NARROW } else { RATE }
}

fn masscan(target: &Target) -> Contender {
    let text = format!(
        "{} -p {} --rate {} --retries 1 --wait 2 -e eth0 --adapter-ip {SCANNER} --router-mac {ROUTER_MAC} -oL -",
        target.hosts(),
        target.ports(),
        rate(target)
    );
    Contender {
        name: "masscan",
        program: "masscan".into(),
        words: words(&text),
        form: Form::MasscanList,
        privileged: true,
    }
}

/// One port a run: it asks as many addresses instead.
fn zmap(name: &'static str, target: &Target, passes: u32, folder: &Path) -> Result<Contender> {
    let list = folder.join("addresses");
    fs::write(&list, target.twin_networks()).context("writing zmap's addresses")?;
    let text = format!(
        "-q -b /dev/null -w {} -p {TWIN_PORT} -P {passes} -r {} -c 2 -i eth0 -G {ROUTER_MAC} -S {SCANNER} -o -",
        list.display(),
        rate(target)
    );
    Ok(Contender {
        name,
        program: "zmap".into(),
        words: words(&text),
        form: Form::Addresses,
        privileged: true,
    })
}

fn rustscan(target: &Target, tools: &Tools) -> Contender {
    let text = format!(
        "--no-config --no-banner -g -a {} -r {} -b 4500 -t 1000 --ulimit 20000",
        target.hosts(),
        target.ports()
    );
    Contender {
        name: "RustScan",
        program: tools.rustscan.clone(),
        words: words(&text),
        form: Form::RustScan,
        privileged: true,
    }
}

/// The pairs a scanner says are open.
pub fn found(form: Form, target: &Target, text: &str) -> BTreeSet<(Ipv4Addr, u16)> {
    let mut pairs = BTreeSet::new();
    for line in text.lines() {
        match form {
            Form::JsonLines => pairs.extend(json_line(line)),
            Form::NmapGrepable => nmap_line(line, &mut pairs),
            Form::MasscanList => pairs.extend(masscan_line(line)),
            Form::Addresses => pairs.extend(line.trim().parse().ok().map(|a| target.pair_of_twin(a))),
            Form::RustScan => rustscan_line(line, &mut pairs),
        }
    }
    pairs
}

fn json_line(line: &str) -> Option<(Ipv4Addr, u16)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let open = value["state"] == "open";
    let host = value["host"].as_str()?.parse().ok()?;
    open.then_some((host, u16::try_from(value["port"].as_u64()?).ok()?))
}

/// `Host: 10.77.2.2 () Ports: 22/open/tcp//ssh///, 80/open/tcp//http///`
fn nmap_line(line: &str, pairs: &mut BTreeSet<(Ipv4Addr, u16)>) {
    let Some((host, ports)) = line.split_once("Ports: ") else { return };
    let Some(host) = host.split_whitespace().nth(1).and_then(|host| host.parse().ok()) else { return };
    for part in ports.split(", ") {
        if let Some((port, rest)) = part.trim().split_once('/')
            && rest.starts_with("open/")
            && let Ok(port) = port.parse()
        {
            pairs.insert((host, port));
        }
    }
}

/// `open tcp 80 10.77.2.2 1700000000`
fn masscan_line(line: &str) -> Option<(Ipv4Addr, u16)> {
    let mut fields = line.split(' ');
    (fields.next() == Some("open") && fields.next() == Some("tcp")).then_some(())?;
    let port = fields.next()?.parse().ok()?;
    Some((fields.next()?.parse().ok()?, port))
}

/// `10.77.2.2 -> [22,80]`
fn rustscan_line(line: &str, pairs: &mut BTreeSet<(Ipv4Addr, u16)>) {
    let Some((host, ports)) = line.split_once(" -> [") else { return };
    let Ok(host) = host.trim().parse() else { return };
    for port in ports.trim_end_matches(']').split(',') {
        pairs.extend(port.trim().parse().ok().map(|port| (host, port)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::target::SINGLE;
    use super::*;

    #[test]
    fn every_form_is_read() {
        let target = Target::named("T1").unwrap();
        let both = BTreeSet::from([(SINGLE, 22), (SINGLE, 80)]);
        let texts = [
            (
                Form::JsonLines,
                "{\"host\":\"10.77.2.2\",\"port\":22,\"state\":\"open\"}\n{\"host\":\"10.77.2.2\",\"port\":80,\"state\":\"open\"}\n{\"host\":\"10.77.2.2\",\"port\":81,\"state\":\"rejected\"}\n{\"summary\":{}}",
            ),
            (
                Form::NmapGrepable,
                "# Nmap\nHost: 10.77.2.2 ()\tStatus: Up\nHost: 10.77.2.2 ()\tPorts: 22/open/tcp//ssh///, 80/open/tcp//http///, 81/filtered/tcp/////\tIgnored State: closed (9)",
            ),
            (Form::MasscanList, "#masscan\nopen tcp 80 10.77.2.2 1\nopen tcp 22 10.77.2.2 2\n# end"),
            (Form::Addresses, "10.80.0.22\n10.80.0.80\n"),
            (Form::RustScan, "10.77.2.2 -> [80,22]\n"),
        ];
        for (form, text) in texts {
            assert_eq!(found(form, &target, text), both, "{form:?}");
        }
    }
}
