//! Classic BPF programs: what the kernel hands to the ring, and what keeps it from resetting.

use libc::sock_filter;

/// Longest part of a packet worth keeping: an ICMPv6 error with the headers it quotes, in bytes.
pub const KEPT_BYTES_MAX: u32 = 176;

const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_HALF_INDEXED: u16 = 0x48;
const LOAD_BYTE_INDEXED: u16 = 0x50;
const LOAD_HEADER_LEN: u16 = 0xb1;
const SUBTRACT: u16 = 0x14;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

const fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Lets nothing through. On a listening socket it runs before TCP would answer with a reset.
pub fn nothing() -> [sock_filter; 1] {
    [step(RETURN, 0)]
}

/// IPv4 from the network header on: TCP to one of our ports, echo replies, ICMP errors.
pub fn answers_v4(first_port: u16, port_count: u16) -> Vec<sock_filter> {
    vec![
        step(LOAD_BYTE, 9),
        jump(JUMP_EQUAL, 6, 0, 7), // TCP, else to ICMP
        step(LOAD_HALF, 6),
        jump(JUMP_SET, 0x1fff, 11, 0), // later fragment: drop
        step(LOAD_HEADER_LEN, 0),
        step(LOAD_HALF_INDEXED, 2),
        step(SUBTRACT, u32::from(first_port)),
        jump(JUMP_GREATER_EQUAL, u32::from(port_count), 7, 0),
        step(RETURN, KEPT_BYTES_MAX),
        jump(JUMP_EQUAL, 1, 0, 5), // ICMP, else drop
        step(LOAD_HEADER_LEN, 0),
        step(LOAD_BYTE_INDEXED, 0),
        jump(JUMP_EQUAL, 0, 3, 0),  // echo reply
        jump(JUMP_EQUAL, 3, 2, 0),  // unreachable
        jump(JUMP_EQUAL, 11, 1, 0), // time exceeded
        step(RETURN, 0),
        step(RETURN, KEPT_BYTES_MAX),
    ]
}

/// IPv6 from the network header on: TCP to one of our ports, echo replies, ICMPv6 errors. No extension headers.
pub fn answers_v6(first_port: u16, port_count: u16) -> Vec<sock_filter> {
    vec![
        step(LOAD_BYTE, 6),
        jump(JUMP_EQUAL, 6, 0, 3), // TCP, else to ICMPv6
        step(LOAD_HALF, 42),
        step(SUBTRACT, u32::from(first_port)),
        jump(JUMP_GREATER_EQUAL, u32::from(port_count), 4, 5),
        jump(JUMP_EQUAL, 58, 0, 3), // ICMPv6, else drop
        step(LOAD_BYTE, 40),
        jump(JUMP_EQUAL, 129, 2, 0), // echo reply
        jump(JUMP_GREATER_EQUAL, 5, 0, 1),
        step(RETURN, 0),
        step(RETURN, KEPT_BYTES_MAX),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would; loads past the end drop the packet.
    fn run(program: &[sock_filter], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        let byte = |at: u32| packet.get(at as usize).copied().map(u32::from);
        for _ in 0..100 {
            let step = program[at];
            at += 1;
            let half = |at: u32| Some(byte(at)? << 8 | byte(at + 1)?);
            let loaded = match step.code {
                LOAD_BYTE => byte(step.k),
                LOAD_HALF => half(step.k),
                LOAD_BYTE_INDEXED => byte(x + step.k),
                LOAD_HALF_INDEXED => half(x + step.k),
                LOAD_HEADER_LEN => {
                    let Some(length) = byte(step.k) else { return 0 };
                    x = (length & 15) * 4;
                    continue;
                }
                SUBTRACT => Some(a.wrapping_sub(step.k)),
                RETURN => return step.k,
                code => {
                    let yes = match code {
                        JUMP_EQUAL => a == step.k,
                        JUMP_GREATER_EQUAL => a >= step.k,
                        _ => a & step.k != 0,
                    };
                    at += usize::from(if yes { step.jt } else { step.jf });
                    continue;
                }
            };
            let Some(loaded) = loaded else { return 0 };
            a = loaded;
        }
        panic!("does not end")
    }

    fn v4(protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x46; 24];
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        packet[9] = protocol;
        packet.extend(body);
        packet
    }

    fn v6(protocol: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60; 40];
        packet[6] = protocol;
        packet.extend(body);
        packet
    }

    #[test]
    fn only_what_can_be_an_answer_passes() {
        let four = answers_v4(40_000, 16);
        let six = answers_v6(40_000, 16);
        let ports = |to: u16| [[0, 80], to.to_be_bytes()].concat();
        for (to, passes) in [(39_999, false), (40_000, true), (40_015, true), (40_016, false)] {
            assert_eq!(run(&four, &v4(6, 0x4000, &ports(to))) > 0, passes, "{to}");
            assert_eq!(run(&six, &v6(6, &ports(to))) > 0, passes, "{to}");
        }
        assert_eq!(run(&four, &v4(6, 1, &ports(40_000))), 0);
        for (kind, passes) in [(0, true), (3, true), (11, true), (8, false), (5, false)] {
            assert_eq!(run(&four, &v4(1, 0, &[kind])) > 0, passes, "{kind}");
        }
        for (kind, passes) in [(1, true), (3, true), (4, true), (129, true), (128, false), (135, false)] {
            assert_eq!(run(&six, &v6(58, &[kind])) > 0, passes, "{kind}");
        }
        assert_eq!(run(&four, &v4(17, 0, &ports(40_000))), 0);
        assert_eq!(run(&six, &v6(17, &ports(40_000))), 0);
        assert_eq!(run(&four, &[0x45]), 0);
        assert_eq!(run(&six, &[]), 0);
        assert_eq!(run(&nothing(), &ports(40_000)), 0);
    }
}
