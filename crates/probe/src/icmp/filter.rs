//! A kernel filter, so that a busy host's other traffic never reaches us (classic BPF, packet(7)).

use socket2::SockFilter;
use std::net::IpAddr;

const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Most bytes of a packet handed to us.
const SNAP_BYTES: u32 = 65_535;

/// Passes ICMP of any sender, and everything the target sends; the data starts at the IP header.
pub fn target_and_icmp(target: IpAddr) -> Vec<SockFilter> {
    match target {
        IpAddr::V4(address) => build(9, libc::IPPROTO_ICMP, 12, &[u32::from(address)]),
        IpAddr::V6(address) => {
            let words: Vec<u32> = address
                .octets()
                .chunks_exact(4)
                .map(|c| c.iter().fold(0, |word, byte| (word << 8) | u32::from(*byte)))
                .collect();
            build(6, libc::IPPROTO_ICMPV6, 8, &words)
        }
    }
}

/// `protocol == icmp` passes at once; else every word of the source address must match.
fn build(protocol_at: u32, icmp: i32, source_at: u32, words: &[u32]) -> Vec<SockFilter> {
    let icmp = u32::try_from(icmp).unwrap_or(1);
    let count = u8::try_from(words.len()).unwrap_or(4);
    // Instructions after the first jump: two for each word, then reject, then accept.
    let accept = count * 2 + 1;
    let mut program =
        vec![SockFilter::new(LOAD_BYTE, 0, 0, protocol_at), SockFilter::new(JUMP_EQUAL, accept, 0, icmp)];
    for (offset, (place, word)) in (0u32..).step_by(4).zip((0u8..).zip(words)) {
        let last = place + 1 == count;
        let reject = (count - place - 1) * 2;
        program.push(SockFilter::new(LOAD_WORD, 0, 0, source_at + offset));
        program.push(SockFilter::new(JUMP_EQUAL, u8::from(last), reject, *word));
    }
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program.push(SockFilter::new(RETURN, 0, 0, SNAP_BYTES));
    program
}
