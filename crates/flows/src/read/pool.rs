//! Blocks through the workers and back in file order.
//!
//! A block is parsed under the order of fields that was in force when it was handed out. Where a header line in a block
//! before it changed the order, it is parsed again: that is rare, and asking beforehand would cost every byte.

use super::Why;
use super::blocks::{Blocks, Text};
use super::layout::Layout;
use super::parse::{Parsed, Parser};
use crate::{Flow, UnreadCount};
use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// More workers than this are not started.
pub const WORKER_COUNT_MAX: usize = 64;
/// Blocks that are read ahead of the slowest, beside one in each worker.
const AHEAD_COUNT: usize = 2;

/// What every worker knows.
pub struct Plan<'a, Map> {
    pub file: Arc<str>,
    pub layout: Arc<Layout>,
    pub parser: &'a (dyn Fn() -> Parser + Sync),
    pub map: Map,
}

/// Where one input's count stands.
struct Total {
    layout: Arc<Layout>,
    lines: u64,
    count: UnreadCount,
}

struct Job {
    number: u64,
    text: Text,
    layout: Arc<Layout>,
}

struct Done<T> {
    job: Job,
    after: Arc<Layout>,
    lines: u64,
    count: UnreadCount,
    mapped: T,
}

/// How an input went: what was read, and what ended it early.
pub type Outcome = (UnreadCount, Option<(Why, u64)>);

/// Parses one block after the other on the caller's thread.
pub fn alone<R: Read, T, Map: Fn(&mut Vec<Flow>) -> T>(
    mut blocks: Blocks<R>,
    plan: &Plan<Map>,
    each: &mut dyn FnMut(T),
) -> Outcome {
    let mut total = Total::new(plan.layout.clone());
    let (mut parser, mut text, mut parsed) = ((plan.parser)(), Text::default(), Parsed::default());
    loop {
        match blocks.next(&mut text) {
            Ok(true) => {}
            Ok(false) => return (total.count, None),
            Err(why) => return (total.count, Some((why, blocks.offset()))),
        }
        total.layout = parser.parse(&text, &total.layout.clone(), &plan.file, &mut parsed);
        total.add(parsed.lines, std::mem::take(&mut parsed.unread));
        each((plan.map)(&mut parsed.flows));
    }
}

/// Parses with `workers` threads, while one more reads ahead.
pub fn together<R: Read + Send, T: Send, Map: Fn(&mut Vec<Flow>) -> T + Sync>(
    mut blocks: Blocks<R>,
    plan: &Plan<Map>,
    workers: usize,
    each: &mut dyn FnMut(T),
) -> Outcome {
    let workers = workers.min(WORKER_COUNT_MAX);
    // A buffer is also the permission to read a block: so many blocks are under way at most.
    let (free, buffers) = channel::<Text>();
    (0..workers * 2 + AHEAD_COUNT).for_each(|_| drop(free.send(Text::default())));
    let (jobs_in, jobs) = sync_channel::<Job>(workers + AHEAD_COUNT);
    let (done_in, done) = channel::<Option<Done<T>>>();
    let jobs = Mutex::new(jobs);
    let latest = Mutex::new(plan.layout.clone());
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (jobs_in, buffers) = (jobs_in, buffers);
            read_ahead(&mut blocks, &buffers, &jobs_in, &latest).map(|why| (why, blocks.offset()))
        });
        for _ in 0..workers {
            let (done_in, jobs) = (done_in.clone(), &jobs);
            scope.spawn(move || work(jobs, &done_in, plan));
        }
        drop(done_in);
        let collected = collect(done, free, plan, &latest, each);
        let failed = reader.join().unwrap_or(Some((Why::Worker, 0)));
        match collected {
            Ok(count) => (count, failed),
            Err(count) => (count, Some((Why::Worker, 0))),
        }
    })
}

fn read_ahead<R: Read>(
    blocks: &mut Blocks<R>,
    buffers: &Receiver<Text>,
    jobs: &SyncSender<Job>,
    latest: &Mutex<Arc<Layout>>,
) -> Option<Why> {
    let mut number = 0;
    // Ends with the input, or when the collector went away.
    while let Ok(mut text) = buffers.recv() {
        match blocks.next(&mut text) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(why) => return Some(why),
        }
        let layout = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if jobs.send(Job { number, text, layout }).is_err() {
            return None;
        }
        number += 1;
    }
    None
}

fn work<T, Map: Fn(&mut Vec<Flow>) -> T>(
    jobs: &Mutex<Receiver<Job>>,
    done: &Sender<Option<Done<T>>>,
    plan: &Plan<Map>,
) {
    let (mut parser, mut parsed) = ((plan.parser)(), Parsed::default());
    // Ends when the reader has sent its last.
    while let Ok(job) = { jobs.lock().unwrap_or_else(PoisonError::into_inner).recv() } {
        // A panic (of the caller's `map`) must not leave the collector waiting for this block.
        let step = catch_unwind(AssertUnwindSafe(|| {
            let after = parser.parse(&job.text, &job.layout, &plan.file, &mut parsed);
            let mapped = (plan.map)(&mut parsed.flows);
            (after, mapped)
        }));
        let step = step.ok().map(|(after, mapped)| {
            let count = std::mem::take(&mut parsed.unread);
            Done { job, after, lines: parsed.lines, count, mapped }
        });
        if done.send(step).is_err() {
            return;
        }
    }
}

/// Puts the blocks in order; an error where a worker stopped.
fn collect<T, Map: Fn(&mut Vec<Flow>) -> T>(
    done: Receiver<Option<Done<T>>>,
    free: Sender<Text>,
    plan: &Plan<Map>,
    latest: &Mutex<Arc<Layout>>,
    each: &mut dyn FnMut(T),
) -> Result<UnreadCount, UnreadCount> {
    let mut total = Total::new(plan.layout.clone());
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    let mut again: Option<(Parser, Parsed)> = None;
    // Ends when all workers have ended; as many wait here as there are buffers.
    while let Ok(one) = done.recv() {
        let Some(one) = one else { return Err(total.count) };
        waiting.insert(one.job.number, one);
        while let Some(mut one) = waiting.remove(&next) {
            next += 1;
            if one.job.layout != total.layout {
                let (parser, parsed) = again.get_or_insert_with(|| ((plan.parser)(), Parsed::default()));
                one.after = parser.parse(&one.job.text, &total.layout, &plan.file, parsed);
                (one.lines, one.count) = (parsed.lines, std::mem::take(&mut parsed.unread));
                one.mapped = (plan.map)(&mut parsed.flows);
            }
            if one.after != total.layout {
                total.layout = one.after;
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = total.layout.clone();
            }
            total.add(one.lines, one.count);
            each(one.mapped);
            // The reader may have ended already.
            let _ = free.send(one.job.text);
        }
    }
    Ok(total.count)
}

impl Total {
    fn new(layout: Arc<Layout>) -> Total {
        Total { layout, lines: 0, count: UnreadCount::default() }
    }

    fn add(&mut self, lines: u64, mut count: UnreadCount) {
        count.places.values_mut().flatten().for_each(|place| place.number += self.lines);
        self.lines += lines;
        self.count.append(count);
    }
}
