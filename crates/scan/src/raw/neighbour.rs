//! The stations of hosts on the link: the kernel's table first, then ARP and neighbour discovery of our own.

use super::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV6, Mac};
use super::sys;
use crate::ScanError;
use netwhy_netlink::route::{self, Link, neighbour_state};
use netwhy_wire::{Arp, ArpOperation, Body, IcmpKind, IpBuild, NeighbourSolicitBuild};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long each round of questions waits, in milliseconds; answers on a link take less than one.
const ROUND_WAITS_MS: [u64; 3] = [60, 200, 400];
/// Questions sent before answers are looked at.
const BURST_COUNT: usize = 64;
/// Pause between bursts, in microseconds: 32,000 questions a second.
const BURST_PAUSE_US: u64 = 2_000;
/// Answers taken at once.
const ANSWER_COUNT_MAX: usize = 4_096;

/// The stations of `targets` on one link; who is not in the answer is not there.
pub fn resolve(link: &Link, source: IpAddr, targets: &[IpAddr]) -> Result<HashMap<IpAddr, Mac>, ScanError> {
    let mut found = known(link.index);
    let mut missing: HashSet<IpAddr> =
        targets.iter().copied().filter(|target| !found.contains_key(target)).collect();
    let Some(own) = link.mac else { return Ok(found) };
    for v6 in [false, true] {
        if missing.iter().any(|target| target.is_ipv6() == v6) {
            ask(link.index, own, source, v6, &mut missing, &mut found)?;
        }
    }
    Ok(found)
}

/// What the kernel knows and has not lost.
fn known(interface: u32) -> HashMap<IpAddr, Mac> {
    let lost = neighbour_state::INCOMPLETE | neighbour_state::FAILED;
    let Ok(listed) = route::neighbours() else { return HashMap::new() };
    listed
        .into_iter()
        .filter(|entry| entry.interface == interface && entry.state & lost == 0 && entry.state != 0)
        .filter_map(|entry| Some((entry.address, entry.mac?)))
        .collect()
}

fn ask(
    interface: u32,
    own: Mac,
    source: IpAddr,
    v6: bool,
    missing: &mut HashSet<IpAddr>,
    found: &mut HashMap<IpAddr, Mac>,
) -> Result<(), ScanError> {
    let doing = "opening a socket for neighbours";
    let protocol = if v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_ARP };
    let socket = sys::socket(libc::AF_PACKET, libc::SOCK_DGRAM, i32::from(protocol.to_be()), doing)?;
    sys::bind(&socket, &sys::link_address(interface, protocol)).map_err(|error| sys::system(doing, error))?;
    for wait_ms in ROUND_WAITS_MS {
        let targets: Vec<IpAddr> = missing.iter().copied().filter(|target| target.is_ipv6() == v6).collect();
        for burst in targets.chunks(BURST_COUNT) {
            burst.iter().for_each(|&target| question(&socket, interface, own, source, target));
            if targets.len() > BURST_COUNT {
                std::thread::sleep(Duration::from_micros(BURST_PAUSE_US));
            }
            hear(&socket, missing, found);
        }
        let until = Instant::now() + Duration::from_millis(wait_ms);
        while missing.iter().any(|target| target.is_ipv6() == v6) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            sys::wait_readable(&socket, left.as_nanos() as u64);
            hear(&socket, missing, found);
        }
    }
    Ok(())
}

/// Sends one question; one that cannot be sent goes unanswered.
fn question(socket: &OwnedFd, interface: u32, own: Mac, source: IpAddr, target: IpAddr) {
    // A gateway of the other family is asked from the unspecified address.
    let (bytes, protocol, station) = match target {
        IpAddr::V4(target) => {
            let sender = if let IpAddr::V4(own) = source { own } else { Ipv4Addr::UNSPECIFIED };
            let arp =
                Arp { operation: ArpOperation::Request, sender_mac: own, sender, target_mac: [0; 6], target };
            (arp.bytes().to_vec(), ETHERTYPE_ARP, [0xff; 6])
        }
        IpAddr::V6(target) => {
            let sender = if source.is_ipv6() { source } else { Ipv6Addr::UNSPECIFIED.into() };
            let Some((bytes, station)) = solicitation(own, sender, target) else { return };
            (bytes, ETHERTYPE_IPV6, station)
        }
    };
    let mut to = sys::link_address(interface, protocol);
    to.sll_halen = 6;
    to.sll_addr[..6].copy_from_slice(&station);
    // SAFETY: pointers and lengths describe live values for the duration of the call.
    unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_DONTWAIT,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
}

fn solicitation(own: Mac, source: IpAddr, target: Ipv6Addr) -> Option<(Vec<u8>, Mac)> {
    /// RFC 4861, section 7.1.1: one that crossed a router is not believed.
    const HOP_LIMIT: u8 = 255;
    const ICMPV6: u8 = 58;
    let group = NeighbourSolicitBuild::group(target);
    let body = NeighbourSolicitBuild { target, sender_mac: own }.bytes(source, group.into());
    let header =
        IpBuild { source, destination: group.into(), ttl: HOP_LIMIT, ident: 0, dont_fragment: false };
    let octets = group.octets();
    let station = [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]];
    Some((header.wrap(ICMPV6, &body).ok()?, station))
}

/// Takes the answers that are there.
fn hear(socket: &OwnedFd, missing: &mut HashSet<IpAddr>, found: &mut HashMap<IpAddr, Mac>) {
    let mut buffer = [0_u8; 256];
    for _ in 0..ANSWER_COUNT_MAX {
        // SAFETY: the pointer and length describe the live buffer.
        let got = unsafe {
            libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
        };
        let Ok(length) = usize::try_from(got) else { return };
        if let Some((address, mac)) = read(buffer.get(..length).unwrap_or_default())
            && missing.remove(&address)
        {
            found.insert(address, mac);
        }
    }
}

/// Who a packet says is where.
fn read(bytes: &[u8]) -> Option<(IpAddr, Mac)> {
    if let Ok(arp) = Arp::parse(bytes) {
        return (arp.operation == ArpOperation::Reply).then_some((arp.sender.into(), arp.sender_mac));
    }
    let packet = netwhy_wire::parse(bytes).ok()?;
    let Body::Icmp(icmp) = packet.body else { return None };
    match icmp.message {
        IcmpKind::NeighbourAdvert { target, mac: Some(mac), .. } if packet.ip.ttl == 255 => {
            Some((target.into(), mac))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_replies_count() {
        let arp = |operation| Arp {
            operation,
            sender_mac: [7; 6],
            sender: Ipv4Addr::new(10, 0, 0, 1),
            target_mac: [9; 6],
            target: Ipv4Addr::new(10, 0, 0, 2),
        };
        let reply = read(&arp(ArpOperation::Reply).bytes());
        assert_eq!(reply, Some((Ipv4Addr::new(10, 0, 0, 1).into(), [7; 6])));
        assert_eq!(read(&arp(ArpOperation::Request).bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
