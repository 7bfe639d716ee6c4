//! Scanner, router and target in namespaces joined by veth; the calling process stands where the scanner does.

use super::part;
use super::target::{ROUTER_MAC, SCANNER_MAC, Target, Way};
use crate::bench::part::Part;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Bytes a bottleneck's queue may hold, as time at its rate, in milliseconds.
const QUEUE_MS: u32 = 50;
/// Half of the round trip of a far way, in milliseconds.
const FAR_ONE_WAY_MS: u32 = 20;

/// One target, up as long as this lives.
#[derive(Debug)]
pub struct Place {
    _parts: Vec<Part>,
    tick: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.tick.kill();
        let _ = self.tick.wait();
    }
}

impl Place {
    /// Builds everything; files go to `folder`.
    pub fn build(target: &Target, folder: &Path) -> Result<Place> {
        // A folder of namespaces of one's own: nothing of it is seen outside this mount namespace.
        shell("mount -t tmpfs none /run && mkdir /run/netns && ip link set lo up")?;
        shell("ip netns add router && ip netns add target")?;
        let mut parts = Vec::new();
        let far_proxy = matches!(target.way, Way::Proxied(ms) if ms > 0);
        parts.extend(join(["", "router"], ["eth0", "near"], far_proxy)?);
        parts.extend(join(["router", "target"], ["far", "eth0"], matches!(target.way, Way::Narrow(_)))?);
        addresses()?;
        if let Way::Narrow(mbit) = target.way {
            for side in ["near", "far"] {
                shell(&format!(
                    "tc -n router qdisc replace dev {side} root tbf rate {mbit}mbit burst 5k latency {QUEUE_MS}ms"
                ))?;
            }
        }
        if matches!(target.way, Way::Proxied(_)) {
            within("router", "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0 net.ipv4.tcp_syncookies=1")?;
        }
        load("router", &target.rules_of_router())?;
        load("target", &target.rules_of_target())?;
        let listeners = folder.join("listeners");
        fs::write(&listeners, target.listeners()).context("writing what to listen on")?;
        parts.push(part::start("target", &["listen", &listeners.to_string_lossy()])?);
        // The first question must not wait for a neighbour.
        shell("ping -q -c 1 -W 2 10.77.1.2 >/dev/null")?;
        within("router", "ping -q -c 1 -W 2 10.77.2.2 >/dev/null")?;
        // A wire is never quite silent, and masscan 1.3 ends only when something wakes its receiver.
        let tick = Command::new("ip")
            .args(["netns", "exec", "router", "ping", "-q", "-i", "0.2", "10.77.1.1"])
            .stdout(Stdio::null())
            .spawn()
            .context("starting the background's ping")?;
        Ok(Place { _parts: parts, tick })
    }

    /// Lifts bans, so that a run is judged for itself.
    pub fn forgive(target: &Target) -> Result<()> {
        if matches!(target.way, Way::Bans(_)) {
            within("target", "nft flush set ip bench banned && nft flush set ip bench counted")?;
        }
        Ok(())
    }

    /// Whether the defence bans a source now.
    pub fn banned(target: &Target) -> Result<bool> {
        if !matches!(target.way, Way::Bans(_)) {
            return Ok(false);
        }
        let output = Command::new("ip")
            .args(["netns", "exec", "target", "nft", "list", "set", "ip", "bench", "banned"])
            .output()
            .context("reading the bans")?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("elements"))
    }
}

/// A cable between two namespaces; the empty name is the scanner's. A far one goes through a relay that delays.
fn join(namespaces: [&str; 2], names: [&str; 2], far: bool) -> Result<Vec<Part>> {
    let of = |namespace: &str| if namespace.is_empty() { String::new() } else { format!("-n {namespace} ") };
    let at =
        |namespace: &str| if namespace.is_empty() { String::new() } else { format!("netns {namespace}") };
    if !far {
        shell(&format!(
            "ip {}link add {} type veth peer name {} {}",
            of(namespaces[0]),
            names[0],
            names[1],
            at(namespaces[1])
        ))?;
        return Ok(Vec::new());
    }
    shell("ip netns add cable")?;
    for (end, (namespace, name)) in ["left", "right"].iter().zip(namespaces.iter().zip(names)) {
        shell(&format!("ip {}link add {name} type veth peer name {end} netns cable", of(namespace)))?;
        shell(&format!("ip -n cable link set {end} up"))?;
        // What crosses the relay must be whole packets with whole checksums.
        part::start(namespace, &["plain", name])?;
    }
    Ok(vec![part::start("cable", &["relay", "left", "right", &FAR_ONE_WAY_MS.to_string()])?])
}

fn addresses() -> Result<()> {
    let silent = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";
    shell(silent)?;
    for name in ["router", "target"] {
        within(name, silent)?;
        shell(&format!("ip -n {name} link set lo up"))?;
    }
    shell(&format!(
        "ip link set eth0 address {SCANNER_MAC} up; ip addr add 10.77.1.1/24 dev eth0
         ip -n router link set near address {ROUTER_MAC} up; ip -n router addr add 10.77.1.2/24 dev near
         ip -n router link set far up; ip -n router addr add 10.77.2.1/24 dev far
         ip -n target link set eth0 up; ip -n target addr add 10.77.2.2/24 dev eth0
         ip route add default via 10.77.1.2; ip -n target route add default via 10.77.2.1"
    ))?;
    for network in ["10.78.0.0/20", "10.80.0.0/16", "10.96.0.0/13"] {
        shell(&format!(
            "ip -n router route add {network} via 10.77.2.2; ip -n target route add local {network} dev lo"
        ))?;
    }
    within("router", "sysctl -qw net.ipv4.ip_forward=1")?;
    within("target", "sysctl -qw net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=65535")
}

fn load(namespace: &str, rules: &str) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let mut nft = Command::new("ip")
        .args(["netns", "exec", namespace, "nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("starting nft")?;
    let written = nft.stdin.take().context("nft without input")?.write_all(rules.as_bytes());
    let status = nft.wait().context("waiting for nft")?;
    written.context("handing rules to nft")?;
    if !status.success() {
        bail!("nft did not take the rules of {namespace}:\n{rules}");
    }
    Ok(())
}

fn within(namespace: &str, command: &str) -> Result<()> {
    shell(&format!("ip netns exec {namespace} sh -euc '{command}'"))
}

fn shell(command: &str) -> Result<()> {
    let status = Command::new("sh").args(["-euc", command]).status().context("running sh")?;
    if !status.success() {
        bail!("{command}: {status}");
    }
    Ok(())
}
