//! Network namespaces of one thread, and the tools that fill them.

#![allow(dead_code, clippy::expect_used, clippy::print_stdout, clippy::unwrap_used)]

use netwhy_testing::run;

/// Loads rules that are written on one line: nft wants an end of line behind each block.
pub fn load(rules: &str) {
    run(&format!("nft '{}'", rules.replace("; }", ";\n}\n")));
}

/// Inserts entries into the connection-tracking table: established TCP connections to four ports of one address.
pub fn fill_conntrack(count: u32) {
    use netwhy_netlink::{Builder, Connection, Protocol};
    const NEW: u16 = 1 << 8;
    const CREATE: u16 = 0x400;
    const ACKNOWLEDGE: u16 = 4;
    const BATCH_COUNT: u32 = 200;
    let tuple = |from: [u8; 4], to: [u8; 4], ports: (u16, u16)| {
        let addresses = Builder::default().put(1, &from).put(2, &to);
        let protocol =
            Builder::default().put(1, &[6]).put(2, &ports.0.to_be_bytes()).put(3, &ports.1.to_be_bytes());
        Builder::default().nest(1, addresses).nest(2, protocol)
    };
    let mut connection = Connection::open(Protocol::Netfilter).unwrap();
    let mut parts = Vec::new();
    for index in 0..count {
        let [_, a, b, c] = index.to_be_bytes();
        let (from, to, ports) = ([10, a, b, c], [192, 0, 2, 1], (40_000, 80 + (index % 4) as u16));
        // SYN_SENT, or ESTABLISHED.
        let state = if index % 10 == 0 { 1 } else { 3 };
        let body = Builder::new(&[libc::AF_INET as u8, 0, 0, 0])
            .nest(1, tuple(from, to, ports))
            .nest(2, tuple(to, from, (ports.1, ports.0)))
            .put(3, &0x0e_u32.to_be_bytes())
            .nest(4, Builder::default().nest(1, Builder::default().put(1, &[state])))
            .put(7, &3_600_u32.to_be_bytes());
        let last = index + 1 == count || index % BATCH_COUNT == BATCH_COUNT - 1;
        parts.push((NEW, CREATE | if last { ACKNOWLEDGE } else { 0 }, body.bytes().to_vec()));
        if last {
            connection.batch(&parts).unwrap();
            parts.clear();
        }
    }
}
