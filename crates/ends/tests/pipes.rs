//! The serving side over a pipe, asked by peers that behave and peers that do not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::pretend::{Engine, Eyes};
use netwhy_ends::{
    EndError, EndFault, FaultCode, Frame, PROTOCOL_VERSION, Rate, Reply, Request, RunSpec, ServeOptions,
    serve,
};
use netwhy_model::host::WatchSpec;
use netwhy_model::{Case, Vantage};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

struct Peer {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    writer: WriteHalf<DuplexStream>,
    served: JoinHandle<Result<(), EndError>>,
    watching: Arc<AtomicUsize>,
}

fn peer(change: impl FnOnce(&mut ServeOptions)) -> Peer {
    let eyes = Eyes::default();
    let watching = Arc::clone(&eyes.watching);
    let mut options = ServeOptions::new(Arc::new(eyes), Some(Arc::new(Engine)));
    change(&mut options);
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reader, writer) = tokio::io::split(theirs);
    let served = tokio::spawn(serve(reader, writer, options));
    let (reader, writer) = tokio::io::split(ours);
    Peer { lines: BufReader::new(reader).lines(), writer, served, watching }
}

impl Peer {
    async fn send(&mut self, frame: &Frame) {
        let text = serde_json::to_string(frame).unwrap() + "\n";
        self.writer.write_all(text.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, id: u64, request: Request) {
        self.send(&Frame::Request { id, end: None, lane: 0, request }).await;
    }

    async fn next(&mut self) -> Frame {
        let line = tokio::time::timeout(Duration::from_secs(5), self.lines.next_line()).await.unwrap();
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }

    async fn reply(&mut self, id: u64) -> Result<Reply, EndFault> {
        match self.next().await {
            Frame::Reply { id: answered, reply } if answered == id => reply,
            other => panic!("{other:?} instead of the reply to {id}"),
        }
    }

    /// How serving ends after these last bytes.
    async fn end_with(mut self, bytes: &[u8]) -> Result<(), EndError> {
        let _ = self.writer.write_all(bytes).await;
        self.writer.shutdown().await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), self.served).await.unwrap().unwrap()
    }
}

fn watch(port: u16) -> Request {
    Request::Watch {
        name: "origin".into(),
        vantage: Vantage::Origin,
        spec: WatchSpec { port, ..WatchSpec::default() },
    }
}

fn code(reply: Result<Reply, EndFault>) -> FaultCode {
    reply.unwrap_err().code
}

#[tokio::test]
async fn an_end_answers_and_a_closed_pipe_is_its_good_end() {
    let mut peer = peer(|_| {});
    peer.ask(1, Request::Hello { version: PROTOCOL_VERSION }).await;
    let Ok(Reply::Hello(hello)) = peer.reply(1).await else { panic!() };
    assert_eq!(hello.version, PROTOCOL_VERSION);
    assert!(!hello.hostname.is_empty() && !hello.boot_id.is_empty() && hello.network_namespace.is_some());
    peer.ask(2, Request::Look).await;
    assert_eq!(code(peer.reply(2).await), FaultCode::NotWatching);
    peer.ask(3, watch(443)).await;
    assert_eq!(peer.reply(3).await, Ok(Reply::Done));
    peer.ask(4, Request::Look).await;
    let Ok(Reply::Record(record)) = peer.reply(4).await else { panic!() };
    assert_eq!((record.name.as_str(), record.spec.port), ("origin", 443));
    let watching = Arc::clone(&peer.watching);
    assert_eq!(watching.load(Ordering::SeqCst), 1);
    assert!(peer.end_with(b"").await.is_ok());
    assert_eq!(watching.load(Ordering::SeqCst), 0, "every watch is undone before serving ends");
}

#[tokio::test]
async fn lanes_keep_watches_apart_and_a_new_watch_ends_the_old() {
    let mut peer = peer(|_| {});
    for (id, lane, port) in [(1, 0, 1), (2, 5, 2), (3, 0, 3)] {
        peer.send(&Frame::Request { id, end: None, lane, request: watch(port) }).await;
        assert_eq!(peer.reply(id).await, Ok(Reply::Done));
    }
    assert_eq!(peer.watching.load(Ordering::SeqCst), 2);
    for (id, lane, port) in [(4, 0, 3), (5, 5, 2)] {
        peer.send(&Frame::Request { id, end: None, lane, request: Request::Look }).await;
        let Ok(Reply::Record(record)) = peer.reply(id).await else { panic!() };
        assert_eq!(record.spec.port, port);
    }
    peer.ask(6, Request::Unwatch).await;
    assert_eq!(peer.reply(6).await, Ok(Reply::Done));
    assert_eq!(peer.watching.load(Ordering::SeqCst), 1);
    for lane in 10..40 {
        peer.send(&Frame::Request { id: lane.into(), end: None, lane, request: watch(1) }).await;
        if let Err(fault) = peer.reply(lane.into()).await {
            assert_eq!(fault.code, FaultCode::TooMany);
            return;
        }
    }
    panic!("any number of watches");
}

