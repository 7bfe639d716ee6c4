//! Records gathered by the hour they began in, within a bound; full hours are sorted and written beside the reading.

use crate::encode;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::manifest::DataFile;
use netwhy_flows::{Flow, Names};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use time::OffsetDateTime;

/// Records that are held before an hour is written: 112 bytes each.
const HELD_ROW_COUNT_MAX: usize = 1_500_000;
/// The most records of one file.
pub const FILE_ROW_COUNT_MAX: usize = 1 << 20;
pub const HOUR_MS: i64 = 3_600_000;

/// A file that is written and not committed.
#[derive(Debug)]
pub struct Written {
    pub name: String,
    pub file: DataFile,
}

/// The hours that are being gathered.
pub struct Hours {
    held: BTreeMap<i64, Vec<Flow>>,
    count: usize,
    full: SyncSender<(i64, Vec<Flow>)>,
}

/// Lets `fill` add records and writes them; returns what was written.
pub fn gather(
    lake: &Lake,
    names: &Names,
    fill: impl FnOnce(&mut Hours) -> Result<(), LakeError>,
) -> Result<Vec<Written>, LakeError> {
    std::thread::scope(|scope| {
        let (full, hours) = sync_channel(0);
        let writer = scope.spawn(move || write_all(lake, names, &hours));
        let mut hours = Hours { held: BTreeMap::new(), count: 0, full };
        let filled = fill(&mut hours).and_then(|()| hours.finish());
        drop(hours);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // The writer's error is the cause where both failed.
        let written = written?;
        filled.map(|()| written)
    })
}

impl Hours {
    pub fn add(&mut self, flows: &[Flow]) -> Result<(), LakeError> {
        let mut rest = flows;
        while let Some(first) = rest.first() {
            let hour = first.start_ms.div_euclid(HOUR_MS);
            let within =
                hour.saturating_mul(HOUR_MS)..=hour.saturating_mul(HOUR_MS).saturating_add(HOUR_MS - 1);
            let same = rest.iter().take_while(|flow| within.contains(&flow.start_ms)).count().max(1);
            let (now, later) = rest.split_at(same);
            let held = self.held.entry(hour).or_default();
            held.extend_from_slice(now);
            self.count += same;
            if held.len() >= FILE_ROW_COUNT_MAX {
                self.write(hour)?;
            }
            rest = later;
        }
        while self.count > HELD_ROW_COUNT_MAX {
            self.write_one()?;
        }
        Ok(())
    }

    /// Writes the oldest hour, which in a log in time order is complete, or the largest where that frees little.
    fn write_one(&mut self) -> Result<(), LakeError> {
        let oldest = self.held.first_key_value().filter(|(_, flows)| flows.len() * 8 > self.count);
        let largest = || self.held.iter().max_by_key(|(_, flows)| flows.len());
        let Some(hour) = oldest.or_else(largest).map(|(hour, _)| *hour) else { return Ok(()) };
        self.write(hour)
    }

    fn write(&mut self, hour: i64) -> Result<(), LakeError> {
        let Some(flows) = self.held.remove(&hour) else { return Ok(()) };
        self.count -= flows.len();
        // The other end is gone only when writing failed, which `gather` tells.
        self.full.send((hour, flows)).map_err(|_| LakeError::Cancelled)
    }

    fn finish(&mut self) -> Result<(), LakeError> {
        while let Some(hour) = self.held.first_key_value().map(|(hour, _)| *hour) {
            self.write(hour)?;
        }
        Ok(())
    }
}

fn write_all(
    lake: &Lake,
    names: &Names,
    hours: &Receiver<(i64, Vec<Flow>)>,
) -> Result<Vec<Written>, LakeError> {
    let mut written = Vec::new();
    for (hour, flows) in hours {
        written.push(write_hour(lake, names, hour, flows)?);
    }
    Ok(written)
}

/// Sorts and writes the records of one hour as one file.
pub fn write_hour(lake: &Lake, names: &Names, hour: i64, flows: Vec<Flow>) -> Result<Written, LakeError> {
    let (bytes, file) = encode::parquet(&flows, names)?;
    drop(flows);
    let name = format!("{}/{}.parquet", folder(hour), lake.unique()?);
    lake.block_on(lake.store.put(&name, bytes.into()))?;
    Ok(Written { name, file })
}

/// The folder of an hour since 1970.
pub fn folder(hour: i64) -> String {
    // A hostile time is no reason to fail: what no calendar knows stands under the last or first hour that one does.
    let seconds = hour.saturating_mul(HOUR_MS / 1000);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    format!("data/date={year:04}-{month:02}-{day:02}/hour={:02}", time.hour())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_has_its_folder_and_a_hostile_one_too() {
        assert_eq!(folder(490_896), "data/date=2026-01-01/hour=00");
        assert_eq!(folder(-1), "data/date=1969-12-31/hour=23");
        assert_eq!(folder(i64::MAX / HOUR_MS), "data/date=1970-01-01/hour=00");
    }
}
