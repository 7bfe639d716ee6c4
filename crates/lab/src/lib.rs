//! Real faults in network namespaces: topologies, scenarios, tiny servers.
//!
//! [`run`] starts a copy of the running program behind walls of its own ([`maybe_inside`] is where that
//! copy wakes up), builds the network of a [`Scenario`], breaks it, runs netwhy inside, heals it, runs
//! netwhy again, and reports every step as an [`Event`]. Nothing outside those walls is touched, and
//! nothing is left when the run ends, however it ends.

mod address;
mod check;
mod demo;
mod ends;
mod error;
mod host;
mod inside;
mod isolate;
mod library;
mod netlink;
mod network;
mod oddity;
mod outside;
mod pki;
mod relay;
mod scenario;
mod score;
mod script;
mod server;
mod service;
mod step;
mod toolbox;

pub use demo::demo;
pub use ends::{Ends, places};
pub use error::{LabError, Result};
pub use library::Library;
pub use oddity::sprinkle;
pub use outside::{missing, run};
pub use pki::Profile;
pub use scenario::{Head, Host, Link, Network, Scenario, Service, Shape, Words, parse};
pub use score::{Bin, RESULTS_SCHEMA, Results, Row, Totals, score};
pub use script::{Act, Event, Measured, Phase, Script};
pub use toolbox::{Comparison, Reader, ToolRun, Toolbox, facts};

use std::process::ExitCode;

/// The hidden subcommands under which the program starts copies of itself.
const ROLE_INSIDE: &str = "lab-inside";
const ROLE_SERVER: &str = "lab-server";
const ROLE_RELAY: &str = "lab-relay";

/// Runs the part of a lab this process was started for; `None` in an ordinary run.
///
/// Must be the first thing `main` calls: namespaces have to be entered before any thread exists.
pub fn maybe_inside() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).take(3).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [ROLE_INSIDE] => return Some(ExitCode::from(inside::main())),
        [ROLE_SERVER, kind, options] => server::main(kind, options),
        [ROLE_RELAY, cable] => network::relay_main(cable),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    })
}

/// Tells the parent, which reads our standard output, that the server is ready.
fn say_ready() {
    let _ = nix::unistd::write(std::io::stdout(), b"\n");
}

/// Writes an error where the log of this service is kept.
fn complain(error: &LabError) {
    let _ = nix::unistd::write(std::io::stderr(), format!("{error}\n").as_bytes());
}

/// The stem of a zone's file: the root zone has no name of its own.
fn zone_file_stem(zone: &str) -> &str {
    if zone == "." { "root" } else { zone }
}
