//! What this machine could not do itself: it is never taken for an answer.

use crate::ScanError;
use crate::ledger::Ledger;
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Pairs whose refusal is kept one by one; beyond, the host is remembered.
const PAIR_COUNT_MAX: usize = 1 << 16;
/// Refusals in a row after which the way out is gone.
const REFUSED_IN_A_ROW_MAX: u64 = 1_024;
/// Shortages in a row with no socket of ours open, 20 ms each, after which there is nothing left to wait for.
const STARVED_COUNT_MAX: u32 = 250;
/// Between two notices of the same shortage.
const TELL_GAP: Duration = Duration::from_secs(1);

/// Refusals and shortages so far.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    pairs: HashMap<u64, i32>,
    hosts: HashMap<u64, i32>,
    first: Option<(IpAddr, i32)>,
    in_a_row: u64,
    went_out: u64,
    starved: u32,
    told: Option<Instant>,
    unreachable: HashSet<i32>,
}

impl Trouble {
    /// Whether an error means that the machine is short of something that may come back.
    pub fn is_shortage(errno: i32) -> bool {
        matches!(
            errno,
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL | libc::EAGAIN
        )
    }

    pub fn went_out(&mut self) {
        self.went_out += 1;
        self.in_a_row = 0;
        self.starved = 0;
    }

    /// This machine refused to ask a pair.
    pub fn refused(&mut self, position: u64, host: u64, ip: IpAddr, errno: i32) {
        self.in_a_row += 1;
        self.first.get_or_insert((ip, errno));
        self.unreachable.insert(errno);
        if self.pairs.len() < PAIR_COUNT_MAX {
            self.pairs.insert(position, errno);
        } else {
            self.hosts.insert(host, errno);
        }
    }

    /// Why a pair could not be asked, if so.
    pub fn of(&self, position: u64, host: u64) -> Option<i32> {
        self.pairs.get(&position).or_else(|| self.hosts.get(&host)).copied()
    }

    /// A pair was asked after all.
    pub fn heal(&mut self, position: u64) {
        if !self.pairs.is_empty() {
            self.pairs.remove(&position);
        }
    }

    /// After a whole pass: an error when nothing at all could be asked.
    pub fn verdict(&self, ledger: &Ledger<'_>) -> Result<(), ScanError> {
        match self.first {
            Some((host, errno)) if self.went_out == 0 => Err(no_route(host, errno)),
            _ => self.verdict_now(ledger),
        }
    }

    /// While a pass runs: an error when the way out is gone for good.
    pub fn verdict_now(&self, ledger: &Ledger<'_>) -> Result<(), ScanError> {
        let Some((host, errno)) = self.first.filter(|_| self.in_a_row >= REFUSED_IN_A_ROW_MAX) else {
            return Ok(());
        };
        match self.went_out {
            0 => Err(no_route(host, errno)),
            // Among many hosts some may have no route; that every one of a long run has none is the way's end.
            _ if ledger.plan.hosts.len() > 1 && self.in_a_row < 4 * REFUSED_IN_A_ROW_MAX => Ok(()),
            asked => {
                let name = ledger.plan.interface.clone().unwrap_or_else(|| format!("towards {host}"));
                Err(ScanError::InterfaceDown { name, asked })
            }
        }
    }

    pub fn should_tell(&mut self, now: Instant) -> bool {
        let due = self.told.is_none_or(|told| now.duration_since(told) >= TELL_GAP);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// Short with none of our own sockets open: others hold everything.
    pub fn starved(&mut self, error: io::Error) -> Result<(), ScanError> {
        self.starved += 1;
        match self.starved > STARVED_COUNT_MAX {
            true => Err(ScanError::System { doing: "waiting for a free socket".into(), source: error }),
            false => Ok(()),
        }
    }
}

fn no_route(host: IpAddr, errno: i32) -> ScanError {
    ScanError::NoRoute { host, reason: io::Error::from_raw_os_error(errno).to_string() }
}
