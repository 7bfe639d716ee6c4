//! What happened in each ten minutes, so that the order of the records does not matter.

use std::collections::HashMap;

/// One cell's length: also the longest aggregation of the clouds.
pub const SLOT_MS: i64 = 600_000;
/// A median of fewer cells than this says little: what was not seen counts as quiet.
pub const HISTORY_SLOTS_MIN: usize = 12;
/// Records of SYN packets in ten minutes that no client without an answer sends, whatever is usual.
const YOUNG_FLOOD_MIN: u32 = 10_000;
/// Hot cells nearer than this belong to one attack.
const GAP_SLOTS: i32 = 6;
/// So many other cells must show the same, and how far below the run's peak they may lie, to call it everyday.
const EVERYDAY_CELLS_MIN: usize = 4;
const EVERYDAY_RATIO: f64 = 2.5;
/// A cluster of hot cells lighter than this share of the heaviest one is noise.
const CLUSTER_SHARE_MIN: f64 = 0.05;

/// The cell of a time.
pub fn slot_of(time_ms: i64) -> i32 {
    time_ms.div_euclid(SLOT_MS) as i32
}

/// Counts of ten minutes; who uses it says what they mean.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cell {
    pub slot: i32,
    /// First and last moment of what is suspicious, in milliseconds within the cell.
    pub first: i32,
    pub last: i32,
    is_marked: bool,
    pub requests: u32,
    /// Requests that failed by their own look: rejected, or nothing but empty packets.
    pub fails: u32,
    /// Answers that show a conversation.
    pub goods: u32,
    /// First calls to a target that became conversations.
    pub sessions: u32,
    /// Targets (or sources) not seen before.
    pub fresh: u32,
    pub packets: u64,
    pub bytes: u64,
}

impl Cell {
    /// Failures that no answer contradicts.
    pub fn failed(&self) -> u32 {
        self.fails.min(self.requests.saturating_sub(self.goods))
    }

    /// Notes a suspicious moment.
    pub fn mark(&mut self, time_ms: i64) {
        let at = time_ms.rem_euclid(SLOT_MS) as i32;
        if !self.is_marked {
            (self.first, self.last, self.is_marked) = (at, at, true);
        }
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }
}

/// The cells of one key in order of time; empty ones are not kept.
#[derive(Debug, Clone, Default)]
pub struct Series {
    cells: Vec<Cell>,
    recent: u32,
}

/// The sum of the hot cells of a series.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub start_ms: i64,
    pub end_ms: i64,
    /// How many cells it has.
    pub cells: u32,
    pub peak: u32,
    pub sum: Cell,
}

impl Series {
    /// The cell of a time, made when new.
    pub fn at(&mut self, time_ms: i64) -> &mut Cell {
        let slot = slot_of(time_ms);
        let recent = self.recent as usize;
        if self.cells.get(recent).is_none_or(|cell| cell.slot != slot) {
            let place = match self.cells.binary_search_by_key(&slot, |cell| cell.slot) {
                Ok(place) => place,
                Err(place) => {
                    self.cells.insert(place, Cell { slot, ..Cell::default() });
                    place
                }
            };
            self.recent = place as u32;
        }
        &mut self.cells[self.recent as usize]
    }

    /// The same series, failures only, with the calls and answers of `whole`.
    pub fn within(&self, whole: &Series) -> Series {
        let mut cells = self.cells.clone();
        for cell in &mut cells {
            if let Some(all) = whole.get(cell.slot) {
                (cell.requests, cell.goods) = (all.requests, all.goods);
            }
        }
        Series { cells, recent: 0 }
    }

    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The packets of one cell.
    pub fn packets_at(&self, slot: i32) -> u64 {
        self.get(slot).map_or(0, |cell| cell.packets)
    }

    pub fn bytes_at(&self, slot: i32) -> u64 {
        self.get(slot).map_or(0, |cell| cell.bytes)
    }

    fn get(&self, slot: i32) -> Option<&Cell> {
        let place = self.cells.binary_search_by_key(&slot, |cell| cell.slot).ok()?;
        self.cells.get(place)
    }

    /// The sum over all cells.
    pub fn total(&self) -> Run {
        sum(self.cells.iter())
    }

    /// The attack that the hot cells make, weighed by `weight`: clusters that are next to nothing are left out.
    pub fn hot(&self, is_hot: impl Fn(&Cell) -> bool, weight: impl Fn(&Cell) -> u32) -> Option<Run> {
        let mut clusters: Vec<(u64, Vec<&Cell>)> = Vec::new();
        for cell in self.cells.iter().filter(|cell| is_hot(cell)) {
            match clusters.last_mut() {
                Some((sum, cluster))
                    if cluster.last().is_some_and(|last| cell.slot - last.slot <= GAP_SLOTS) =>
                {
                    cluster.push(cell);
                    *sum += u64::from(weight(cell));
                }
                _ => clusters.push((weight(cell).into(), vec![cell])),
            }
        }
        let most = clusters.iter().map(|(sum, _)| *sum).max()?;
        let least = most as f64 * CLUSTER_SHARE_MIN;
        let cells = clusters.iter().filter(|(sum, _)| *sum as f64 >= least).flat_map(|(_, cells)| cells);
        let mut run = sum(cells.clone().copied());
        run.peak = cells.map(|cell| weight(cell)).max().unwrap_or(0);
        Some(run)
    }

