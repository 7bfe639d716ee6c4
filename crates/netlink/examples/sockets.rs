//! Makes many loopback connections in a network namespace of its own and times how long it takes to see them.
//!
//! `cargo run --release -p netwhy-netlink --example sockets [CONNECTIONS [COMMAND...]]`, as root. Each connection
//! is two sockets. The command, such as `ss -tan`, is timed beside it, its output thrown away.
#![allow(clippy::print_stdout)]

use netwhy_netlink::sock_diag::{self, SocketQuery, Transport, state};
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

const CONNECTION_COUNT: usize = 100_000;
/// Each thread has a table of file descriptors of its own, so that no limit needs raising.
const PER_THREAD: usize = 9_000;
const RUN_COUNT: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = words.first().map_or(Ok(CONNECTION_COUNT), |word| word.parse())?;
    apart(libc::CLONE_NEWNET)?;
    Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    let (ready, made) = mpsc::channel();
    for first in (0..wanted).step_by(PER_THREAD) {
        let ready = ready.clone();
        let count = PER_THREAD.min(wanted - first);
        std::thread::spawn(move || {
            let held = hold(count);
            let _ = ready.send(held.as_ref().map(|_| ()).map_err(ToString::to_string));
            // What it holds lives until the process ends.
            loop {
                std::thread::park();
            }
        });
    }
    drop(ready);
    for _ in (0..wanted).step_by(PER_THREAD) {
        made.recv()??;
    }
    let plain = SocketQuery::all(Transport::Tcp);
    for _ in 0..RUN_COUNT {
        time("everything", &plain)?;
        time("with info", &SocketQuery { info: true, congestion: true, memory: true, ..plain })?;
        time("listeners", &SocketQuery { memory: true, ..SocketQuery::tcp(&[state::LISTEN]) })?;
        if let Some((program, arguments)) = words.get(1..).and_then(|words| words.split_first()) {
            let began = Instant::now();
            Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
            println!("{:>8.1} ms  {}", began.elapsed().as_secs_f64() * 1e3, words[1..].join(" "));
        }
    }
    Ok(())
}

fn time(name: &str, query: &SocketQuery) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let (mut count, mut sum) = (0_u64, 0_u64);
    let consistent = sock_diag::sockets(query, |socket| {
        count += 1;
        sum += socket.inode + socket.info.map_or(0, |info| u64::from(info.rtt_us));
    })?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    println!("{took:>8.1} ms  {name}: {count} sockets, consistent {consistent}, sum {sum}");
    Ok(())
}

fn hold(count: usize) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    apart(libc::CLONE_FILES)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(TcpStream::connect(listener.local_addr()?)?);
        open.push(listener.accept()?.0);
    }
    Ok((listener, open))
}

fn apart(what: libc::c_int) -> io::Result<()> {
    // SAFETY: plain system call.
    if unsafe { libc::unshare(what) } != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
