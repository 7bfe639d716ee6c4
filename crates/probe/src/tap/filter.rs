//! The classic BPF program that keeps a tap's copies to what the question needs.

use libc::sock_filter;
use std::net::IpAddr;

/// Most peers one tap watches; the program grows by 18 instructions for each IPv6 one.
pub(crate) const PEER_COUNT_MAX: usize = 64;

const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_WORD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
const KEEP: u32 = 0x4_0000;

/// Keeps ARP, ICMP, ICMPv6 and whatever is from or to a peer. Offsets count from the network header.
pub(super) fn program(peers: &[IpAddr]) -> Vec<sock_filter> {
    let v4: Vec<u32> = peers
        .iter()
        .filter_map(|peer| if let IpAddr::V4(address) = peer { Some(u32::from(*address)) } else { None })
        .take(PEER_COUNT_MAX)
        .collect();
    let v6: Vec<[u8; 16]> = peers
        .iter()
        .filter_map(|peer| if let IpAddr::V6(address) = peer { Some(address.octets()) } else { None })
        .take(PEER_COUNT_MAX)
        .collect();
    let protocol_field = (libc::SKF_AD_OFF + libc::SKF_AD_PROTOCOL) as u32;
    let v4_part = v4_block(&v4);
    let v6_part = v6_block(&v6);
    let mut code = vec![
        step(LOAD_HALF, 0, 0, protocol_field),
        step(JUMP_EQUAL, 0, 1, libc::ETH_P_ARP as u32),
        step(RETURN, 0, 0, KEEP),
        step(JUMP_EQUAL, 1, 0, libc::ETH_P_IP as u32),
        // Conditional jumps reach 255 instructions; this one any distance.
        step(JUMP, 0, 0, v4_part.len() as u32),
    ];
    code.extend(v4_part);
    code.push(step(JUMP_EQUAL, 1, 0, libc::ETH_P_IPV6 as u32));
    code.push(step(RETURN, 0, 0, 0));
    code.extend(v6_part);
    code
}

fn v4_block(peers: &[u32]) -> Vec<sock_filter> {
    let mut code = vec![step(LOAD_BYTE, 0, 0, 9), step(JUMP_EQUAL, 0, 1, 1), step(RETURN, 0, 0, KEEP)];
    for field in [12, 16] {
        code.push(step(LOAD_WORD, 0, 0, field));
        for peer in peers {
            code.push(step(JUMP_EQUAL, 0, 1, *peer));
            code.push(step(RETURN, 0, 0, KEEP));
        }
    }
    code.push(step(RETURN, 0, 0, 0));
    code
}

fn v6_block(peers: &[[u8; 16]]) -> Vec<sock_filter> {
    let mut code = vec![step(LOAD_BYTE, 0, 0, 6), step(JUMP_EQUAL, 0, 1, 58), step(RETURN, 0, 0, KEEP)];
    for field in [8_u32, 24] {
        for peer in peers {
            for (index, word) in peer.chunks_exact(4).enumerate() {
                let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
                let left = (3 - index) as u8 * 2 + 1;
                code.push(step(LOAD_WORD, 0, 0, field + index as u32 * 4));
                code.push(step(JUMP_EQUAL, 0, left, value));
            }
            code.push(step(RETURN, 0, 0, KEEP));
        }
    }
    code.push(step(RETURN, 0, 0, 0));
    code
}

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_ends_in_a_return() {
        let peers: Vec<IpAddr> =
            ["10.0.0.1", "fd00::1", "fd00::2"].iter().map(|a| a.parse().unwrap()).collect();
        let code = program(&peers);
        for (at, one) in code.iter().enumerate() {
            let far = match one.code {
                JUMP_EQUAL => usize::from(one.jt.max(one.jf)) + 1,
                JUMP => one.k as usize + 1,
                RETURN => continue,
                _ => 1,
            };
            assert!(at + far < code.len(), "instruction {at} runs past the end");
        }
        assert!(program(&vec!["fd00::1".parse().unwrap(); PEER_COUNT_MAX]).len() < 4096);
    }
}
