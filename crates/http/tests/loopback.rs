//! Small broken servers on loopback, asked for real.

#![allow(clippy::unwrap_used)]

use netwhy_http::{Lookup, http, repeat, upgrade, variants};
use netwhy_model::{Case, Evidence, Header};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with its nth request; the text is the request's head.
type Serve = fn(usize, &str) -> Act;

enum Act {
    /// Writes this and closes.
    Say(String),
    /// Writes this and resets.
    Reset(String),
    /// Writes this and waits.
    Hang(String),
}

fn page(status: &str, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Say(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
    ))
}

async fn server(serve: Serve) -> SocketAddr {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for nth in 1.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(answer(stream, nth, serve));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, nth: usize, serve: Serve) {
    let mut head = vec![0; 65_536];
    let read = stream.read(&mut head).await.unwrap_or(0);
    match serve(nth, &String::from_utf8_lossy(&head[..read])) {
        Act::Say(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Act::Reset(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            let _ = stream.set_zero_linger();
        }
        Act::Hang(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    }
}

fn lookup() -> Lookup {
    Arc::new(|_| Box::pin(async { Vec::new() }))
}

fn case(address: SocketAddr, path: &str) -> Case {
    Case::new(format!("http://shop.test:{}{path}", address.port()).parse().unwrap())
}

fn value<'a>(all: &'a [Evidence], fact: &str) -> &'a str {
    all.iter().find(|e| e.fact == fact && e.speaks()).map_or("", |e| e.value.as_str())
}

async fn asked(serve: Serve) -> Vec<Evidence> {
    let address = server(serve).await;
    http(&case(address, "/"), address, lookup()).await.evidence
}

#[tokio::test]
async fn every_broken_body_has_its_own_name() {
    let cut: Serve = |_, _| Act::Say("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort".into());
    assert_eq!(value(&asked(cut).await, "http.body"), "truncated");
    let chunk: Serve =
        |_, _| Act::Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n".into());
    assert_eq!(value(&asked(chunk).await, "http.body"), "truncated");
    let reset: Serve = |_, _| Act::Reset("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort".into());
    assert_eq!(value(&asked(reset).await, "http.body"), "reset_midway");
    let stall: Serve = |_, _| Act::Hang("HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort".into());
    assert_eq!(value(&asked(stall).await, "http.body"), "stalled");
    let label: Serve = |_, _| page("200 OK", "Content-Encoding: gzip\r\n", "<p>plain</p>");
    let all = asked(label).await;
    assert_eq!((value(&all, "http.body"), value(&all, "http.encoding")), ("encoding_broken", "mislabelled"));
}

#[tokio::test]
async fn every_broken_exchange_has_its_own_name() {
    let early: Serve = |_, _| Act::Say(String::new());
    assert_eq!(value(&asked(early).await, "http.exchange"), "early_close");
    let reset: Serve = |_, _| Act::Reset(String::new());
    assert_eq!(value(&asked(reset).await, "http.exchange"), "reset");
    let mail: Serve = |_, _| Act::Say("220 mail ESMTP\r\n".into());
    assert_eq!(value(&asked(mail).await, "http.exchange"), "garbage");
    let alert: Serve = |_, _| Act::Say("\u{15}\u{3}\u{3}\0\u{2}\u{2}\n".into());
    assert_eq!(value(&asked(alert).await, "http.exchange"), "tls_on_plain");
}

#[tokio::test]
async fn redirects_end_somewhere_or_are_named() {
    let round: Serve = |_, _| page("302 Found", "Location: /again\r\n", "");
    assert_eq!(value(&asked(round).await, "http.redirect"), "loop");
    let name: Serve = |_, _| page("301 Moved", "Location: http://gone.test/\r\n", "");
    assert_eq!(value(&asked(name).await, "http.redirect"), "dead_name");
    let cookie: Serve = |_, head| {
        if head.contains("Cookie: seen=1") {
            page("200 OK", "", "in")
        } else {
            page("302 Found", "Set-Cookie: seen=1; Path=/\r\nLocation: /\r\n", "")
        }
    };
    let all = asked(cookie).await;
    assert_eq!((value(&all, "http.redirect"), value(&all, "http.status")), ("ok", "expected"));
}

#[tokio::test]
async fn one_failure_is_measured_before_it_is_told() {
    let first: Serve = |nth, _| if nth == 1 { page("503 Busy", "", "") } else { page("200 OK", "", "ok") };
    let all = asked(first).await;
    assert_eq!((value(&all, "http.status"), value(&all, "http.repeat")), ("expected", "first_fails"));
    let turns: Serve = |nth, _| if nth % 2 == 1 { page("500 Oh", "", "") } else { page("200 OK", "", "ok") };
    let all = asked(turns).await;
    assert_eq!((value(&all, "http.repeat"), value(&all, "http.backends")), ("some_fail", "some_bad"));
}

#[tokio::test]
async fn a_filter_is_known_by_what_passes() {
    let filter: Serve = |_, head| {
        if head.contains("union") { page("403 Forbidden", "", "no") } else { page("200 OK", "", "ok") }
    };
    let address = server(filter).await;
    let case = case(address, "/?id=1&x=union");
    let seen = http(&case, address, lookup()).await;
    let all = variants(&case, address, &seen).await;
    assert_eq!(value(&all, "http.benign"), "passes");
    let told = all.iter().find(|e| e.fact == "http.benign").unwrap();
    assert!(told.excerpt.contains("x=union"), "{}", told.excerpt);
}

#[tokio::test]
async fn a_limit_is_known_by_the_pause() {
    let limit: Serve =
        |nth, _| if (4..=13).contains(&nth) { page("503 Busy", "", "") } else { page("200 OK", "", "ok") };
    let address = server(limit).await;
    let case = case(address, "/");
    let seen = http(&case, address, lookup()).await;
    assert_eq!(value(&repeat(&case, address, &seen).await, "http.repeat"), "limited");
}

#[tokio::test]
async fn an_upgrade_that_never_came_was_dropped() {
    let plain: Serve = |_, _| page("426 Upgrade Required", "", "upgrade required");
    let address = server(plain).await;
    let mut case = case(address, "/ws");
    case.headers.push(Header::parse("Upgrade: websocket").unwrap());
    let seen = http(&case, address, lookup()).await;
    assert_eq!(value(&upgrade(&case, address, &seen).await, "http.upgrade"), "dropped_by_proxy");
}

#[tokio::test]
async fn a_plain_page_accuses_nothing() {
    let fine: Serve = |_, _| page("200 OK", "", "<title>Shop</title> good day");
    let address = server(fine).await;
    let case = case(address, "/");
    let seen = http(&case, address, lookup()).await;
    assert!(seen.ok);
    let more = [variants(&case, address, &seen).await, repeat(&case, address, &seen).await].concat();
    for (fact, well) in [
        ("http.benign", "not_needed"),
        ("http.limits", "not_needed"),
        ("http.encoding", "as_asked"),
        ("http.vary", "kept_apart"),
        ("http.cache", "none"),
        ("http.repeat", "all_ok"),
        ("http.parallel", "all_ok"),
        ("http.kept", "closed_politely"),
    ] {
        assert_eq!(value(&more, fact), well, "{fact}");
    }
}
