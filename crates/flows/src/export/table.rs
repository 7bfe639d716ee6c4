//! The table of exporters: bounded, and those that fell silent make room.

use super::source::Source;
use super::{Arrival, ExportError, Shared};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;

/// Exporters kept, each with its domains counted apart.
const SOURCE_COUNT_MAX: usize = 8192;
/// Who is silent for so long makes room for another, in milliseconds.
const IDLE_MS: i64 = 10 * 60 * 1000;

/// Whose templates are whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceKey {
    pub exporter: SocketAddr,
    /// Of NetFlow or IPFIX; 6 stands for sFlow.
    pub version: u8,
    /// Observation domain, source id, engine or sub-agent.
    pub domain: u32,
}

/// All exporters.
#[derive(Debug, Default)]
pub struct Sources {
    sources: HashMap<SourceKey, Source>,
    /// Before this time nobody will have been silent for long enough, in milliseconds since 1970.
    room_from_ms: i64,
}

impl Sources {
    /// Finds an exporter or makes it known, while there is room.
    pub fn source(
        &mut self,
        key: SourceKey,
        arrival: &Arrival,
        shared: &mut Shared,
    ) -> Result<&mut Source, ExportError> {
        if self.sources.len() >= SOURCE_COUNT_MAX && !self.sources.contains_key(&key) {
            self.make_room(arrival.at_ms, shared);
            if self.sources.len() >= SOURCE_COUNT_MAX {
                shared.counts.refused += 1;
                return Err(ExportError::Sources);
            }
        }
        let source = match self.sources.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Source::new(key.exporter.ip(), arrival.at_ms, shared)),
        };
        source.last_ms = source.last_ms.max(arrival.at_ms);
        Ok(source)
    }

    pub fn waiting_count(&self) -> u64 {
        self.sources.values().map(Source::waiting_count).sum()
    }

    /// Forgets who was silent; looks through all of them only when some may have been silent for long enough.
    fn make_room(&mut self, now_ms: i64, shared: &mut Shared) {
        if now_ms < self.room_from_ms {
            return;
        }
        let mut oldest_ms = now_ms;
        self.sources.retain(|_, source| {
            let keep = source.last_ms > now_ms.saturating_sub(IDLE_MS);
            if keep {
                oldest_ms = oldest_ms.min(source.last_ms);
            } else {
                shared.counts.sets_without_template += source.waiting_count();
                source.forget(&mut shared.budget);
            }
            keep
        });
        self.room_from_ms = oldest_ms.saturating_add(IDLE_MS);
    }
}