#[tokio::test]
async fn a_watch_that_breaks_is_a_fault_and_no_hang() {
    let mut peer = peer(|_| {});
    peer.ask(1, watch(666)).await;
    assert_eq!(peer.reply(1).await, Ok(Reply::Done));
    for id in [2, 3] {
        peer.ask(id, Request::Look).await;
        assert_eq!(code(peer.reply(id).await), FaultCode::Failed);
    }
    peer.ask(4, Request::Unwatch).await;
    assert_eq!(code(peer.reply(4).await), FaultCode::Failed);
    assert!(peer.end_with(b"").await.is_ok());
}

#[tokio::test]
async fn what_is_not_for_this_end_is_refused() {
    let mut peer = peer(|options| options.runner = None);
    peer.ask(1, Request::Hello { version: 99 }).await;
    assert_eq!(code(peer.reply(1).await), FaultCode::Version);
    peer.send(&Frame::Request { id: 2, end: Some("edge".into()), lane: 0, request: Request::Look }).await;
    assert_eq!(code(peer.reply(2).await), FaultCode::NoSuchEnd);
    peer.ask(3, Request::Run(Box::new(case()))).await;
    assert_eq!(code(peer.reply(3).await), FaultCode::NotAllowed);
    // Replies and events nobody waits for are passed over.
    peer.send(&Frame::Reply { id: 9, reply: Ok(Reply::Done) }).await;
    peer.send(&Frame::Event { id: 9, text: "?".into() }).await;
    peer.ask(4, Request::Look).await;
    assert_eq!(code(peer.reply(4).await), FaultCode::NotWatching);
}

fn case() -> RunSpec {
    RunSpec {
        case: Case::new("https://shop.example/".parse().unwrap()),
        ends: Vec::new(),
        label: "edge".into(),
    }
}

#[tokio::test]
async fn a_run_tells_its_progress_in_printable_text_and_stops_with_the_session() {
    let mut peer = peer(|_| {});
    peer.ask(1, Request::Run(Box::new(case()))).await;
    assert_eq!(peer.next().await, Frame::Event { id: 1, text: "asking about edge".into() });
    assert!(matches!(peer.reply(1).await, Ok(Reply::Ran(_))));
    let mut fails = case();
    fails.case.method = "FAIL".into();
    peer.ask(2, Request::Run(Box::new(fails))).await;
    peer.next().await;
    assert_eq!(peer.reply(2).await, Err(EndFault::new(FaultCode::Failed, "the engine failed")));
    let mut long = case();
    long.case.limits.budget_ms = u64::MAX;
    peer.ask(3, Request::Run(Box::new(long))).await;
    assert_eq!(code(peer.reply(3).await), FaultCode::NotAllowed);
    let mut sleeps = case();
    sleeps.case.method = "SLEEP".into();
    for id in [4, 5, 6] {
        peer.ask(id, Request::Run(Box::new(sleeps.clone()))).await;
    }
    let mut refused = None;
    for _ in 0..3 {
        if let Frame::Reply { id, reply } = peer.next().await {
            refused = Some((id, code(reply)));
        }
    }
    assert!(matches!(refused, Some((_, FaultCode::TooMany))), "{refused:?}");
    assert!(peer.end_with(b"").await.is_ok(), "two sleeping runs hold nothing up");
}

#[tokio::test]
async fn garbage_half_lines_and_endless_lines_end_the_session_with_a_reason() {
    let garbage = peer(|_| {}).end_with(b"GET / HTTP/1.1\x1b[31m\r\n\r\n").await;
    assert!(
        matches!(&garbage, Err(EndError::Garbage { excerpt }) if excerpt == "GET / HTTP/1.1 [31m"),
        "{garbage:?}"
    );
    let unknown = peer(|_| {}).end_with(b"{\"request\":{\"id\":1,\"request\":\"format-disk\"}}\n").await;
    assert!(matches!(unknown, Err(EndError::Garbage { .. })));
    let half = peer(|_| {}).end_with(b"{\"request\":{\"id\":1,").await;
    assert!(matches!(half, Err(EndError::Truncated)));
    let long = peer(|options| options.message_bytes_max = 1000).end_with(&[b'a'; 2000]).await;
    assert!(matches!(long, Err(EndError::TooLong { bytes_max: 1000 })));
    let deep =
        peer(|_| {}).end_with((String::from_utf8(vec![b'['; 20_000]).unwrap() + "\n").as_bytes()).await;
    assert!(matches!(deep, Err(EndError::Garbage { .. })));
    let bytes: Vec<u8> = (0..=255u8).cycle().take(4000).collect();
    assert!(peer(|_| {}).end_with(&bytes).await.is_err());
}

