//! The question `tls`: one handshake as a user's client makes it, with a second opinion where it fails.

use crate::chain::{Certificate, ChainVerdict, ValidatorVerdict, bare, judge};
use crate::context::Context;
use crate::dial::millis;
use crate::exchange::{Ending, Exchange, Until, plain_request};
use crate::facts;
use crate::flight::Plain;
use crate::hello::{Hello, TLS12, TLS13};
use crate::observe::{Observed, Wish};
use crate::suites::{alert_name, group_name, suite_name, version_name};
use crate::trust::{TlsError, trust};
use netwhy_model::{Case, Evidence, Scheme, Stamp, TlsVersion};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use tokio::time::timeout;

/// Longest wait for the first byte of an answer, in milliseconds: a balancer without a living server closes after
/// three tries of one second (haproxy's default), and that should still be seen.
const FIRST_MS_MAX: u64 = 3_500;
/// A handshake silent for so long gets a second opinion beside it, in milliseconds.
const DOUBT_MS: u64 = 1_000;
/// Longest wait of a second opinion, in milliseconds: the kernel repeats a lost segment at 0.2 and 0.6 s.
const SECOND_MS_MAX: u64 = 1_200;
/// Smallest finite-field Diffie-Hellman prime today's clients take, in bits.
pub(crate) const DH_BITS_MIN: usize = 2_048;
/// Shortest wait for the answer to a plain request.
const PLAIN_WAIT_MIN: Duration = Duration::from_millis(400);
/// A flight of TLS 1.3 shorter than this holds no certificate, in bytes.
const FLIGHT_13_BYTES_MIN: usize = 500;
/// A handshake longer than this beyond the round trips is slow, in milliseconds.
const SLOW_MS_MIN: u64 = 1_000;

/// What one handshake showed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct HandshakeReport {
    pub address: String,
    /// The name sent; `None` for an address literal.
    pub sni: Option<String>,
    /// A value of the fact `tls.handshake`.
    pub outcome: String,
    pub version: Option<String>,
    pub cipher: Option<String>,
    pub group: Option<String>,
    pub alpn: Option<String>,
    pub alert: Option<String>,
    /// What our own side objected to.
    pub objection: Option<String>,
    pub certificate_request: bool,
    pub chain: Vec<Certificate>,
    /// From the leaf to the root, by common name.
    pub path: String,
    /// A value of the fact `tls.chain`.
    pub verdict: String,
    pub notes: Vec<String>,
    pub validators: Vec<ValidatorVerdict>,
    /// A value of the fact `tls.staple`.
    pub staple: String,
    /// Bytes the server sent up to the end of the handshake.
    pub answer_bytes: usize,
    pub connect_ms: f64,
    pub first_byte_ms: Option<f64>,
    pub handshake_ms: f64,
}

/// What the question `tls` saw.
#[derive(Debug, Clone)]
pub struct TlsSeen {
    pub evidence: Vec<Evidence>,
    pub report: HandshakeReport,
    /// A handshake without verification completes.
    pub usable: bool,
    pub(crate) inner: Option<Box<Inner>>,
}

