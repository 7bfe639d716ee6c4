//! Asks the TCP ports of some hosts without privilege: `connect HOSTS PORTS [gentle|fast|max|RATE] [all]`.
//!
//! Prints what is not closed or silent as it is found, and the summary on standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use netwhy_scan::{Engine, Event, Hosts, Pace, Plan, Ports, Protocol, ScanError, connect};
use std::sync::atomic::AtomicBool;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let hosts = words.next().unwrap_or_else(|| "127.0.0.1".into());
    let ports = words.next().unwrap_or_else(|| "1-65535".into());
    let pace = match words.next().as_deref() {
        Some("gentle") => Pace::Gentle,
        Some("max") => Pace::Max,
        Some(rate) if rate.parse::<u64>().is_ok() => Pace::Rate(rate.parse()?),
        _ => Pace::Fast,
    };
    let all = words.next().is_some();
    let plan = plan(&hosts, &ports, pace, all)?;
    let stop = AtomicBool::new(false);
    let summary = connect::run(&plan, &stop, &mut |event| match event {
        Event::Found(found) => {
            println!("{} {} {:?} {:?} {:?}", found.host, found.port, found.state, found.reason, found.rtt);
        }
        Event::Revised(found) => println!("{} {} is {:?} after all", found.host, found.port, found.state),
        Event::Notice(notice) => eprintln!("{notice:?}"),
        Event::Progress(_) => {}
    })?;
    eprintln!("{summary:?}");
    Ok(())
}

fn plan(hosts: &str, ports: &str, pace: Pace, all: bool) -> Result<Plan, ScanError> {
    let hosts: Vec<&str> = hosts.split(',').collect();
    let plan = Plan::new(Hosts::parse(&hosts, &[])?, Ports::parse(ports, Protocol::Tcp)?);
    Ok(Plan { engine: Engine::Connect, pace, all, seed: u64::from(std::process::id()), ..plan })
}
