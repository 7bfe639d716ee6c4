//! One connection: handshake, first bytes, and what came of them.

use crate::connect::attempt::{Ended, Plan, attempt};
use crate::socket::{self, TcpInfo};
use socket2::Socket;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// Most bytes of an answer that are kept.
const ANSWER_BYTES_MAX: usize = 2_048;
/// Retransmissions without an acknowledgment that are no chance.
const RETRANS_COUNT_MIN: u32 = 2;
/// The kernel repeats unacknowledged bytes so often within this.
const UNACKED_AFTER: Duration = Duration::from_millis(1_300);
const HANDSHAKE_WAIT: Duration = Duration::from_millis(1_500);

/// What to do on the connection.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub plan: Plan,
    pub address: SocketAddr,
    /// Wait so long for the server to speak or close first.
    pub listen: Duration,
    /// Then send these.
    pub bytes: Vec<u8>,
    /// And wait so long for an answer.
    pub wait: Duration,
    /// A greeting is all that is wanted: stop once it is there.
    pub greeting: bool,
}

/// How the exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    NoHandshake,
    Answered,
    /// Before we spoke.
    ClosedFirst,
    ResetFirst,
    /// After we spoke.
    Closed,
    Reset,
    Unacked,
    AckedSilent,
    ZeroWindow,
}

impl Met {
    /// The server ended it without a byte.
    pub fn is_end(self) -> bool {
        matches!(self, Met::ClosedFirst | Met::ResetFirst | Met::Closed | Met::Reset)
    }

    /// It did so before we spoke.
    pub fn is_first(self) -> bool {
        matches!(self, Met::ClosedFirst | Met::ResetFirst)
    }
}

/// One exchange's record.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub met: Met,
    pub local: Option<SocketAddr>,
    pub started_ns: u64,
    pub answer: Vec<u8>,
    /// From our bytes, or from the handshake where none were sent, to the end, in milliseconds.
    pub took_ms: f64,
    pub info: TcpInfo,
}

/// Plays one script.
pub(super) async fn exchange(script: Script) -> Exchange {
    let opened = attempt(&script.plan, script.address, HANDSHAKE_WAIT).await;
    let mut record = Exchange {
        met: Met::NoHandshake,
        local: opened.local,
        started_ns: opened.started_ns,
        answer: Vec::new(),
        took_ms: 0.0,
        info: TcpInfo::default(),
    };
    let (Ended::Open, Some(socket)) = (opened.ended, opened.socket) else { return record };
    let began = Instant::now();
    let first = wait_for(&socket, began + script.listen, &mut record.answer, script.greeting).await;
    let early = match first {
        Heard::Closed if record.answer.is_empty() => Some(Met::ClosedFirst),
        Heard::Reset if record.answer.is_empty() => Some(Met::ResetFirst),
        _ if script.greeting && !record.answer.is_empty() => Some(Met::Answered),
        Heard::Closed | Heard::Reset => Some(Met::Answered),
        Heard::Bytes | Heard::Nothing => None,
    };
    if let Some(met) = early {
        return Exchange { met, took_ms: ms(began), info: info(&socket), ..record };
    }
    let began = Instant::now();
    // A request larger than the send buffer goes as far as the peer's window lets it.
    let _ = socket.get_ref().write(&script.bytes);
    let mut heard =
        wait_for(&socket, began + script.wait.min(UNACKED_AFTER), &mut record.answer, false).await;
    record.info = info(&socket);
    let unacked = record.info.unacked > 0 && record.info.total_retrans >= RETRANS_COUNT_MIN;
    if matches!(heard, Heard::Nothing) && !unacked {
        heard = wait_for(&socket, began + script.wait, &mut record.answer, false).await;
        record.info = info(&socket);
    }
    record.took_ms = ms(began);
    record.met = match heard {
        Heard::Bytes => Met::Answered,
        Heard::Closed => {
            if record.answer.is_empty() {
                Met::Closed
            } else {
                Met::Answered
            }
        }
        Heard::Reset => {
            if record.answer.is_empty() {
                Met::Reset
            } else {
                Met::Answered
            }
        }
        Heard::Nothing if record.info.peer_window == Some(0) => Met::ZeroWindow,
        Heard::Nothing if record.info.unacked > 0 => Met::Unacked,
        Heard::Nothing => Met::AckedSilent,
    };
    record
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn info(socket: &AsyncFd<Socket>) -> TcpInfo {
    socket::tcp_info(socket.get_ref()).unwrap_or_default()
}

enum Heard {
    Bytes,
    Closed,
    Reset,
    Nothing,
}

/// Waits for bytes or the end; a greeting is waited for to its first line's end.
async fn wait_for(socket: &AsyncFd<Socket>, until: Instant, answer: &mut Vec<u8>, line: bool) -> Heard {
    let mut heard = Heard::Nothing;
    while answer.len() < ANSWER_BYTES_MAX {
        let Ok(Ok(mut guard)) = tokio::time::timeout_at(until, socket.readable()).await else { return heard };
        let mut bytes = [0_u8; 1_024];
        match guard.try_io(|inner| inner.get_ref().read(&mut bytes)) {
            Ok(Ok(0)) => return Heard::Closed,
            Ok(Ok(length)) => {
                answer.extend(bytes.get(..length).unwrap_or_default());
                heard = Heard::Bytes;
                if !line || answer.contains(&b'\n') {
                    return heard;
                }
            }
            Ok(Err(error)) => {
                let reset = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
                return if reset { Heard::Reset } else { heard };
            }
            Err(_would_block) => {}
        }
    }
    heard
}