    /// Whether `run` is but a part of what goes on all day at the same height: what it was made of is merely new to us.
    pub fn is_everyday(&self, run: &Run, value: impl Fn(&Cell) -> u32) -> bool {
        let (from, to) = (slot_of(run.start_ms), slot_of(run.end_ms));
        let (inside, outside): (Vec<&Cell>, Vec<&Cell>) = self
            .cells
            .iter()
            .filter(|cell| value(cell) > 0)
            .partition(|cell| (from..=to).contains(&cell.slot));
        let mut others: Vec<u32> = outside.into_iter().map(&value).collect();
        if others.len() < EVERYDAY_CELLS_MIN.max(inside.len() * 2) {
            return false;
        }
        let middle = others.len() / 2;
        let usual = f64::from(*others.select_nth_unstable(middle).1);
        let peak = inside.into_iter().map(value).max().unwrap_or(0);
        f64::from(peak) < EVERYDAY_RATIO * usual
    }

    /// What a cell must reach to stand out: so many times the median, and three times what all but the busiest sixth
    /// stay under (what comes in bursts all day has a median of zero).
    pub fn bar(&self, slots: usize, ratio: u32, value: impl Fn(&Cell) -> u32) -> u32 {
        let busy = self.quantile(slots, 0.85, &value).saturating_mul(3);
        busy.max(self.quantile(slots, 0.5, &value).saturating_mul(ratio))
    }

    /// The same for a flood of at least `least`; with less history than a median needs, so many are one by themselves.
    pub fn flood_bar(&self, slots: usize, least: u32, ratio: u32, value: impl Fn(&Cell) -> u32) -> u32 {
        let bar = least.max(self.bar(slots, ratio, &value));
        if slots >= HISTORY_SLOTS_MIN {
            return bar;
        }
        bar.min(YOUNG_FLOOD_MIN.max(self.bar(HISTORY_SLOTS_MIN, ratio, value)))
    }

    /// The value below which `share` of the `slots` cells of the input lie, empty ones counted as zero.
    pub fn quantile(&self, slots: usize, share: f64, value: impl Fn(&Cell) -> u32) -> u32 {
        let mut values: Vec<u32> = self.cells.iter().map(value).collect();
        values.resize(values.len().max(slots), 0);
        if values.is_empty() {
            return 0;
        }
        let place = ((values.len() - 1) as f64 * share) as usize;
        *values.select_nth_unstable(place).1
    }
}

/// The calls of each of our hosts, put together from what its ports had.
#[derive(Debug, Default)]
pub struct Calls {
    pub hosts: HashMap<u32, Series>,
}

impl Calls {
    pub fn add(&mut self, our: u32, series: &Series) {
        let host = self.hosts.entry(our).or_default();
        for cell in &series.cells {
            let sum = host.at(i64::from(cell.slot) * SLOT_MS);
            if sum.requests == 0 {
                (sum.first, sum.last) = (0, SLOT_MS as i32 - 1000);
            }
            sum.requests = sum.requests.saturating_add(cell.requests);
            sum.goods = sum.goods.saturating_add(cell.goods);
        }
    }

    pub fn total(&self, our: u32) -> u64 {
        self.hosts.get(&our).map_or(0, |host| host.total().sum.requests.into())
    }
}

fn sum<'a>(cells: impl Iterator<Item = &'a Cell>) -> Run {
    let mut run = Run { start_ms: i64::MAX, end_ms: i64::MIN, ..Run::default() };
    for cell in cells {
        let base = i64::from(cell.slot) * SLOT_MS;
        run.start_ms = run.start_ms.min(base + i64::from(cell.first));
        run.end_ms = run.end_ms.max(base + i64::from(cell.last));
        run.cells += 1;
        run.sum.requests = run.sum.requests.saturating_add(cell.requests);
        run.sum.fails = run.sum.fails.saturating_add(cell.fails);
        run.sum.goods = run.sum.goods.saturating_add(cell.goods);
        run.sum.sessions = run.sum.sessions.saturating_add(cell.sessions);
        run.sum.fresh = run.sum.fresh.saturating_add(cell.fresh);
        run.sum.packets = run.sum.packets.saturating_add(cell.packets);
        run.sum.bytes = run.sum.bytes.saturating_add(cell.bytes);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_noise_is_left_out() {
        let mut series = Series::default();
        for minute in [100, 90, 80, 1000, 5] {
            let cell = series.at(minute * 60_000);
            cell.fails += if minute == 1000 { 1 } else { 50 };
            cell.mark(minute * 60_000);
        }
        let run = series.hot(|cell| cell.fails > 0, |cell| cell.fails).unwrap();
        assert_eq!((run.start_ms, run.end_ms), (5 * 60_000, 100 * 60_000));
        assert_eq!(run.sum.fails, 200);
        assert_eq!(series.quantile(100, 0.5, |cell| cell.fails), 0);
    }
}