/// What the differential builds upon.
#[derive(Debug, Clone)]
pub(crate) struct Inner {
    pub main: Observed,
    /// The hand-made hello of today's clients, when the handshake failed.
    pub wide: Option<Exchange>,
    pub plain: Option<(Plain, String)>,
    pub chain: Vec<Vec<u8>>,
    pub verdict: Option<ChainVerdict>,
    /// Why no chain could be judged, when one came.
    pub trust_error: Option<String>,
    /// What a hello that must be refused met, when the real ones met silence: the server is awake, and its
    /// longer answers do not arrive.
    pub awake: Option<String>,
    /// The handshake works, though only with suites our own library lacks.
    pub by_hand: bool,
    /// The page an HTTPS server gave to a client without certificate, when it asked for one.
    pub certificate_page: bool,
    /// A value of `tls.client_limit` with its proof.
    pub limit: Option<(&'static str, String)>,
    /// A value of the fact `tls.handshake`.
    pub outcome: &'static str,
    pub alert: Option<u8>,
}

/// Answers the question `tls`: at most about four seconds, a few milliseconds when all is well.
pub async fn tls(case: &Case, address: SocketAddr) -> TlsSeen {
    let at = Stamp::from(SystemTime::now());
    let context = Context::new(case, address);
    let Opinions { main, wide, plain, awake } = handshake(&context).await;
    if let Ending::NoConnect(why) = &main.ending {
        let why = format!("no TCP connection to {address}: {why}");
        return TlsSeen {
            evidence: vec![facts::unread("tls.handshake", at, why)],
            report: HandshakeReport { address: address.to_string(), ..HandshakeReport::default() },
            usable: false,
            inner: None,
        };
    }
    let mut inner = Inner::of(main, wide, plain, awake);
    inner.judge(case, at);
    if inner.main.certificate_asked && inner.main.well() && case.target.scheme == Scheme::Https {
        inner.certificate_page = certificate_page(&context).await;
    }
    inner.limit = client_limit(&context, &inner).await;
    let usable = inner.outcome == "ok";
    let evidence = facts::of_handshake(&context, &inner, at);
    TlsSeen { evidence, report: report(&context, &inner), usable, inner: Some(Box::new(inner)) }
}

/// The handshake, and what else was sent to understand how it failed.
struct Opinions {
    main: Observed,
    wide: Option<Exchange>,
    plain: Option<(Plain, String)>,
    awake: Option<String>,
}

impl Opinions {
    fn of(main: Observed, wide: Option<Exchange>, plain: Option<(Plain, String)>) -> Opinions {
        Opinions { main, wide, plain, awake: None }
    }
}

/// One handshake; where it is silent or fails, a second hello of our own, a plain request and a repetition.
async fn handshake(context: &Context) -> Opinions {
    let wait = (context.case.limits.wait_ms_max + 500).clamp(500, FIRST_MS_MAX);
    let wish = context.wish(Duration::from_millis(wait));
    let started = Instant::now();
    let first = context.observe(&wish);
    tokio::pin!(first);
    if let Ok(main) = timeout(Duration::from_millis(DOUBT_MS), &mut first).await {
        return second_opinion(context, main).await;
    }
    let wait = Duration::from_millis(SECOND_MS_MAX);
    let (hello, sour) = (wide_hello(context), Hello::unacceptable(context.name()));
    let other = context.exchange(&hello, Until::Flight, wait);
    let refused = context.exchange(&sour, Until::Hello, wait);
    let page = plain_request(&context.case, context.address, wait);
    tokio::pin!(other, page, refused);
    let (mut main, mut wide, mut plain, mut pulse) = (None, None, None, None);
    loop {
        tokio::select! {
            seen = &mut first, if main.is_none() => main = Some(seen),
            seen = &mut other, if wide.is_none() => wide = Some(seen),
            seen = &mut page, if plain.is_none() => plain = Some(seen),
            seen = &mut refused, if pulse.is_none() => pulse = Some(seen),
        }
        if is_settled(main.as_ref(), wide.as_ref(), plain.as_ref()) {
            let tcp = wide.as_ref().map(|wide: &Exchange| wide.tcp).unwrap_or_default();
            let main = main.unwrap_or_else(|| Observed::silent(tcp, started.elapsed()));
            let heard = main.ending == Ending::Silent
                && !main.tcp.is_unheard()
                && wide.as_ref().is_some_and(|w| w.ending == Ending::Silent && !w.tcp.is_unheard());
            let awake = match pulse.filter(|pulse| heard && pulse.spoke_tls()) {
                Some(_) => Some(context.exchange(&sour, Until::Hello, wait).await),
                None => None,
            };
            let awake = awake.filter(Exchange::spoke_tls).map(|answer| answer.said());
            return Opinions { awake, ..Opinions::of(main, wide, plain.flatten()) };
        }
    }
}

/// Whether more patience would teach nothing, when a first hello was met with silence.
fn is_settled(
    main: Option<&Observed>,
    wide: Option<&Exchange>,
    plain: Option<&Option<(Plain, String)>>,
) -> bool {
    let is_page =
        |answer: &Option<(Plain, String)>| answer.as_ref().is_some_and(|(_, line)| !is_complaint(line));
    match (main, wide, plain) {
        (Some(_), Some(_), Some(_)) => true,
        (Some(main), Some(_), None) => main.complete,
        (None, _, Some(answer)) if is_page(answer) => true,
        // Our bytes die on the way, of both hellos.
        (None, Some(wide), Some(_)) => wide.ending == Ending::Silent && wide.tcp.is_unheard(),
        _ => false,
    }
}

async fn second_opinion(context: &Context, main: Observed) -> Opinions {
    let cut_off = matches!(main.ending, Ending::Closed | Ending::Reset);
    if main.well() && !(main.certificate_asked && cut_off) {
        return Opinions::of(main, None, None);
    }
    let wait = Duration::from_millis(SECOND_MS_MAX);
    // Who ends a hello at once would answer a plain request at once.
    let brief = PLAIN_WAIT_MIN + 20 * main.connect;
    let (wish, hello) = (context.wish(wait), wide_hello(context));
    let (again, wide, plain) = tokio::join!(
        context.observe(&wish),
        context.exchange(&hello, Until::Flight, wait),
        plain_request(&context.case, context.address, brief.min(wait))
    );
    let better = again.well() && again.ending == Ending::Enough;
    let main = if better || matches!(main.ending, Ending::NoConnect(_)) { again } else { main };
    if main.well() && main.ending == Ending::Enough {
        Opinions::of(main, None, None)
    } else {
        Opinions::of(main, Some(wide), plain)
    }
}

/// The hand-made hello that differs from our library's in what it offers, not in name and protocols.
fn wide_hello(context: &Context) -> Hello {
    Hello { alpn: context.alpn(), ..Hello::wide(context.name()) }
}

/// Time spent beyond what the path's round trips explain, in both hellos where two were sent.
pub(crate) fn is_slow(main: &Observed, wide: Option<&Exchange>) -> bool {
    let limit = Duration::from_millis(SLOW_MS_MIN) + 8 * main.connect;
    main.complete && main.handshake > limit && wide.is_none_or(|wide| wide.total > limit)
}

/// Whether an HTTPS server tells a client without certificate that it needs one (nginx does, with status 400).
async fn certificate_page(context: &Context) -> bool {
    let host = context.case.target.host_header();
    let wish = Wish {
        alpn: vec![b"http/1.1".to_vec()],
        settle: false,
        request: Some(format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: netwhy\r\nConnection: close\r\n\r\n"
        )),
        ..context.wish(Duration::from_millis(SECOND_MS_MAX))
    };
    let seen = context.observe(&wish).await;
    let page = String::from_utf8_lossy(&seen.page).to_ascii_lowercase();
    let status = page.split(' ').nth(1).unwrap_or("");
    ["400", "403", "495", "496"].contains(&status) && page.contains("certificate")
}

