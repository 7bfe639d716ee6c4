//! One HTTP/1.1 exchange with every phase timed, and every way it can go wrong kept apart.

use crate::ask::Ask;
use crate::dial::{DialError, Kernel, Line, dial, kernel_of};
use crate::framing::{Framing, note_pace};
use crate::parse::{HEAD_BYTES_MAX, Head, HeadParse, parse_head};
use netwhy_model::Case;
use std::io::ErrorKind;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of a request body written at once.
const WRITE_BYTES: usize = 16 * 1024;
/// How often an upload's progress is looked at, in milliseconds.
const UPLOAD_TICK_MS: u64 = 100;
/// An upload without progress for so long is stuck, in milliseconds.
const UPLOAD_STUCK_MS: u64 = 2_000;
/// Interim (1xx) responses read before the final one.
const INTERIM_COUNT_MAX: usize = 8;
/// Bytes of something other than HTTP kept for the excerpt.
const GARBAGE_BYTES_MAX: usize = 60;

/// How an exchange ended, before its body is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Answered,
    NoConnection(DialError),
    Timeout,
    Reset,
    EarlyClose,
    /// The first bytes of what came instead of HTTP.
    Garbage(String),
    /// A TLS alert in answer to plain HTTP.
    TlsOnPlain,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Whole,
    /// The connection closed before the announced end.
    Truncated,
    Stalled,
    Reset,
    BadFraming,
    /// Not read to its end: our own limit of bytes or time.
    Cut,
}

/// What became of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    Read,
    ZeroWindow,
    Stalled,
}

/// When each phase ended, in milliseconds since the first SYN (or since the request on a kept connection).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub connected: Option<f64>,
    pub secured: Option<f64>,
    pub sent: Option<f64>,
    pub first_byte: Option<f64>,
    pub total: f64,
}

/// Everything one exchange showed.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub end: End,
    pub head: Head,
    /// Transfer coding undone, content coding not; the first bytes only when it is long.
    pub body: Vec<u8>,
    pub body_len: u64,
    pub announced: Option<u64>,
    pub body_end: BodyEnd,
    pub times: Times,
    /// Milliseconds since the first byte, and body bytes received by then.
    pub pace: Vec<(f64, u64)>,
    pub kernel: Option<Kernel>,
    pub upload: Option<Upload>,
    pub tls: Option<String>,
    pub validity: Option<(i64, i64)>,
}

/// Connects and exchanges; gives the connection back when it can carry another request.
pub(crate) async fn exchange(case: &Case, ask: &Ask) -> (Answer, Option<Line>) {
    let started = Instant::now();
    let waits = (ask.waits.connect, ask.waits.tls);
    match dial(case, ask.address, ask.secure.as_ref(), &ask.prelude, waits).await {
        Ok(line) => exchange_on(line, ask).await,
        Err(error) => {
            let times = Times { total: ms(started.elapsed()), ..Times::default() };
            (Answer { times, ..Answer::ended(End::NoConnection(error)) }, None)
        }
    }
}

/// Only the answer; the connection is closed.
pub(crate) async fn answer(case: &Case, ask: &Ask) -> Answer {
    let (answer, line) = exchange(case, ask).await;
    if let Some(line) = line {
        line.close();
    }
    answer
}

/// Exchanges on a connection that stands.
pub(crate) async fn exchange_on(line: Line, ask: &Ask) -> (Answer, Option<Line>) {
    let fresh = line.used == 0;
    let started = if fresh { line.started } else { Instant::now() };
    let mut answer = Answer::ended(End::Timeout);
    if fresh {
        answer.times.connected = Some(ms(line.connected));
        answer.times.secured = line.secured.map(ms);
    }
    answer.tls.clone_from(&line.tls);
    answer.validity = line.validity;
    let (fd, used) = (line.fd, line.used);
    let (reader, writer) = tokio::io::split(line);
    let mut talk = Talk { reader, started, buffer: Vec::new(), fd, ask };
    let kept_writer = talk.run(writer, &mut answer).await;
    answer.kernel = kernel_of(fd);
    answer.times.total = ms(started.elapsed());
    let Some(writer) = kept_writer.filter(|_| answer.keeps_open()) else { return (answer, None) };
    let mut line = talk.reader.unsplit(writer);
    line.used = used + 1;
    (answer, Some(line))
}

/// One exchange under way.
struct Talk<'a> {
    reader: ReadHalf<Line>,
    started: Instant,
    /// Bytes read and not yet understood.
    buffer: Vec<u8>,
    fd: RawFd,
    ask: &'a Ask,
}

