//! An exchange as plain data for the command and for programs.

use crate::dial::DialError;
use crate::exchange::End;
use crate::follow::Followed;
use crate::report::{BodyReport, ExchangeReport, Phases};

/// The report of where the request ended.
pub(crate) fn report(told: &Followed) -> ExchangeReport {
    let view = &told.view;
    let answered = view.end == End::Answered;
    let header = |name: &str| view.head.get(name).map(str::to_owned);
    ExchangeReport {
        url: told.ask.url(),
        address: told.ask.address.to_string(),
        outcome: outcome(&view.end).to_owned(),
        protocol: view.head.version.to_owned(),
        tls: view.tls.clone(),
        status: answered.then_some(view.head.status),
        reason: view.head.reason.clone(),
        headers: view.head.headers.clone(),
        phases: phases(told),
        redirects: told.redirects.clone(),
        body: BodyReport {
            bytes: view.body_len,
            decoded_bytes: view.decoded_len,
            coding: header("content-encoding"),
            hash: answered.then(|| view.hash.clone()),
            title: view.title.clone(),
            state: view.body_state.unwrap_or("").to_owned(),
        },
        server: header("server"),
        via: header("via"),
        writer: if answered { view.writer.0.to_owned() } else { String::new() },
        writer_why: if answered { view.writer.1.clone() } else { view.text() },
        signature: view.sign.value.to_owned(),
        signature_words: view.sign.words.clone().into_owned(),
        rtt_ms: view.kernel.map(|k| k.rtt_ms),
    }
}

fn phases(told: &Followed) -> Phases {
    let times = told.view.times;
    let since = |later: Option<f64>, sooner: Option<f64>| Some((later? - sooner.unwrap_or(0.0)).max(0.0));
    let ready = times.secured.or(times.connected);
    Phases {
        name_ms: None,
        connect_ms: times.connected,
        tls_ms: since(times.secured, times.connected),
        request_ms: since(times.sent, ready),
        first_byte_ms: told.view.wait_ms,
        body_ms: since(Some(times.total), times.first_byte).filter(|_| times.first_byte.is_some()),
        total_ms: times.total,
    }
}

fn outcome(end: &End) -> &'static str {
    match end {
        End::Answered => "ok",
        End::Timeout => "timeout",
        End::Reset => "reset",
        End::EarlyClose => "early_close",
        End::Garbage(_) => "garbage",
        End::TlsOnPlain => "tls_on_plain",
        End::NoConnection(DialError::Tls(_) | DialError::NotTls) => "no_tls",
        End::NoConnection(_) => "no_connection",
    }
}
