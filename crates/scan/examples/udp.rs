//! Asks the UDP ports of some hosts without privilege: `udp HOSTS [PORTS] [gentle|max]`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use netwhy_scan::{Event, Hosts, Pace, Plan, Ports, Protocol, services, udp};
use std::sync::atomic::AtomicBool;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let hosts = words.next().unwrap_or_else(|| "127.0.0.1".into());
    let hosts: Vec<&str> = hosts.split(',').collect();
    let ports = match words.next() {
        Some(ports) => Ports::parse(&ports, Protocol::Udp)?,
        None => Ports::of(services::common(Protocol::Udp).to_vec(), Protocol::Udp),
    };
    let pace = match words.next().as_deref() {
        Some("gentle") => Pace::Gentle,
        Some("max") => Pace::Max,
        _ => Pace::Fast,
    };
    let plan = Plan { pace, all: true, ..Plan::new(Hosts::parse(&hosts, &[])?, ports) };
    let summary = udp::run(&plan, &AtomicBool::new(false), &mut |event| match event {
        Event::Found(found) => {
            println!("{} {} {:?} {:?} {:?}", found.host, found.port, found.state, found.reason, found.rtt);
        }
        Event::Notice(notice) => eprintln!("{notice:?}"),
        _ => {}
    })?;
    eprintln!("{summary:?}");
    Ok(())
}
