//! Scratch.
#![allow(clippy::all, clippy::unwrap_used, clippy::print_stdout)]
use std::time::Instant;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let mut case = netwhy_model::Case::new(args[1].parse().unwrap());
    for a in args.iter().skip(3) {
        if let Some(v) = a.strip_prefix("ca=") {
            case.ca_file = Some(v.into())
        }
        if let Some(v) = a.strip_prefix("cert=") {
            case.client_cert = Some(v.into())
        }
        if let Some(v) = a.strip_prefix("expect=") {
            case.expect.add(v).unwrap()
        }
    }
    let address = args[2].parse().unwrap();
    let t = Instant::now();
    let seen = netwhy_tls::tls(&case, address).await;
    let a = t.elapsed();
    let t = Instant::now();
    let more = netwhy_tls::differential(&case, address, &seen).await;
    let b = t.elapsed();
    println!(
        "usable {} tls {:.1} ms differential {:.1} ms",
        seen.usable,
        a.as_secs_f64() * 1e3,
        b.as_secs_f64() * 1e3
    );
    let verbose = std::env::var("V").is_ok();
    for e in seen.evidence.iter().chain(&more) {
        if verbose {
            println!("  {:18} {:20} {}", e.fact, e.value, e.excerpt)
        } else {
            print!(" {}={}", e.fact.trim_start_matches("tls."), e.value)
        }
    }
    println!();
    if std::env::var("M").is_ok() {
        println!("{:#?}", netwhy_tls::matrix(&case, address).await);
    }
    if std::env::var("O").is_ok() {
        let o = netwhy_tls::origin_tls(&case, address).await;
        println!("  ORIGIN {} sni {} {}", o.value, o.without_sni, o.excerpt);
    }
}
