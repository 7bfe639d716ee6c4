//! Times as users write them and read them.

use crate::fail;
use anyhow::Result;
use netwhy_model::Stamp;
use std::ops::Range;
use std::time::SystemTime;

/// The longest way back that may be written.
const BACK_DAYS_MAX: u64 = 36_500;

/// All moments, in milliseconds since 1970.
pub(super) const ALWAYS: Range<i64> = i64::MIN..i64::MAX;

/// Which moments are asked about.
#[derive(Debug, Default, clap::Args)]
pub(super) struct When {
    /// Only what began at or after this moment: 2026-01-01T09:14:00Z, or how long ago, such as 24h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what began before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl When {
    /// The first moment, and the one that is no more asked about; in milliseconds since 1970.
    pub(super) fn ends(&self) -> Result<(Option<i64>, Option<i64>)> {
        let at = |text: &Option<String>| text.as_deref().map(moment).transpose();
        Ok((at(&self.since)?, at(&self.until)?))
    }

    pub(super) fn range(&self) -> Result<Range<i64>> {
        let (first, end) = self.ends()?;
        Ok(first.unwrap_or(ALWAYS.start)..end.unwrap_or(ALWAYS.end))
    }
}

/// Milliseconds since 1970 now.
pub(super) fn now_ms() -> i64 {
    Stamp::from(SystemTime::now()).millis() as i64
}

/// `2026-01-01`, `2026-01-01T09:14:00Z`, or how long ago: `90s`, `15m`, `24h`, `7d`.
pub(super) fn moment(text: &str) -> Result<i64> {
    if let Some(back_ms) = length_ms(text) {
        return Ok(now_ms() - back_ms as i64);
    }
    let date =
        |text: &str| serde_json::from_value::<Stamp>(text.into()).ok().map(|stamp| stamp.millis() as i64);
    let forms = [text.to_owned(), format!("{text}Z"), format!("{text}:00Z"), format!("{text}T00:00:00Z")];
    forms.iter().find_map(|form| date(form)).ok_or_else(|| {
        fail(
            (format!("{text:?} is no moment"), format!("{text:?} 不是时间点")),
            (
                "write 2026-01-01, 2026-01-01T09:14:00Z, or how long ago: 15m, 24h, 7d",
                "写作 2026-01-01、2026-01-01T09:14:00Z，或多久以前：15m、24h、7d",
            ),
        )
    })
}

/// `90s`, `15m`, `24h` or `7d`, as one of the flags has it.
pub(super) fn length(text: &str, flag: &str) -> Result<u64> {
    length_ms(text).ok_or_else(|| {
        fail(
            (
                format!("{text:?} is not a value of {flag}: it is no length of time"),
                format!("{text:?} 不是 {flag} 的值：不是时长"),
            ),
            ("write a number with s, m, h or d", "写数字加单位 s、m、h 或 d"),
        )
    })
}

fn length_ms(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let length = number.parse::<u64>().ok()?.checked_mul(*unit)?;
    (length <= BACK_DAYS_MAX * 86_400_000).then_some(length)
}

/// `2026-01-01 09:14:00`, UTC.
pub(super) fn shown(ms: i64) -> String {
    let text = Stamp::from_millis(u64::try_from(ms).unwrap_or(0) / 1_000 * 1_000).to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

/// `09:14`, UTC.
pub(super) fn clock(ms: i64) -> String {
    shown(ms).get(11..16).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        assert_eq!(moment("2026-01-01T00:00:00Z").unwrap(), 1_767_225_600_000);
        assert_eq!(moment("2026-01-01").unwrap(), 1_767_225_600_000);
        assert_eq!(moment("2026-01-01T00:01").unwrap(), 1_767_225_660_000);
        assert!((now_ms() - moment("15m").unwrap() - 900_000).abs() < 1_000);
        assert!(moment("soon").is_err() && length("5", "--for").is_err());
        assert_eq!(
            (shown(1_767_225_661_234), clock(1_767_225_661_234)),
            ("2026-01-01 00:01:01".into(), "00:01".into())
        );
    }
}
