//! The one place where this command meets the collector.

use netwhy_model::host::Snapshot;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LookSpec {
    pub window_ms: u64,
    pub logs: bool,
}

/// One look at this machine; it blocks for the window.
pub(super) fn look(_spec: &LookSpec) -> Snapshot {
    Snapshot::default()
}
