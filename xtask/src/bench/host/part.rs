//! The processes that make a large machine: who accepts, who connects, who opens new connections all the time.
//!
//! Each lives until its input is closed, so that none outlives who started it.

use crate::bench::part::{Part, READY, say};
use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use socket2::{Domain, Socket, Type};
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Descriptors a process needs besides its connections.
const DESCRIPTORS_BESIDES: u64 = 1_000;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// Who makes new connections goes before others: a busy machine would else make fewer than asked for.
const LOAD_BY: [&str; 3] = ["chrt", "--rr", "1"];
/// New connections made at once.
const BATCH_COUNT_MAX: u64 = 200;
/// Who falls behind by more does not catch up, in parts of a second.
const BEHIND_S_MAX: f64 = 0.25;
/// Where connections that stay come from, and new ones: loopback addresses, each another peer.
const STAYING_NET: u32 = 0x7f10_0000;
const NEW_NET: u32 = 0x7f20_0000;
/// Addresses new connections come from.
const NEW_ADDRESS_COUNT: u64 = 250;
const FIRST_PORT: u64 = 10_000;
const PORT_COUNT: u64 = 50_000;

/// Does the part named, in this process.
pub fn run(words: &[&str]) -> Result<()> {
    let number = |word: &str| word.parse::<u64>().with_context(|| format!("{word:?} is no number"));
    match words {
        ["accept", port, count] => accept(u16::try_from(number(port)?)?, number(count)?),
        ["connect", port, first, count] => {
            connect(u16::try_from(number(port)?)?, number(first)?, number(count)?)
        }
        ["load", port, per_s] => load(u16::try_from(number(port)?)?, number(per_s)?),
        _ => bail!("unknown part {words:?}"),
    }
}

/// Starts a part; `words` is what it does.
pub fn start(words: &[&str]) -> Result<Part> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new(&own);
    if words.first() == Some(&"load") {
        command = Command::new(LOAD_BY[0]);
        command.args(&LOAD_BY[1..]).arg(&own);
    }
    Part::start(command.args(["bench", "host", "part"]).args(words))
}

/// How many connections the load made, and its processor time in microseconds.
pub fn made(load: &mut Part) -> Result<(u64, u64)> {
    let line = load.ask()?;
    let (count, used) = line.split_once(' ').context("a part said something else")?;
    Ok((count.parse()?, used.parse()?))
}

fn accept(port: u16, count: u64) -> Result<()> {
    raise(count)?;
    let listener = listen(port)?;
    say("listening")?;
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(listener.accept().context("accepting")?);
    }
    say(READY)?;
    wait_for_the_end();
    Ok(())
}

/// Connects from the addresses that follow the `first`.
fn connect(port: u16, first: u64, count: u64) -> Result<()> {
    raise(count)?;
    let mut open = Vec::new();
    for number in first..first + count {
        let address = Ipv4Addr::from(STAYING_NET + 1 + u32::try_from(number)?);
        open.push(open_from(address, FIRST_PORT + number % PORT_COUNT, port)?);
    }
    say(READY)?;
    wait_for_the_end();
    Ok(())
}

/// Opens and closes `per_s` connections a second to a listener of its own; the connecting side closes first.
fn load(port: u16, per_s: u64) -> Result<()> {
    let listener = listen(port)?;
    listener.set_nonblocking(true).context("the listener")?;
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    say("listening")?;
    std::thread::spawn(move || answer(&count));
    let mut began = Instant::now();
    let mut due_from = 0;
    loop {
        let elapsed = began.elapsed().as_secs_f64();
        let now = made.load(Ordering::Relaxed);
        let behind = ((elapsed * per_s as f64) as u64).saturating_sub(now - due_from);
        if behind == 0 {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        if behind as f64 > per_s as f64 * BEHIND_S_MAX {
            (began, due_from) = (Instant::now(), now);
        }
        let batch = behind.min(BATCH_COUNT_MAX);
        let mut open = Vec::new();
        for number in now..now + batch {
            let address = Ipv4Addr::from(NEW_NET + 1 + (number % NEW_ADDRESS_COUNT) as u32);
            open.push(open_from(address, FIRST_PORT + number / NEW_ADDRESS_COUNT % PORT_COUNT, port)?);
        }
        drop(open);
        while listener.accept().is_ok() {}
        made.fetch_add(batch, Ordering::Relaxed);
    }
}

/// Says how far the load is, once per line of input; its end ends the process.
fn answer(made: &AtomicU64) {
    for line in io::stdin().lock().lines() {
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        let used = getrusage(UsageWho::RUSAGE_SELF)
            .map_or(0, |usage| micros(usage.user_time()) + micros(usage.system_time()));
        if line.is_err() || say(format_args!("{} {used}", made.load(Ordering::Relaxed))).is_err() {
            break;
        }
    }
    std::process::exit(0);
}

fn open_from(address: Ipv4Addr, own_port: u64, port: u16) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).context("a socket")?;
    let own = SocketAddr::from((address, u16::try_from(own_port)?));
    socket.bind(&own.into()).with_context(|| format!("binding {own}"))?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&to.into()).with_context(|| format!("connecting from {own}"))?;
    Ok(socket)
}

fn listen(port: u16) -> Result<Socket> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).context("a socket")?;
    listener.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).context("binding")?;
    listener.listen(BACKLOG).context("listening")?;
    Ok(listener)
}

/// Lets this process open that many files; more than the hard limit only the kernel's administrator may.
fn raise(count: u64) -> Result<()> {
    let limit = count + DESCRIPTORS_BESIDES;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("the limit of open files")?;
    if soft >= limit {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard.max(limit)).context("raising the limit of open files")
}

fn wait_for_the_end() {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
