//! The question `http.idle`: a second request on a connection left idle for a while.

use crate::HttpSeen;
use crate::exchange::{answer, exchange, exchange_on};
use crate::facts::{seen as fact, unread};
use crate::view::{Kind, View};
use netwhy_model::{Case, Evidence};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// How long the connection is left alone, in milliseconds.
pub const IDLE_MS: u64 = 3_000;
/// Wait for the second answer, in milliseconds.
const SECOND_MS_MAX: u64 = 2_500;

/// Leaves a connection idle and uses it again.
pub(crate) async fn idle(case: &Case, seen: &HttpSeen) -> Vec<Evidence> {
    let ask = seen.told.ask.clone().within(Duration::from_millis(SECOND_MS_MAX));
    let (first, line) = exchange(case, &ask).await;
    let first = View::of(case, first);
    if first.status() == 0 {
        return vec![unread("http.idle", format!("the first request got no response: {}", first.text()))];
    }
    let Some(mut line) = line else {
        return vec![unread("http.idle", "the server ends the connection with its first answer")];
    };
    let mut byte = [0; 1];
    let told = tokio::time::timeout(Duration::from_millis(IDLE_MS), line.read(&mut byte)).await;
    match told {
        Ok(Ok(0)) => {
            return vec![fact("http.idle", "closed", format!("FIN while idle, within {IDLE_MS} ms"))];
        }
        // A TLS stack tells a close without close_notify as an error; it is a close all the same.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return vec![fact("http.idle", "closed", format!("FIN while idle, within {IDLE_MS} ms"))];
        }
        Ok(Err(error)) => return again(case, &ask, "reset", format!("while idle: {error}")).await,
        Ok(Ok(_)) => return vec![fact("http.idle", "ok", "the server spoke while idle")],
        Err(_) => {}
    }
    let (second, line) = exchange_on(line, &ask).await;
    if let Some(line) = line {
        line.close();
    }
    let second = View::of(case, second);
    let text = format!("after {IDLE_MS} ms idle: {}", second.text());
    match second.kind {
        Kind::Timeout => {
            let kernel = second.kernel.unwrap_or_default();
            let more =
                format!("{text}; {} retransmissions, {} unacknowledged", kernel.retransmits, kernel.unacked);
            again(case, &ask, "lost", more).await
        }
        Kind::Reset | Kind::Closed | Kind::NoConnection | Kind::NoTls | Kind::Refused => {
            again(case, &ask, "reset", text).await
        }
        Kind::Status(502..=504) if first.good => stale_behind(case, &ask, text).await,
        _ => vec![fact("http.idle", "ok", text)],
    }
}

/// The connection to the proxy lives; its own connection to the service, kept as long, may not.
async fn stale_behind(case: &Case, ask: &crate::ask::Ask, text: String) -> Vec<Evidence> {
    let fresh = View::of(case, answer(case, ask).await);
    let told = fact("http.idle", "ok", text.clone());
    let text = format!("{text}; at once again: {}", fresh.text());
    if fresh.good { vec![told, fact("http.kept", "fails", text)] } else { vec![told] }
}

/// Blames the idle time only when a fresh connection still works.
async fn again(case: &Case, ask: &crate::ask::Ask, value: &'static str, text: String) -> Vec<Evidence> {
    let fresh = View::of(case, answer(case, ask).await);
    let text = format!("{text}; on a fresh connection: {}", fresh.text());
    if fresh.status() == 0 { vec![unread("http.idle", text)] } else { vec![fact("http.idle", value, text)] }
}
