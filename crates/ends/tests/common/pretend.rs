//! Eyes that see nothing and an engine that asks nothing but its ends.

use netwhy_ends::{BoxFuture, End, EndName, Events, RunSpec, Runner, Watching};
use netwhy_model::host::{Process, Record, Snapshot, WatchSpec};
use netwhy_model::{Header, SAVED_SCHEMA, SavedCase, Vantage};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts watches under way.
#[derive(Default)]
pub struct Eyes {
    pub watching: Arc<AtomicUsize>,
}

struct Watch {
    record: Record,
    watching: Arc<AtomicUsize>,
}

impl netwhy_ends::Eyes for Eyes {
    fn watch(&self, name: &str, vantage: Vantage, spec: &WatchSpec) -> Box<dyn Watching> {
        self.watching.fetch_add(1, Ordering::SeqCst);
        let record =
            Record { name: name.to_owned(), vantage: Some(vantage), spec: spec.clone(), ..Record::default() };
        Box::new(Watch { record, watching: Arc::clone(&self.watching) })
    }

    fn snapshot(&self, window_ms: u64, _logs: bool) -> Snapshot {
        std::thread::sleep(Duration::from_millis(window_ms));
        let namespace = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
        let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        Snapshot {
            hostname: namespace.display().to_string(),
            kernel: program.display().to_string(),
            window_ms,
            processes: vec![Process { pid: std::process::id(), ..Process::default() }],
            ..Snapshot::default()
        }
    }
}

impl Watching for Watch {
    fn look(&mut self) -> Record {
        assert_ne!(self.record.spec.port, 666, "a watch that breaks");
        self.record.packets_lost += 1;
        self.record.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Watches every end, looks, and puts what it heard into the headers of the case.
pub struct Engine;

impl Runner for Engine {
    fn run(
        &self,
        spec: RunSpec,
        ends: Vec<(EndName, End)>,
        events: Events,
    ) -> BoxFuture<'_, Result<SavedCase, String>> {
        Box::pin(async move {
            events(&format!("asking\u{7} about {}", spec.label));
            let mut case = spec.case;
            for (name, end) in ends {
                let seen = async {
                    end.watch(WatchSpec { port: 7, ..WatchSpec::default() }).await?;
                    end.look().await
                };
                let value = match seen.await {
                    Ok(record) => {
                        format!("{} saw port {} {}", record.name, record.spec.port, record.packets_lost)
                    }
                    Err(error) => error.to_string(),
                };
                case.headers.push(Header { name: name.name, value });
            }
            if case.method == "SLEEP" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            if case.method == "FAIL" {
                return Err("the engine failed".to_owned());
            }
            Ok(SavedCase {
                schema: SAVED_SCHEMA.to_owned(),
                case,
                started: netwhy_model::Stamp::default(),
                total_ms: 1,
                evidence: Vec::new(),
                records: Vec::new(),
            })
        })
    }
}