/// A hello no newer than the client the user has, asked twice before it is called refused.
async fn client_limit(context: &Context, inner: &Inner) -> Option<(&'static str, String)> {
    let limit = match context.case.expect.tls_max? {
        TlsVersion::V10 => 0x0301,
        TlsVersion::V11 => 0x0302,
        TlsVersion::V12 => TLS12,
        TlsVersion::V13 => TLS13,
    };
    let spoke = inner.main.flight.is_tls() || inner.wide.as_ref().is_some_and(Exchange::spoke_tls);
    if !spoke {
        return None;
    }
    let mut hello = Hello::limited(limit, context.name());
    hello.alpn = context.alpn();
    let wait = Duration::from_millis(1_500);
    let mut said = String::new();
    for _ in 0..2 {
        let answer = context.exchange(&hello, Until::Hello, wait).await;
        said = format!("hello up to {}: {}", version_name(limit), answer.said());
        if answer.version().is_some_and(|version| version <= limit) {
            return Some(("served", said));
        }
        if matches!(answer.ending, Ending::NoConnect(_) | Ending::Silent | Ending::Stalled) {
            return None;
        }
    }
    Some(("refused", format!("{said}, twice")))
}

impl Inner {
    fn of(
        main: Observed,
        wide: Option<Exchange>,
        plain: Option<(Plain, String)>,
        awake: Option<String>,
    ) -> Inner {
        let plain = main
            .flight
            .plain
            .or(wide.as_ref().and_then(|w| w.flight.plain))
            .map(|plain| (plain, "the answer to the hello".to_owned()))
            .or(plain.filter(|(_, line)| !is_complaint(line)));
        let by_hand = works_by_hand(&main, wide.as_ref());
        let chain = match (&wide, main.chain.is_empty()) {
            (Some(wide), true) => wide.flight.chain.clone(),
            _ => main.chain.clone(),
        };
        let old = wide.as_ref().and_then(Exchange::version).or(main.flight.hello.as_ref().map(|h| h.version));
        let spoke = main.flight.is_tls() || wide.as_ref().is_some_and(Exchange::spoke_tls);
        let from_wide =
            wide.as_ref().and_then(|w| w.flight.alert).filter(|alert| alert.fatal).map(|a| a.code);
        let mut alert =
            if by_hand { None } else { main.alert.or(from_wide.filter(|_| main.objection.is_some())) };
        let cut_off = matches!(main.ending, Ending::Closed | Ending::Reset);
        let outcome = if by_hand || (main.well() && !(main.certificate_asked && cut_off)) {
            "ok"
        } else if plain.is_some() && !spoke {
            "plain"
        } else if alert.is_some() || main.objection.is_some() {
            if alert.is_none() && old.is_some_and(|version| version < TLS12) {
                alert = Some(70);
            }
            "alert"
        } else {
            match main.ending {
                Ending::Closed => "closed",
                Ending::Reset => "reset",
                Ending::Silent if awake.is_none() => "silent",
                _ => "stalled",
            }
        };
        Inner {
            main,
            wide,
            plain: plain.filter(|_| !spoke),
            chain,
            verdict: None,
            trust_error: None,
            awake,
            by_hand,
            certificate_page: false,
            limit: None,
            outcome,
            alert,
        }
    }

