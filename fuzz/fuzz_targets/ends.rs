//! Frames as either side of an end reads them, places as users write them, and a whole served session.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_ends::{At, Eyes, Frame, ServeOptions, Watching, serve};
use netwhy_model::Vantage;
use netwhy_model::host::{Record, Snapshot, WatchSpec};
use std::io::Cursor;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

struct Blind;

impl Eyes for Blind {
    fn watch(&self, _: &str, _: Vantage, _: &WatchSpec) -> Box<dyn Watching> {
        Box::new(Blind)
    }

    fn snapshot(&self, _: u64, _: bool) -> Snapshot {
        Snapshot::default()
    }
}

impl Watching for Blind {
    fn look(&mut self) -> Record {
        Record::default()
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = serde_json::from_slice::<Frame>(bytes) {
        let text = serde_json::to_vec(&frame).unwrap();
        serde_json::from_slice::<Frame>(&text).unwrap();
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(At { place, .. }) = text.parse::<At>()
    {
        assert_eq!(place.to_string().parse(), Ok(place));
    }
    // The session ends when its input does, whatever was said.
    let served =
        serve(Cursor::new(bytes.to_vec()), tokio::io::sink(), ServeOptions::new(Arc::new(Blind), None));
    let ended = RUNTIME.block_on(async { tokio::time::timeout(Duration::from_secs(5), served).await });
    assert!(ended.is_ok(), "the session does not end");
});
