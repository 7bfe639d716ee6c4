//! One line of any log: which format it has is told by its shape, so that mixed files are read too.

use super::event::{Event, Server, USER_BYTES_MAX, What, clean};
use super::sshd::Said;
use super::syslog::Frame;
use super::time::Clock;
use super::{access, auth, haproxy, journal, json, refusal, sshd, syslog, trouble};
use crate::names::Symbol;
use crate::record::Address;
use netwhy_model::Text;
use serde_json::Value;

/// How many wrappers (a container's, syslog's) may be around one line.
const WRAPPER_COUNT_MAX: usize = 3;

/// Where a line stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    pub file: Symbol,
    pub offset: u64,
}

impl Place {
    /// What the line here tells of.
    pub(super) fn event(
        &self,
        time_ms: i64,
        (client, port): (Address, u16),
        host: Box<str>,
        what: What,
    ) -> Event {
        Event { time_ms, client, port, host, file: self.file, offset: self.offset, what }
    }
}

/// What a line was.
pub enum Read {
    Event(Event),
    /// Understood, and nothing of interest.
    Quiet,
}

/// Why a line was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused<'a> {
    /// No format that is read here.
    Shape,
    /// The frame is syslog's, but the program is none of those that are read.
    Program(&'a str),
    /// The program is read, but this message of it is not known.
    Message(&'a str),
    /// JSON that is neither a visit nor an audit event nor an entry of the journal.
    Object,
    TooLong,
}

/// What lines do not tell about themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub clock: Clock,
    /// Whose access logs these are, where it is known; lines of nginx and Apache look alike.
    pub server: Server,
}

/// Reads one line into `out`.
pub fn read<'a>(
    text: &'a str,
    options: &Options,
    place: &Place,
    out: &mut Vec<Event>,
) -> Result<(), Refused<'a>> {
    let mut text = text;
    for _ in 0..WRAPPER_COUNT_MAX {
        text = text.trim_end();
        if text.starts_with('{') {
            return object(text, options, place, out);
        }
        if let Some(inner) = syslog::container(text, &options.clock) {
            text = inner;
            continue;
        }
        if let Some(read) = web(text, 0, options, place) {
            keep(read, out);
            return Ok(());
        }
        break;
    }
    if text.is_empty() || text.starts_with("-- ") || text.starts_with('#') {
        return Ok(());
    }
    if let Some(frame) = syslog::frame(text, &options.clock) {
        let told = framed(&frame, options, place, out);
        // What looks like host and program behind a bare time may be its first words.
        return match told {
            Err(Refused::Program(_)) => bare(text, options, place, out).or(told),
            _ => told,
        };
    }
    bare(text, options, place, out)
}

/// Lines of web servers, with or without a frame around them.
fn web(text: &str, time_ms: i64, options: &Options, place: &Place) -> Option<Read> {
    let clock = &options.clock;
    match text.as_bytes().first()? {
        b'[' => {
            if let Some(read) = trouble::apache(text, clock, place) {
                return Some(read);
            }
        }
        byte if byte.is_ascii_digit() => {
            if let Some(read) = trouble::nginx(text, clock, place) {
                return Some(read);
            }
        }
        _ => {}
    }
    // An access line begins with who came or with `[`; after a bare time come other programs' words, which may quote
    // whatever a stranger sent.
    if text.contains('"')
        && !text.starts_with('<')
        && clock.leading(text).is_none()
        && let Some(event) = access::read(text, clock, options.server, place)
    {
        return Some(Read::Event(event));
    }
    haproxy::read(text, time_ms, clock, place).map(Read::Event)
}

/// A message whose program is known.
pub fn framed<'a>(
    frame: &Frame<'a>,
    options: &Options,
    place: &Place,
    out: &mut Vec<Event>,
) -> Result<(), Refused<'a>> {
    let program = frame.program;
    let message = frame.message;
    let event = |client, what| place.event(frame.time_ms, client, clean(frame.host, USER_BYTES_MAX), what);
    if program.starts_with("sshd") {
        match sshd::read(program, frame.process, message) {
            Some(Said::Login { client, login }) => out.push(event(client, What::Login(login))),
            Some(Said::Quiet) => {}
            None => return Err(Refused::Message(program)),
        }
        return Ok(());
    }
    if ["kernel", "filterlog"].contains(&program) {
        let reader = if program == "kernel" { refusal::netfilter } else { refusal::filterlog };
        keep(reader(frame, place).ok_or(Refused::Message(program))?, out);
        return Ok(());
    }
    if message.starts_with('{') {
        let value: Value = serde_json::from_str(message).map_err(|_| Refused::Program(program))?;
        return told_by_program(&value, options, place, out).ok_or(Refused::Program(program));
    }
    if let Some(read) = web(message, frame.time_ms, options, place) {
        keep(read, out);
        return Ok(());
    }
    if program.starts_with("haproxy") {
        let told = haproxy::notice(message).ok_or(Refused::Message(program))?;
        out.extend(told.map(|trouble| event(<_>::default(), What::Error(trouble))));
        return Ok(());
    }
    keep(words(frame, place).ok_or(Refused::Program(program))?, out);
    Ok(())
}