    fn judge(&mut self, case: &Case, at: Stamp) {
        if self.chain.is_empty() {
            return;
        }
        let now = i64::try_from(at.millis() / 1_000).unwrap_or(i64::MAX);
        match trust(case) {
            Ok(trust) if trust.parsed.is_empty() => self.trust_error = Some(TlsError::NoRoots.to_string()),
            Ok(trust) => {
                let staple = match &self.wide {
                    Some(wide) if self.main.staple.is_empty() => {
                        wide.flight.staple.clone().unwrap_or_default()
                    }
                    _ => self.main.staple.clone(),
                };
                self.verdict = Some(judge(&self.chain, &staple, &trust, &case.target.host, now));
            }
            Err(error) => self.trust_error = Some(error.to_string()),
        }
    }
}

/// The first line of a plain answer is a TLS server's complaint about plain text, so it proves nothing.
fn is_complaint(line: &str) -> bool {
    line.split(' ').nth(1).is_some_and(|status| status == "400")
}

/// Our library has no CBC, DHE or RSA key exchange and fewer groups; OpenSSL and browsers still do.
fn works_by_hand(main: &Observed, wide: Option<&Exchange>) -> bool {
    let Some(wide) = wide.filter(|wide| wide.accepted() && !main.complete && !main.certificate_asked) else {
        return false;
    };
    let strong = wide.flight.dh_bits.is_none_or(|bits| bits >= DH_BITS_MIN);
    let offered_too_little = main.objection.is_some() || matches!(main.alert, Some(40 | 47 | 71));
    let retry = wide.flight.hello.as_ref().is_some_and(|hello| hello.retry);
    let works = match wide.version() {
        Some(TLS12) => wide.flight.done,
        // Past the ServerHello all is encrypted, an alert too; only a flight of some size holds a certificate.
        Some(TLS13) => offered_too_little && (retry || wide.answer_bytes >= FLIGHT_13_BYTES_MIN),
        _ => false,
    };
    works && strong && wide.ending == Ending::Enough
}

fn report(context: &Context, inner: &Inner) -> HandshakeReport {
    let main = &inner.main;
    let clear = inner.wide.as_ref().filter(|_| !main.complete).and_then(|wide| wide.flight.hello.as_ref());
    let verdict = inner.verdict.as_ref();
    HandshakeReport {
        address: context.address.to_string(),
        sni: context.name().map(str::to_owned),
        outcome: inner.outcome.to_owned(),
        version: main.version.or(clear.map(|hello| hello.version)).map(version_name),
        cipher: main.cipher.or(clear.map(|hello| hello.cipher)).map(suite_name),
        group: main.group.clone().or(clear.and_then(|hello| hello.group).map(group_name)),
        alpn: main.alpn.as_ref().map(|alpn| String::from_utf8_lossy(alpn).into_owned()),
        alert: inner.alert.map(alert_name),
        objection: main.objection.clone().filter(|_| !inner.by_hand),
        certificate_request: main.certificate_asked
            || inner.wide.as_ref().is_some_and(|wide| wide.flight.certificate_request),
        chain: verdict.map(|v| v.certificates.clone()).unwrap_or_default(),
        path: verdict.map(|v| v.path.clone()).unwrap_or_default(),
        verdict: verdict.map(|v| v.fault.map_or("ok", |fault| fault.name()).to_owned()).unwrap_or_default(),
        notes: verdict.map(|v| v.notes.clone()).unwrap_or_default(),
        validators: verdict.map(|v| v.validators.clone()).unwrap_or_default(),
        staple: verdict.map(|v| v.staple.to_owned()).unwrap_or_default(),
        answer_bytes: main.answer_bytes,
        connect_ms: millis(main.connect),
        first_byte_ms: main.first.map(millis),
        handshake_ms: millis(main.handshake),
    }
}

/// The host as the user wrote it, without brackets.
pub(crate) fn host(case: &Case) -> String {
    bare(&case.target.host)
}
