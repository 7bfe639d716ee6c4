//! The commands, one file each.

pub(crate) mod agent;
pub(crate) mod at;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diagnose;
pub(crate) mod dns;
mod end;
pub(crate) mod explain;
pub(crate) mod flows;
pub(crate) mod folder;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod lab;
pub(crate) mod man;
pub(crate) mod ping;
pub(crate) mod policy;
mod reference;
pub(crate) mod scan;
pub(crate) mod tcp;
pub(crate) mod tls;
pub(crate) mod trace;
pub(crate) mod way;

use crate::Common;
use clap::Subcommand;

/// What netwhy can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say why this host cannot reach a target, and what fixes it
    Diagnose(Box<diagnose::Args>),
    /// Ask DNS: every resolver apart, the walk from the root, DNSSEC, and who is wrong or slow
    Dns(dns::Args),
    /// Measure loss, latency and jitter by TCP, ICMP or UDP, as the wire sees them
    Ping(ping::Args),
    /// Make a TCP handshake and say how it ended, who ended it, and what retries did
    Tcp(tcp::Args),
    /// Scan ports of hosts and networks: which answer at all, and how the others fail
    Scan(Box<scan::Args>),
    /// Follow the path hop by hop: where SYN, UDP and ping die, loss, loops and path MTU
    Trace(trace::Args),
    /// Ask a TLS server: handshake, certificate chain, versions, ciphers, and what one change to the hello does
    Tls(tls::Args),
    /// Make an HTTP request: every phase timed, redirects followed, and who wrote the status
    Http(http::Args),
    /// Read this machine and judge it: sockets, queues, limits, firewall, routes, services, logs
    Host(host::Args),
    /// Ask rules instead of the network: who may reach whom, which rule stops it, what is wrong with them
    Policy(Box<policy::Args>),
    /// Read flow logs, captures and logs: what they know, and whether this host is the attacker; keep them in a lake
    Flows(Box<flows::Args>),
    /// Let others with a certificate look at this host: the far end of --at origin=agent://HOST
    Agent(agent::Args),
    /// Teach one cause: what it is, how it looks, how to prove it, how to mend it
    Explain(explain::Args),
    /// See netwhy at work: a small network, three faults, three verdicts; needs nothing else
    Demo(demo::Args),
    /// Break networks of your own making for real, to learn and to measure
    Lab(lab::Args),
    /// Write the completions of a shell
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
    /// Write the reference of the command line in Markdown
    #[command(hide = true)]
    Reference,
    /// Be an end of a case that another netwhy runs, over stdin and stdout
    #[command(hide = true)]
    EndStdio,
}

/// Does what must be done while there is one thread.
pub fn before_threads(command: &mut Command) -> anyhow::Result<()> {
    match command {
        Command::Agent(args) => args.make_ready(),
        _ => Ok(()),
    }
}

/// Runs one command; the number is the exit code.
pub async fn run(command: Command, common: Common) -> anyhow::Result<u8> {
    if let Some(format) = common.format.filter(|format| format.is_of_rows())
        && !matches!(command, Command::Flows(_))
    {
        return Err(flows::only_rows(format));
    }
    match command {
        Command::Diagnose(args) => diagnose::run(*args, common).await,
        Command::Tls(args) => tls::run(args, &common).await,
        Command::Dns(args) => dns::run(args, &common).await,
        Command::Http(args) => http::run(args, &common).await,
        Command::Tcp(args) => tcp::run(args, &common).await,
        Command::Ping(args) => ping::run(args, &common).await,
        Command::Scan(args) => scan::run(*args, &common).await,
        Command::Trace(args) => trace::run(args, &common).await,
        Command::Host(args) => host::run(args, &common).await,
        Command::Policy(args) => policy::run(*args, common).await,
        Command::Flows(args) => flows::run(*args, common).await,
        Command::Agent(args) => agent::run(args, &common).await,
        Command::Explain(args) => explain::run(&args, &common),
        Command::Demo(args) => demo::run(args, common).await,
        Command::Lab(args) => lab::run(args, common).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::EndStdio => end::run().await,
        Command::Reference => reference::run(common.lang),
    }
}