/// What any program may tell of: a login, or a packet that a firewall refused. In this order, since the user of a login
/// may be named like a packet.
fn words(frame: &Frame<'_>, place: &Place) -> Option<Read> {
    if let Some((client, login)) = auth::read(frame.program, frame.process, frame.message) {
        let host = clean(frame.host, USER_BYTES_MAX);
        return Some(Read::Event(place.event(frame.time_ms, client, host, What::Login(login))));
    }
    if frame.message.contains("PROTO=") { refusal::netfilter(frame, place) } else { None }
}

/// Lines without a frame: a time first, then words of a firewall or of a program that tells of a login.
fn bare<'a>(
    text: &'a str,
    options: &Options,
    place: &Place,
    out: &mut Vec<Event>,
) -> Result<(), Refused<'a>> {
    let (time_ms, message) = first_time(text, &options.clock).ok_or(Refused::Shape)?;
    let frame = Frame { time_ms, host: "", program: "", process: 0, message };
    keep(words(&frame, place).ok_or(Refused::Shape)?, out);
    Ok(())
}

/// A time at the beginning, or behind at most a few words (`time="…"`, `WARN: [Jul 2 …]`, `0 2 PVEFW-HOST-IN 20/Jun/…`).
fn first_time<'a>(text: &'a str, clock: &Clock) -> Option<(i64, &'a str)> {
    const WORD_COUNT_MAX: usize = 8;
    let mut rest = text;
    for _ in 0..WORD_COUNT_MAX {
        let dressed = rest.trim_start_matches([' ', '[', '"', '(']);
        let dressed =
            ["time=\"", "time=", "t="].iter().find_map(|name| dressed.strip_prefix(name)).unwrap_or(dressed);
        if let Some(found) = clock.leading(dressed) {
            return Some(found);
        }
        rest = rest.trim_start().split_once(' ')?.1;
    }
    None
}

/// Lines that are JSON: entries of the journal, docker's own file, or what programs write themselves.
fn object<'a>(
    text: &'a str,
    options: &Options,
    place: &Place,
    out: &mut Vec<Event>,
) -> Result<(), Refused<'a>> {
    let value: Value = serde_json::from_str(text).map_err(|_| Refused::Object)?;
    if value.get("__REALTIME_TIMESTAMP").is_some() || value.get("MESSAGE").is_some() {
        return journal::entry(&value, options, place, out).map_err(|()| Refused::Object);
    }
    // docker: {"log":"…","stream":"stdout","time":"…"}, one line inside another and never deeper.
    if let (Some(log), Some(_)) = (value.get("log").and_then(Value::as_str), value.get("stream")) {
        return read_inner(log, options, place, out).map_err(|()| Refused::Object);
    }
    told_by_program(&value, options, place, out).ok_or(Refused::Object)
}

/// An audit event or a visit.
fn told_by_program(value: &Value, options: &Options, place: &Place, out: &mut Vec<Event>) -> Option<()> {
    if refusal::is_audit(value) {
        return refusal::audit(value, &options.clock, place, out).then_some(());
    }
    out.push(json::visit(value, &options.clock, place)?);
    Some(())
}

fn read_inner(text: &str, options: &Options, place: &Place, out: &mut Vec<Event>) -> Result<(), ()> {
    let text = text.trim_end();
    if text.is_empty() {
        return Ok(());
    }
    if text.starts_with('{') {
        let value = serde_json::from_str(text).map_err(|_| ())?;
        return told_by_program(&value, options, place, out).ok_or(());
    }
    if let Some(read) = web(text, 0, options, place) {
        keep(read, out);
        return Ok(());
    }
    match syslog::frame(text, &options.clock) {
        Some(frame) => framed(&frame, options, place, out).map_err(|_| ()),
        None => bare(text, options, place, out).map_err(|_| ()),
    }
}

fn keep(read: Read, out: &mut Vec<Event>) {
    if let Read::Event(event) = read {
        out.push(event);
    }
}

impl Refused<'_> {
    /// Why, for people.
    pub fn why(&self) -> Text {
        let name = |program: &str| clean(program, USER_BYTES_MAX);
        let (en, zh) = match self {
            Refused::Shape => ("no format of log that is read".into(), "不是可识别的日志格式".into()),
            Refused::Program(program) => (
                format!("lines of {} are not read", name(program)),
                format!("不读取 {} 的日志行", name(program)),
            ),
            Refused::Message(program) => (
                format!("a message of {} that is not known", name(program)),
                format!("未知的 {} 消息", name(program)),
            ),
            Refused::Object => (
                "JSON that is no visit, audit event or entry of the journal".into(),
                "JSON 既非访问记录，也非审计事件或 journal 条目".into(),
            ),
            Refused::TooLong => ("longer than a line may be".into(), "超过单行长度上限".into()),
        };
        Text { en, zh }
    }
}