#[tokio::test]
async fn too_many_requests_are_refused_and_a_flood_ends_the_session() {
    let mut slow = peer(|_| {});
    for id in 0..40 {
        slow.ask(id, Request::Snapshot { window_ms: 300, logs: false }).await;
    }
    let mut refused = 0;
    for _ in 0..40 {
        if let Frame::Reply { reply: Err(fault), .. } = slow.next().await {
            assert_eq!(fault.code, FaultCode::TooMany);
            refused += 1;
        }
    }
    assert_eq!(refused, 24, "sixteen at once");
    let mut fast = peer(|options| options.rate = Some(Rate { per_second: 1.0, burst: 5.0 }));
    for id in 0..9 {
        fast.ask(id, Request::Look).await;
    }
    let mut codes = Vec::new();
    for _ in 0..9 {
        let Frame::Reply { reply, .. } = fast.next().await else { panic!() };
        codes.push(code(reply));
    }
    assert_eq!(codes.iter().filter(|code| **code == FaultCode::TooMany).count(), 4);
    // Nobody reads the refusals.
    let flood = "{\"request\":{\"id\":1,\"request\":\"look\"}}\n".repeat(20_000);
    let ended =
        peer(|options| options.rate = Some(Rate { per_second: 1.0, burst: 5.0 })).end_with(flood.as_bytes());
    assert!(matches!(ended.await, Err(EndError::Stalled)));
}

#[tokio::test]
async fn silence_ends_a_session_only_when_nothing_is_being_answered() {
    let mut quiet = peer(|options| options.idle_ms_max = Some(200));
    quiet.ask(1, Request::Snapshot { window_ms: 700, logs: false }).await;
    assert!(quiet.reply(1).await.is_ok(), "waiting for the answer is no silence");
    let ended = tokio::time::timeout(Duration::from_secs(5), quiet.served).await.unwrap().unwrap();
    assert!(matches!(ended, Err(EndError::Timeout { after_ms: 200, .. })));
}

#[tokio::test]
async fn a_session_stopped_from_inside_undoes_its_watches() {
    let (tell, stop) = tokio::sync::watch::channel(false);
    let mut peer = peer(|options| options.stop = Some(stop));
    peer.ask(1, watch(1)).await;
    assert_eq!(peer.reply(1).await, Ok(Reply::Done));
    tell.send(true).unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(5), peer.served).await.unwrap().unwrap().is_ok());
    assert_eq!(peer.watching.load(Ordering::SeqCst), 0);
}

/// Lines of a session that works, for bytes to be changed in.
const SESSION: &str = "{\"request\":{\"id\":1,\"request\":{\"hello\":{\"version\":1}}}}\n\
{\"request\":{\"id\":2,\"request\":{\"watch\":{\"name\":\"o\",\"vantage\":\"origin\",\"spec\":{\"port\":443}}}}}\n\
{\"request\":{\"id\":3,\"lane\":1,\"request\":\"look\"}}\n{\"request\":{\"id\":4,\"end\":\"x\",\"request\":\"unwatch\"}}\n\
{\"reply\":{\"id\":9,\"reply\":{\"Ok\":\"done\"}}}\n{\"event\":{\"id\":9,\"text\":\"a\"}}\n";

proptest::proptest! {
    #[test]
    fn a_session_of_any_bytes_ends_with_its_input(
        changes in proptest::collection::vec((0..SESSION.len(), proptest::prelude::any::<u8>()), 0..12),
        noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        let mut bytes = SESSION.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.extend(noise);
        if let Ok(frame) = serde_json::from_slice::<Frame>(&bytes) {
            serde_json::from_slice::<Frame>(&serde_json::to_vec(&frame).unwrap()).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let options = ServeOptions::new(Arc::new(Eyes::default()), None);
        let served = serve(std::io::Cursor::new(bytes), tokio::io::sink(), options);
        let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), served).await });
        proptest::prop_assert!(ended.is_ok(), "the session does not end");
    }
}
