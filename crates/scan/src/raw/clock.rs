//! Nanoseconds since the engine began, and the kernel's packet stamps on the same line.

/// Nanoseconds since the engine began.
pub type Nanos = u64;

pub const MILLISECOND: Nanos = 1_000_000;
pub const SECOND: Nanos = 1_000_000_000;

/// A monotonic clock that also places stamps of the real-time clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begin: i128,
    /// Real time minus monotonic time when last looked at.
    offset: i128,
}

impl Clock {
    pub fn start() -> Clock {
        let mut clock = Clock { begin: read(libc::CLOCK_MONOTONIC), offset: 0 };
        clock.adjust();
        clock
    }

    pub fn now(&self) -> Nanos {
        (read(libc::CLOCK_MONOTONIC) - self.begin).max(0) as Nanos
    }

    /// Follows steps of the real-time clock; call before stamps are placed.
    pub fn adjust(&mut self) {
        self.offset = read(libc::CLOCK_REALTIME) - read(libc::CLOCK_MONOTONIC);
    }

    /// Places a stamp of the real-time clock, in seconds and nanoseconds.
    pub fn place(&self, seconds: u32, nanoseconds: u32) -> Nanos {
        let stamp = i128::from(seconds) * i128::from(SECOND) + i128::from(nanoseconds);
        (stamp - self.offset - self.begin).max(0) as Nanos
    }
}

fn read(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; these clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    i128::from(time.tv_sec) * i128::from(SECOND) + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_now_lies_at_now() {
        let clock = Clock::start();
        let real = read(libc::CLOCK_REALTIME);
        let stamp = clock.place((real / i128::from(SECOND)) as u32, (real % i128::from(SECOND)) as u32);
        assert!(clock.now().abs_diff(stamp) < 50 * MILLISECOND);
    }
}