/// What one attempt to read gave.
enum Got {
    Bytes,
    Eof,
    Reset,
    Quiet,
    Failed(String),
}

impl Talk<'_> {
    /// Sends and receives; gives the writing half back when all was sent.
    async fn run(&mut self, mut writer: WriteHalf<Line>, answer: &mut Answer) -> Option<WriteHalf<Line>> {
        let progress = AtomicU64::new(0);
        let mut sent = {
            let sending = send(&mut writer, self.ask, &progress);
            tokio::pin!(sending);
            let mut sent = false;
            loop {
                tokio::select! {
                    biased;
                    got = self.first_read(sent, &progress) => {
                        match got {
                            FirstRead::Some => break sent,
                            FirstRead::Ended(end, upload) => {
                                answer.end = end;
                                answer.upload = upload;
                                return None;
                            }
                        }
                    }
                    _ = &mut sending, if !sent => {
                        sent = true;
                        answer.times.sent = Some(ms(self.started.elapsed()));
                    }
                }
            }
        };
        answer.times.first_byte = Some(ms(self.started.elapsed()));
        let first_byte = Instant::now();
        sent |= answer.times.sent.is_some();
        if self.ask.body_len > 0 {
            answer.upload = Some(Upload::Read);
        }
        match self.head().await {
            Ok(head) => answer.head = head,
            Err(end) => {
                answer.end = end;
                return None;
            }
        }
        answer.end = End::Answered;
        self.body(answer, first_byte).await;
        sent.then_some(writer)
    }

    /// Waits for the first bytes of an answer, and watches whether a body gets through meanwhile.
    async fn first_read(&mut self, sent: bool, progress: &AtomicU64) -> FirstRead {
        let begun = Instant::now();
        let mut moved = (Instant::now(), 0, 0);
        loop {
            let tick = if self.ask.body_len > 0 {
                Duration::from_millis(UPLOAD_TICK_MS)
            } else {
                self.ask.waits.first_byte
            };
            match self.read(tick).await {
                Got::Bytes => return FirstRead::Some,
                Got::Eof => return FirstRead::Ended(End::EarlyClose, None),
                Got::Reset => return FirstRead::Ended(End::Reset, None),
                Got::Failed(why) => {
                    return FirstRead::Ended(End::NoConnection(DialError::Tls(why)), None);
                }
                Got::Quiet if self.ask.body_len == 0 => return FirstRead::Ended(End::Timeout, None),
                Got::Quiet => {}
            }
            let kernel = kernel_of(self.fd).unwrap_or_default();
            let state = (progress.load(Ordering::Relaxed), kernel.unsent_bytes + kernel.unacked);
            if state != (moved.1, moved.2) {
                moved = (Instant::now(), state.0, state.1);
            }
            let stuck = !sent || kernel.unsent_bytes > 0 || kernel.unacked > 0;
            if stuck && moved.0.elapsed() >= Duration::from_millis(UPLOAD_STUCK_MS) {
                let closed = kernel.peer_window < kernel.mss.max(1) || kernel.probes > 0;
                let upload = if closed { Upload::ZeroWindow } else { Upload::Stalled };
                return FirstRead::Ended(End::Timeout, Some(upload));
            }
            if begun.elapsed() >= self.ask.waits.first_byte {
                return FirstRead::Ended(End::Timeout, (!stuck).then_some(Upload::Read));
            }
        }
    }

    /// Reads until the final head is whole; interim ones are passed over (RFC 9110, section 15.2).
    async fn head(&mut self) -> Result<Head, End> {
        let mut interim = 0;
        let until = Instant::now() + self.ask.waits.first_byte;
        loop {
            match parse_head(&self.buffer) {
                HeadParse::Whole(head, used) => {
                    self.buffer.drain(..used);
                    if (100..200).contains(&head.status) && head.status != 101 && interim < INTERIM_COUNT_MAX
                    {
                        interim += 1;
                        continue;
                    }
                    return Ok(head);
                }
                HeadParse::Garbage => return Err(self.not_http()),
                HeadParse::Partial => {}
            }
            match self.read(until.saturating_duration_since(Instant::now())).await {
                Got::Bytes if self.buffer.len() <= 2 * HEAD_BYTES_MAX => {}
                Got::Bytes => return Err(self.not_http()),
                Got::Eof => return Err(End::EarlyClose),
                Got::Reset => return Err(End::Reset),
                Got::Failed(why) => return Err(End::NoConnection(DialError::Tls(why))),
                Got::Quiet => return Err(End::Timeout),
            }
        }
    }

    fn not_http(&self) -> End {
        if self.ask.secure.is_none() && self.buffer.starts_with(&[0x15, 0x03]) {
            return End::TlsOnPlain;
        }
        let shown = &self.buffer[..self.buffer.len().min(GARBAGE_BYTES_MAX)];
        End::Garbage(shown.escape_ascii().to_string())
    }

    /// Reads the body to the end its framing names (RFC 9112, section 6.3).
    async fn body(&mut self, answer: &mut Answer, first_byte: Instant) {
        let mut framing = Framing::of(&self.ask.method, &answer.head);
        answer.announced = framing.announced();
        let waits = self.ask.waits;
        let until = first_byte + waits.total.saturating_sub(waits.first_byte);
        let chunked = matches!(framing, Framing::Chunked(_));
        loop {
            if framing.take(&mut self.buffer, answer, self.ask.keep_max).is_err() {
                answer.body_end = BodyEnd::BadFraming;
                return;
            }
            note_pace(&mut answer.pace, ms(first_byte.elapsed()), answer.body_len);
            if framing.done() {
                answer.body_end = BodyEnd::Whole;
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            if answer.body_len >= self.ask.read_max || left.is_zero() {
                answer.body_end = BodyEnd::Cut;
                return;
            }
            answer.body_end = match self.read(left.min(self.ask.waits.stall)).await {
                Got::Bytes => continue,
                Got::Quiet if left < self.ask.waits.stall => BodyEnd::Cut,
                Got::Quiet => BodyEnd::Stalled,
                Got::Reset | Got::Failed(_) => BodyEnd::Reset,
                Got::Eof if answer.announced.is_some() || chunked => BodyEnd::Truncated,
                Got::Eof => BodyEnd::Whole,
            };
            return;
        }
    }

    async fn read(&mut self, wait: Duration) -> Got {
        self.buffer.reserve(READ_BYTES);
        match tokio::time::timeout(wait, self.reader.read_buf(&mut self.buffer)).await {
            Err(_) => Got::Quiet,
            Ok(Ok(0)) => Got::Eof,
            Ok(Ok(_)) => Got::Bytes,
            Ok(Err(error)) => match error.kind() {
                // TLS without close_notify: the framing says whether anything is missing.
                ErrorKind::UnexpectedEof => Got::Eof,
                ErrorKind::TimedOut => Got::Quiet,
                _ => match error.get_ref() {
                    Some(inner) => Got::Failed(inner.to_string()),
                    None => Got::Reset,
                },
            },
        }
    }
}

