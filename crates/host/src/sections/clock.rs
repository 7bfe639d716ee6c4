//! Whether the clock is disciplined, by the kernel's own account.

use super::{Said, reading, section};
use crate::files::Gaps;
use netwhy_model::host::{Reading, Section, State};

/// An estimated error past this is odd, in microseconds.
const ERROR_MICROS_ODD: i64 = 1_000_000;

/// Asks adjtimex(2); no packet is sent.
pub(crate) fn read(gaps: &mut Gaps) -> Section {
    // SAFETY: an all-zero `timex` is a valid value of this plain C struct; modes 0 only reads.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live value for the duration of the call.
    let status = unsafe { libc::adjtimex(&raw mut state) };
    if status < 0 {
        gaps.failed("adjtimex", &std::io::Error::last_os_error());
        return section("clock", "Clock", "时钟", Vec::new());
    }
    let unsynchronised = state.status & libc::STA_UNSYNC != 0;
    let sync =
        reading("clock synchronised", if unsynchronised { "no" } else { "yes" }, "adjtimex(2) STA_UNSYNC");
    let sync = if unsynchronised {
        sync.said(
            State::Odd,
            "no program has set the clock by a time server for long: certificates and tokens may seem expired or not yet valid",
            "时钟长时间未与时间服务器同步：证书与令牌可能被判为过期或尚未生效",
        )
    } else {
        sync
    };
    // Without synchronisation the kernel's estimate is a constant of no meaning.
    let estimate = (!unsynchronised).then(|| error_estimate(&state));
    section("clock", "Clock", "时钟", [Some(sync), estimate].into_iter().flatten().collect())
}

fn error_estimate(state: &libc::timex) -> Reading {
    #[allow(clippy::useless_conversion, reason = "the field's width differs between architectures")]
    let error = i64::from(state.esterror);
    let one = reading("clock error estimate", error, "adjtimex(2) esterror").unit("µs");
    if error > ERROR_MICROS_ODD {
        one.said(State::Odd, "the clock may be off by more than a second", "时钟误差可能超过一秒")
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_of_its_clock() {
        let section = read(&mut Gaps::default());
        assert!(section.readings.iter().any(|one| one.name == "clock synchronised"));
    }
}
