//! Scratch: asks questions and prints evidence.
#![allow(clippy::all, clippy::print_stdout, clippy::unwrap_used)]
use netwhy_model::*;
use std::net::*;
use std::sync::Arc;
#[tokio::main]
async fn main() {
    let mut case = None;
    let mut qs = vec!["http".to_owned()];
    let mut addr: IpAddr = "127.0.0.1".parse().unwrap();
    let mut a = std::env::args().skip(1);
    while let Some(x) = a.next() {
        match x.as_str() {
            "-q" => qs = a.next().unwrap().split(',').map(str::to_owned).collect(),
            "-a" => addr = a.next().unwrap().parse().unwrap(),
            "-X" => {
                let c: &mut Case = case.as_mut().unwrap();
                c.method = a.next().unwrap();
            }
            "-H" => {
                let c: &mut Case = case.as_mut().unwrap();
                c.headers.push(Header::parse(&a.next().unwrap()).unwrap());
            }
            "-b" => {
                let c: &mut Case = case.as_mut().unwrap();
                c.body_bytes = Some(a.next().unwrap().parse().unwrap());
            }
            "-e" => {
                let c: &mut Case = case.as_mut().unwrap();
                c.expect.add(&a.next().unwrap()).unwrap();
            }
            "-o" => {
                let c: &mut Case = case.as_mut().unwrap();
                c.origin = Some(Origin::parse(&a.next().unwrap()).unwrap());
            }
            "-h" => {
                let c: &mut Case = case.as_mut().unwrap();
                c.health_path = Some(a.next().unwrap());
            }
            t => case = Some(Case::new(t.parse().unwrap())),
        }
    }
    let case = case.unwrap();
    let to = SocketAddr::new(addr, case.target.port);
    let lookup: netwhy_http::Lookup = Arc::new(move |n: String| {
        let v = if n.ends_with(".dead") { vec![] } else { vec![addr] };
        Box::pin(async move { v })
    });
    let start = std::time::Instant::now();
    let seen = netwhy_http::http(&case, to, lookup).await;
    let show = |q: &str, ev: &[Evidence], t: std::time::Instant| {
        println!("== {q} {:.0} ms", t.elapsed().as_secs_f64() * 1e3);
        for e in ev {
            println!("  {:22} {:14} {:?} {}", e.fact, e.value, e.outcome, e.excerpt);
        }
    };
    if std::env::var("QUIET").is_err() || qs.iter().any(|q| q == "http") {
        show("http", &seen.evidence, start);
    }
    println!("  ok={}", seen.ok);
    for q in qs {
        let t = std::time::Instant::now();
        let ev = match q.as_str() {
            "variants" => netwhy_http::variants(&case, to, &seen).await,
            "repeat" => netwhy_http::repeat(&case, to, &seen).await,
            "idle" => netwhy_http::idle(&case, to, &seen).await,
            "upgrade" => netwhy_http::upgrade(&case, to, &seen).await,
            "health" => netwhy_http::health(&case, to).await,
            "origin" => netwhy_http::origin(&case, Some(&seen)).await,
            "report" => {
                println!("{:#?}", seen.report);
                vec![]
            }
            _ => continue,
        };
        show(&q, &ev, t);
    }
}
