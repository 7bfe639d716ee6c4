//! A sender of the bench's own: what this machine's packet sockets can send through veth at all.

use super::figures::Carried;
use super::part;
use super::target::{ROUTER_MAC, SCANNER, SCANNER_MAC, TWIN};
use anyhow::{Context, Result};
use netwhy_wire::{internet_checksum, transport_checksum};
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

/// Whom netwhy asks for the figure beside: as many addresses, and ports nobody serves.
pub const NETWORK: &str = "10.80.0.0/16";
pub const PORTS: &str = "8000-8099";
const PORT: u16 = 8_000;
/// A hardware address nobody has.
const NOBODY_MAC: &str = "02:00:00:00:00:99";
const ADDRESS_COUNT: u64 = 1 << 16;
/// Packets handed to the kernel at once.
const BATCH_COUNT: usize = 64;
/// What is on its way when the last packet has left is counted too.
const ARRIVES: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(3);
/// A SYN without options behind Ethernet.
const FRAME_BYTES: usize = 54;
const TCP: u8 = 6;
/// Calls refused in a row before it is given up.
const REFUSED_COUNT_MAX: u32 = 1_000_000;

/// Sends as fast as it goes; what arrives is the target's own count, what is answered the scanner's.
pub fn measure() -> Result<Carried> {
    // For nobody: what the first veth takes before anything is routed.
    let (sent, seconds) = send(NOBODY_MAC)?;
    let veth_per_s = sent as f64 / seconds;
    let (arrived_before, answered_before) = (arrived()?, answered()?);
    let (sent, seconds) = send(ROUTER_MAC)?;
    std::thread::sleep(ARRIVES);
    Ok(Carried {
        veth_per_s,
        sent_per_s: sent as f64 / seconds,
        arrived_per_s: (arrived()? - arrived_before) as f64 / seconds,
        answered_per_s: (answered()? - answered_before) as f64 / seconds,
        ..Carried::default()
    })
}

/// Packets the target's interface received so far.
pub fn arrived() -> Result<u64> {
    let output = Command::new("ip").args(["netns", "exec", "target", "cat", "/proc/net/dev"]).output();
    received(&String::from_utf8_lossy(&output.context("the target's counters")?.stdout))
}

fn answered() -> Result<u64> {
    received(&fs::read_to_string("/proc/net/dev").context("the scanner's counters")?)
}

fn received(text: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).context("no eth0")?;
    line.split_whitespace().nth(1).context("a line without packets")?.parse().context("a count of packets")
}

/// How many packets the kernel took, and in how many seconds.
fn send(to: &str) -> Result<(u64, f64)> {
    let socket = part::packet_socket("eth0")?;
    // All are made before the first is sent: nothing but sending is measured.
    let mut frames = vec![frame(to)?; ADDRESS_COUNT as usize];
    for (number, frame) in frames.iter_mut().enumerate() {
        aim(frame, number as u64);
    }
    let mut pieces: Vec<libc::iovec> = frames
        .iter_mut()
        .map(|frame| libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: FRAME_BYTES })
        .collect();
    // SAFETY: a message header is plain numbers and pointers, for which zero is valid.
    let mut messages: Vec<libc::mmsghdr> = vec![unsafe { std::mem::zeroed() }; frames.len()];
    for (message, piece) in messages.iter_mut().zip(&mut pieces) {
        message.msg_hdr.msg_iov = piece;
        message.msg_hdr.msg_iovlen = 1;
    }
    let (mut sent, mut refused) = (0u64, 0u32);
    let began = Instant::now();
    for batch in (0..messages.len() / BATCH_COUNT).cycle() {
        if began.elapsed() > LASTS || refused > REFUSED_COUNT_MAX {
            break;
        }
        let batch = &mut messages[batch * BATCH_COUNT..][..BATCH_COUNT];
        // SAFETY: the messages point at `pieces`, these at `frames`; all outlive the call.
        let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), batch.as_mut_ptr(), BATCH_COUNT as u32, 0) };
        match u64::try_from(done) {
            Ok(count) => (sent, refused) = (sent + count, 0),
            Err(_) => refused += 1,
        }
    }
    Ok((sent, began.elapsed().as_secs_f64()))
}

/// A SYN to be aimed.
fn frame(to: &str) -> Result<[u8; FRAME_BYTES]> {
    let mut frame = [0; FRAME_BYTES];
    for (place, mac) in [(0, to), (6, SCANNER_MAC)] {
        for (index, byte) in mac.split(':').enumerate() {
            frame[place + index] = u8::from_str_radix(byte, 16).context("a hardware address")?;
        }
    }
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    frame[14..24].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
    frame[26..30].copy_from_slice(&SCANNER.octets());
    frame[34..36].copy_from_slice(&40_000u16.to_be_bytes());
    frame[46..50].copy_from_slice(&[0x50, 0x02, 0x04, 0x00]);
    Ok(frame)
}

/// Sets the destination of the nth question, and the checksums.
fn aim(frame: &mut [u8; FRAME_BYTES], number: u64) {
    let address = Ipv4Addr::from(TWIN + (number % ADDRESS_COUNT) as u32);
    frame[30..34].copy_from_slice(&address.octets());
    frame[36..38].copy_from_slice(&PORT.to_be_bytes());
    frame[24..26].fill(0);
    frame[50..52].fill(0);
    let head = internet_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&head.to_be_bytes());
    let segment = transport_checksum(SCANNER.into(), address.into(), TCP, &frame[34..54]);
    frame[50..52].copy_from_slice(&segment.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_hold() {
        let mut frame = frame(ROUTER_MAC).unwrap();
        aim(&mut frame, 123_456_789);
        let packet = netwhy_wire::parse(&frame[14..]).unwrap();
        assert!(packet.ip.checksum_ok && !packet.ip.truncated);
        assert_eq!(packet.transport_checksum_ok(), Some(true));
    }
}
