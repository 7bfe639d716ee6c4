//! netwhy's own tiny servers: enough to teach and to demonstrate without any daemon installed.
//!
//! Each runs as a process of its own on its host, so that it can be killed or frozen as a daemon can.

mod dns;
mod recurse;
mod sockets;
mod tls;
mod web;
mod zone;

use crate::error::{LabError, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::future::Future;

/// Connections one server holds at the same time; more wait in the accept queue.
const CONNECTIONS_COUNT_MAX: usize = 256;

/// Checks the options of a server without starting it; the error is one sentence.
pub fn check(kind: &str, options: &BTreeMap<String, Value>) -> std::result::Result<(), String> {
    let options: Map<String, Value> = options.clone().into_iter().collect();
    match kind {
        "dns" => read::<dns::Options>(options).map(drop),
        "web" => read::<web::Options>(options).map(drop),
        "tcp" => read::<sockets::TcpOptions>(options).map(drop),
        "udp" => read::<sockets::UdpOptions>(options).map(drop),
        _ => Err(format!("kind {kind:?} is none of dns, web, tcp, udp, exec")),
    }
}

/// The server process: serves until killed.
pub fn main(kind: &str, options: &str) -> Result<()> {
    let options: Map<String, Value> = serde_json::from_str(options).map_err(|error| failed(kind, &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(kind, &error))?;
    let ready = crate::say_ready;
    match kind {
        "dns" => run(&runtime, kind, dns::serve(parsed(kind, options)?, ready)),
        "web" => run(&runtime, kind, web::serve(parsed(kind, options)?, ready)),
        "tcp" => run(&runtime, kind, sockets::serve_tcp(parsed(kind, options)?, ready)),
        "udp" => run(&runtime, kind, sockets::serve_udp(parsed(kind, options)?, ready)),
        _ => Err(failed(kind, &"no such kind")),
    }
}

fn run(
    runtime: &tokio::runtime::Runtime,
    kind: &str,
    serve: impl Future<Output = std::io::Result<()>>,
) -> Result<()> {
    runtime.block_on(serve).map_err(|error| failed(kind, &error))
}

fn parsed<T: DeserializeOwned>(kind: &str, options: Map<String, Value>) -> Result<T> {
    read(options).map_err(|why| failed(kind, &why))
}

fn read<T: DeserializeOwned>(options: Map<String, Value>) -> std::result::Result<T, String> {
    serde_json::from_value(Value::Object(options)).map_err(|error| error.to_string())
}

fn failed(kind: &str, why: &dyn std::fmt::Display) -> LabError {
    LabError::Service { name: format!("own {kind} server"), why: why.to_string() }
}
