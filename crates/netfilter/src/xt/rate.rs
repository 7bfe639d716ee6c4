//! Matches that count: limit, hashlimit, connlimit, recent.

use super::{Fragment, Info, not};
use crate::source::SourceCondition;
use netwhy_model::host::Match;
use std::net::IpAddr;

/// XT_LIMIT_SCALE: what one second is.
const SCALE: u64 = 10_000;
/// XT_HASHLIMIT_SCALE_v2.
const SCALE_FINE: u64 = 1_000_000;
/// Packets at once that limit and hashlimit leave unsaid, or say anyway.
const BURST: u32 = 5;

/// A time between packets as a rate, `5/min`, with the unit's length in milliseconds.
///
/// Chooses the unit as iptables does.
fn rate(period: u64, scale: u64) -> (String, u64) {
    let units = [("day", 86_400 * scale), ("hour", 3600 * scale), ("min", 60 * scale), ("sec", scale)];
    if period == 0 {
        return ("inf".to_owned(), 0);
    }
    let (mut name, mut unit) = units[0];
    for (next, length) in units.into_iter().skip(1) {
        if period > length || length / period < length % period {
            break;
        }
        (name, unit) = (next, length);
    }
    (format!("{}/{name}", unit / period), unit / scale * 1000)
}

/// struct xt_rateinfo.
pub(super) fn limit(info: Info<'_>) -> Fragment {
    let burst = info.ne32(4);
    let burst = if burst == BURST { String::new() } else { format!(" --limit-burst {burst}") };
    let (rate, _) = rate(info.ne32(0).into(), SCALE);
    Fragment::new(format!("-m limit --limit {rate}{burst}"), Match::Rate)
}

/// The parts of a hashlimit that its revisions keep at different places.
struct HashLimit {
    average: u64,
    burst: u64,
    mode: u32,
    expire_ms: u32,
    source_mask: u8,
    destination_mask: u8,
    name: String,
    scale: u64,
}

fn hashlimit_parts(revision: u32, info: Info<'_>) -> HashLimit {
    if revision <= 1 {
        return HashLimit {
            average: info.ne32(20).into(),
            burst: info.ne32(24).into(),
            mode: info.ne32(16),
            expire_ms: info.ne32(40),
            source_mask: info.byte(44),
            destination_mask: info.byte(45),
            name: info.text(0, 16),
            scale: SCALE,
        };
    }
    let masks = if revision == 2 { 292 } else { 296 };
    HashLimit {
        average: info.ne64(256),
        burst: info.ne64(264),
        mode: info.ne32(272),
        expire_ms: info.ne32(288),
        source_mask: info.byte(masks),
        destination_mask: info.byte(masks + 1),
        name: info.text(0, 255),
        scale: SCALE_FINE,
    }
}

/// struct xt_hashlimit_mtinfo1 to 3.
pub(super) fn hashlimit(revision: u32, info: Info<'_>, is_ip6: bool) -> Fragment {
    const MODES: [(u32, &str); 4] = [(4, "srcip"), (8, "srcport"), (1, "dstip"), (2, "dstport")];
    const INVERT: u32 = 16;
    const BYTES: u32 = 32;
    const EXPIRE_MS: u64 = 10_000;
    let parts = hashlimit_parts(revision, info);
    let way = if parts.mode & INVERT != 0 { "above" } else { "upto" };
    let mut text = format!("-m hashlimit --hashlimit-{way} ");
    let (rate, unit_ms) = rate(parts.average, parts.scale);
    if parts.mode & BYTES != 0 {
        let most = if revision <= 1 { u64::from(u32::MAX) } else { u64::MAX };
        let bytes = most.checked_div(parts.average).unwrap_or(most).saturating_sub(1).saturating_mul(16);
        text.push_str(&format!("{bytes}b/s"));
    } else {
        text.push_str(&format!("{rate} --hashlimit-burst {}", parts.burst));
    }
    let modes: Vec<&str> =
        MODES.iter().filter(|(bit, _)| parts.mode & bit != 0).map(|(_, name)| *name).collect();
    if !modes.is_empty() {
        text.push_str(&format!(" --hashlimit-mode {}", modes.join(",")));
    }
    text.push_str(&format!(" --hashlimit-name {}", parts.name));
    if ![EXPIRE_MS, unit_ms].contains(&parts.expire_ms.into()) {
        text.push_str(&format!(" --hashlimit-htable-expire {}", parts.expire_ms));
    }
    let full = if is_ip6 { 128 } else { 32 };
    if parts.source_mask != full {
        text.push_str(&format!(" --hashlimit-srcmask {}", parts.source_mask));
    }
    if parts.destination_mask != full {
        text.push_str(&format!(" --hashlimit-dstmask {}", parts.destination_mask));
    }
    Fragment::new(text, Match::Rate)
}

/// struct xt_connlimit_info.
pub(super) fn connlimit(info: Info<'_>, is_ip6: bool) -> Fragment {
    const INVERT: u32 = 1;
    const DESTINATION: u32 = 2;
    let flags = info.ne32(20);
    let way = if flags & INVERT != 0 { "upto" } else { "above" };
    let ones = match info.address(0, is_ip6) {
        IpAddr::V4(mask) => u32::from(mask).count_ones(),
        IpAddr::V6(mask) => u128::from(mask).count_ones(),
    };
    let side = if flags & DESTINATION != 0 { "daddr" } else { "saddr" };
    let text = format!(
        "-m connlimit --connlimit-{way} {} --connlimit-mask {ones} --connlimit-{side}",
        info.ne32(16)
    );
    Fragment::new(text, Match::ConnectionCount)
}

/// struct xt_recent_mtinfo and xt_recent_mtinfo_v1.
pub(super) fn recent(revision: u32, info: Info<'_>, is_ip6: bool) -> Fragment {
    const NAME_BYTES: usize = 200;
    let set = info.byte(8);
    let (seconds, hits) = (info.ne32(0), info.ne32(4));
    let inverted = info.byte(9) != 0;
    let mut text = format!("-m recent {}", not(inverted).trim_end());
    for (bit, word) in [(2, "--set"), (1, "--rcheck"), (4, "--update"), (8, "--remove")] {
        if set & bit != 0 {
            text = format!("{} {word}", text.trim_end());
        }
    }
    for (amount, word) in [(seconds, "--seconds"), (hits, "--hitcount")] {
        if amount != 0 {
            text.push_str(&format!(" {word} {amount}"));
        }
    }
    for (bit, word) in [(16, " --rttl"), (32, " --reap")] {
        if set & bit != 0 {
            text.push_str(word);
        }
    }
    text.push_str(&format!(" --name {}", info.text(10, NAME_BYTES)));
    if revision > 0 {
        text.push_str(&format!(" --mask {}", info.address(212, is_ip6)));
    }
    let by_source = info.byte(210) == 0;
    text.push_str(if by_source { " --rsource" } else { " --rdest" });
    let looks = set & (1 | 4) != 0;
    let matches = if looks && hits > 0 { vec![Match::Rate] } else { Vec::new() };
    let listed = looks && hits == 0 && by_source;
    let source = listed.then_some((SourceCondition::Single, inverted));
    Fragment { text, matches, source, ..Fragment::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_choose_the_unit_iptables_chooses() {
        let rate = |period| rate(period, SCALE).0;
        assert_eq!(rate(SCALE / 5), "5/sec");
        assert_eq!(rate(60 * SCALE / 5), "5/min");
        assert_eq!(rate(3600 * SCALE), "1/hour");
        assert_eq!(rate(0), "inf");
    }
}
