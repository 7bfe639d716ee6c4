//! Bench: asks every question.
#![allow(clippy::print_stdout, clippy::unwrap_used)]
use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;
use std::time::Instant;
fn show(q: &str, t: Instant, ev: &[Evidence]) {
    println!("== {q} {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
    for e in ev {
        println!("  {:22} {:16} {}", e.fact, if e.speaks() { e.value.as_str() } else { "UNREAD" }, e.excerpt);
    }
}
#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let want = |q: &str| args[2] == "all" || args[2].split(',').any(|w| w == q);
    let mut case = Case::new(args[1].parse().unwrap());
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for a in &args[3..] {
        if let Some((_, e)) = a.split_once("expect:") {
            case.expect.add(e).unwrap();
            continue;
        }
        if let Some((_, e)) = a.split_once("iface:") {
            case.source.interface = Some(e.into());
            continue;
        }
        addresses.push(SocketAddr::new(a.parse().unwrap(), case.target.port));
    }
    let t = Instant::now();
    if want("local") {
        show("local", t, &netwhy_probe::local(&case, &addresses).await);
    }
    let t = Instant::now();
    let c = netwhy_probe::connect(&case, &addresses).await;
    show("connect", t, if want("connect") { &c.evidence } else { &[] });
    let a = c.best.unwrap_or(addresses[0]);
    let t = Instant::now();
    if want("control") {
        show("control", t, &netwhy_probe::control(&case, a, &c).await);
    }
    let t = Instant::now();
    if want("payload") {
        show("payload", t, &netwhy_probe::payload(&case, a, &c).await);
    }
    let t = Instant::now();
    if want("series") {
        show("series", t, &netwhy_probe::series(&case, a, &c).await);
    }
    let t = Instant::now();
    if want("udp") {
        show("udp", t, &netwhy_probe::udp(&case, a).await);
    }
}
