//! Builds hosts and the links between them.

use crate::address::{End, Route, settled_ends};
use crate::error::{LabError, Result};
use crate::host::{Host, write_sysctl};
use crate::netlink::{self, Netlink};
use crate::relay::{self, Cable};
use crate::scenario::{self, Network, Shape};
use crate::step::{self, Step};
use std::collections::BTreeSet;
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// What every host's stack is set to, so that the machine's own defaults do not leak in.
const DEFAULTS: [(&str, &str); 14] = [
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.lo.disable_ipv6", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv6.conf.all.forwarding", "0"),
    ("net.ipv4.ip_unprivileged_port_start", "1024"),
    ("net.ipv4.ping_group_range", "0 0"),
    ("net.ipv4.ip_default_ttl", "64"),
];

/// The hosts and cables of a lab, alive.
#[derive(Debug)]
pub struct Wires {
    pub hosts: Vec<Host>,
    links: Vec<LiveLink>,
    seed: u64,
}

#[derive(Debug)]
struct LiveLink {
    name: String,
    built: Shape,
    /// The two interfaces of the lab's own namespace, when a relay carries the frames.
    relayed: Option<[String; 2]>,
    relay: Option<Child>,
}

impl Wires {
    /// Builds everything; links that `steps` will reshape get a relay from the start.
    pub fn build(network: &Network, steps: &[String], seed: u64) -> Result<Wires> {
        write_sysctl("net.ipv6.conf.all.disable_ipv6", "1")?;
        write_sysctl("net.ipv6.conf.default.disable_ipv6", "1")?;
        let mut wires = Wires { hosts: create_hosts(network)?, links: Vec::new(), seed };
        let reshaped: BTreeSet<String> = steps
            .iter()
            .filter_map(|text| match step::parse(text) {
                Ok(Step::Link { name, .. }) => Some(name),
                _ => None,
            })
            .collect();
        let bad = |why| LabError::Scenario { name: "network".into(), why };
        let mut socket = Netlink::open()?;
        let mut ports = 0;
        for (link, ends) in network.link.iter().zip(settled_ends(network).map_err(bad)?) {
            let needs_relay = !link.shape.is_plain() || reshaped.contains(&link.name);
            wires.lay(&mut socket, link, &ends, needs_relay, &mut ports)?;
        }
        for (spec, host) in network.host.iter().zip(&wires.hosts) {
            set_up_host(spec, host)?;
        }
        Ok(wires)
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<&Host> {
        let unknown = || LabError::Unknown { what: "host", name: name.to_owned() };
        self.hosts.iter().find(|host| host.name == name).ok_or_else(unknown)
    }

    /// Gives a relayed link another shape; `None` is the one it was built with.
    pub fn reshape(&mut self, name: &str, shape: Option<&Shape>) -> Result<()> {
        let seed = self.seed;
        let unknown = || LabError::Unknown { what: "link", name: name.to_owned() };
        let link = self.links.iter_mut().find(|link| link.name == name).ok_or_else(unknown)?;
        let shape = shape.unwrap_or(&link.built).clone();
        link.carry(shape, seed)
    }

    fn lay(
        &mut self,
        socket: &mut Netlink,
        link: &scenario::Link,
        ends: &[End],
        needs_relay: bool,
        ports: &mut usize,
    ) -> Result<()> {
        let mut relayed = None;
        match ends {
            [a, b] if !needs_relay => {
                let fds = [self.host(&a.host)?.network_fd(), self.host(&b.host)?.network_fd()];
                socket.veth(outer(a, fds[0]), outer(b, fds[1]))?;
            }
            _ => {
                let names = self.plug_in(socket, ends, ports)?;
                if let ([a, b], true) = (names.as_slice(), needs_relay) {
                    relayed = Some([a.clone(), b.clone()]);
                } else {
                    switch(socket, &names, ports)?;
                }
            }
        }
        for end in ends {
            let wired = relayed.is_some();
            let mtu = link.mtu;
            self.host(&end.host)?.inside(|| set_up_end(end, mtu, wired))??;
        }
        let mut live = LiveLink { name: link.name.clone(), built: link.shape.clone(), relayed, relay: None };
        live.carry(link.shape.clone(), self.seed)?;
        self.links.push(live);
        Ok(())
    }

    /// Gives every end a cable whose other end lies in the lab's own namespace; returns those ends' names.
    fn plug_in(&self, socket: &mut Netlink, ends: &[End], ports: &mut usize) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for end in ends {
            *ports += 1;
            let name = format!("port{ports}");
            let here = netlink::End { name: &name, namespace: None };
            socket.veth(outer(end, self.host(&end.host)?.network_fd()), here)?;
            // Frames longer than the hosts' MTU must not be refused here.
            socket.mtu(&name, 9000)?;
            socket.up(&name)?;
            names.push(name);
        }
        Ok(names)
    }
}

