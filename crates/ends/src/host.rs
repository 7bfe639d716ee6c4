//! Reads this host with `netwhy-host`.

use crate::eyes::{Eyes, Watching};
use netwhy_host::watch::Watch;
use netwhy_host::{LookSpec, look};
use netwhy_model::Vantage;
use netwhy_model::host::{Record, Snapshot, WatchSpec};

/// The eyes of a real end.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostEyes;

impl Eyes for HostEyes {
    fn watch(&self, name: &str, vantage: Vantage, spec: &WatchSpec) -> Box<dyn Watching> {
        Box::new(Watch::start(name, vantage, spec.clone()))
    }

    fn snapshot(&self, window_ms: u64, logs: bool) -> Snapshot {
        look(&LookSpec { window_ms, logs, ..LookSpec::default() })
    }
}

impl Watching for Watch {
    fn look(&mut self) -> Record {
        Watch::look(self)
    }
}