enum FirstRead {
    Some,
    Ended(End, Option<Upload>),
}

/// Writes head and body; an error is left to the reading side, where the reason shows.
async fn send(writer: &mut WriteHalf<Line>, ask: &Ask, progress: &AtomicU64) {
    if writer.write_all(&ask.head_bytes()).await.is_err() || writer.flush().await.is_err() {
        return;
    }
    let piece = vec![b'a'; WRITE_BYTES];
    let mut left = ask.body_len;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(WRITE_BYTES);
        match writer.write(&piece[..size]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                left -= n as u64;
                progress.fetch_add(n as u64, Ordering::Relaxed);
            }
        }
    }
    let _ = writer.flush().await;
}

impl Answer {
    /// An exchange that gave no response.
    pub fn ended(end: End) -> Answer {
        Answer {
            end,
            head: Head::default(),
            body: Vec::new(),
            body_len: 0,
            announced: None,
            body_end: BodyEnd::Whole,
            times: Times::default(),
            pace: Vec::new(),
            kernel: None,
            upload: None,
            tls: None,
            validity: None,
        }
    }

    /// True when the connection may carry another request.
    fn keeps_open(&self) -> bool {
        let framed = self.announced.is_some()
            || self.head.has_token("transfer-encoding", "chunked")
            || matches!(self.head.status, 101 | 204 | 304);
        let stays = self.head.version != "HTTP/1.0" || self.head.has_token("connection", "keep-alive");
        self.end == End::Answered
            && self.body_end == BodyEnd::Whole
            && framed
            && stays
            && !self.head.has_token("connection", "close")
    }

    /// Milliseconds from the request sent to the first byte of the answer.
    pub fn wait_ms(&self) -> Option<f64> {
        let from = self.times.sent.or(self.times.secured).or(self.times.connected).unwrap_or(0.0);
        self.times.first_byte.map(|first| (first - from).max(0.0))
    }
}

/// Milliseconds with fractions.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