impl LiveLink {
    fn carry(&mut self, shape: Shape, seed: u64) -> Result<()> {
        let Some(ends) = self.relayed.clone() else { return Ok(()) };
        if let Some(mut old) = self.relay.take() {
            let _ = old.kill();
            let _ = old.wait();
        }
        let cable = Cable { ends, shape, seed };
        let text = serde_json::to_string(&cable).unwrap_or_default();
        let failed = |why: String| LabError::Service { name: format!("relay of link {}", self.name), why };
        let mut child = Command::new("/proc/self/exe")
            .args([crate::ROLE_RELAY, &text])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut line = [0u8; 1];
        let read = child.stdout.take().map(|mut output| output.read(&mut line));
        self.relay = Some(child);
        match read {
            Some(Ok(1)) => Ok(()),
            _ => Err(failed("it did not start".into())),
        }
    }
}

/// Says on standard output that the relay runs, then carries until killed.
pub fn relay_main(argument: &str) -> Result<()> {
    let cable: Cable = serde_json::from_str(argument)
        .map_err(|error| LabError::Ended(format!("a relay got a bad argument: {error}")))?;
    relay::carry(&cable, crate::say_ready)
}

fn outer(end: &End, fd: i32) -> netlink::End<'_> {
    netlink::End { name: end.interface.as_deref().unwrap_or_default(), namespace: Some(fd) }
}

fn switch(socket: &mut Netlink, ports: &[String], number: &mut usize) -> Result<()> {
    *number += 1;
    let bridge = format!("switch{number}");
    socket.bridge(&bridge)?;
    socket.up(&bridge)?;
    ports.iter().try_for_each(|port| socket.enslave(port, &bridge))
}

/// On a thread inside the end's host.
fn set_up_end(end: &End, mtu: Option<u32>, wired: bool) -> Result<()> {
    let name = end.interface.as_deref().unwrap_or_default();
    let mut socket = Netlink::open()?;
    if wired {
        relay::switch_offload_off(name)?;
    }
    socket.mtu(name, mtu.unwrap_or(1500))?;
    socket.up(name)?;
    end.addresses.iter().try_for_each(|(address, prefix)| socket.address(name, *address, *prefix))
}

/// All hosts at once: making a network namespace mostly waits for the kernel.
fn create_hosts(network: &Network) -> Result<Vec<Host>> {
    std::thread::scope(|scope| {
        let started: Vec<_> = network
            .host
            .iter()
            .map(|spec| {
                scope.spawn(move || {
                    let host = Host::create(spec)?;
                    let settings = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned()));
                    host.sysctl(&settings)?;
                    host.inside(|| Netlink::open()?.up("lo"))??;
                    Ok(host)
                })
            })
            .collect();
        let ended = |_| Err(LabError::Ended("a thread panicked".into()));
        started.into_iter().map(|handle| handle.join().unwrap_or_else(ended)).collect()
    })
}

/// Routes, forwarding and the scenario's own sysctls, once all links exist.
fn set_up_host(spec: &scenario::Host, host: &Host) -> Result<()> {
    let mut settings: Vec<(String, String)> = Vec::new();
    if spec.forward {
        for name in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            settings.push((name.into(), "1".into()));
        }
    }
    settings.extend(spec.sysctl.clone());
    host.sysctl(&settings)?;
    let routes: Vec<Route> = spec
        .routes
        .iter()
        .map(|text| Route::parse(text))
        .collect::<std::result::Result<_, _>>()
        .map_err(|why| LabError::Scenario { name: spec.name.clone(), why })?;
    host.inside(|| {
        let mut socket = Netlink::open()?;
        routes.iter().try_for_each(|route| socket.route(route.target, route.prefix, route.gateway))
    })?
}
