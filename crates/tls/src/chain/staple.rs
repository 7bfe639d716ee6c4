//! Reads an OCSP answer (RFC 6960 section 4.2.1): whose, good or revoked, until when. Pure, bounded.

use time::PrimitiveDateTime;
use time::macros::format_description;

/// Largest staple read, in bytes.
pub const STAPLE_BYTES_MAX: usize = 64 * 1024;
/// Most single answers read out of one staple.
pub const ANSWER_COUNT_MAX: usize = 50;

/// What the responder said of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StapleStatus {
    Good,
    Revoked,
    Unknown,
}

/// One stapled answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staple {
    pub serial: Vec<u8>,
    pub status: StapleStatus,
    /// Seconds since the epoch.
    pub this_update: Option<i64>,
    /// Seconds since the epoch.
    pub next_update: Option<i64>,
    /// When it was revoked, seconds since the epoch.
    pub revoked_at: Option<i64>,
}

/// The single answers of a staple; empty when it is not a successful OCSP answer.
pub fn parse_staple(bytes: &[u8]) -> Vec<Staple> {
    if bytes.len() > STAPLE_BYTES_MAX {
        return Vec::new();
    }
    answers(bytes).unwrap_or_default()
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const TIME: u8 = 0x18;

fn answers(bytes: &[u8]) -> Option<Vec<Staple>> {
    let mut response = Der(Der(bytes).expect(SEQUENCE)?);
    if response.expect(0x0a)? != [0] {
        return None;
    }
    let mut basic = Der(Der(response.expect(0xa0)?).expect(SEQUENCE)?);
    basic.expect(0x06)?;
    let mut signed = Der(Der(basic.expect(OCTETS)?).expect(SEQUENCE)?);
    let mut data = Der(signed.expect(SEQUENCE)?);
    data.optional(0xa0);
    data.next()?; // who answers, by name or by key
    data.expect(TIME)?;
    let mut list = Der(data.expect(SEQUENCE)?);
    let mut out = Vec::new();
    while let Some(single) = list.expect(SEQUENCE) {
        if out.len() >= ANSWER_COUNT_MAX {
            break;
        }
        out.extend(single_answer(single));
    }
    Some(out)
}

fn single_answer(bytes: &[u8]) -> Option<Staple> {
    let mut single = Der(bytes);
    let mut id = Der(single.expect(SEQUENCE)?);
    id.expect(SEQUENCE)?;
    id.expect(OCTETS)?;
    id.expect(OCTETS)?;
    let serial = id.expect(INTEGER)?.to_vec();
    let (tag, body) = single.next()?;
    let (status, revoked_at) = match tag {
        0x80 => (StapleStatus::Good, None),
        0xa1 => (StapleStatus::Revoked, Der(body).expect(TIME).and_then(moment)),
        _ => (StapleStatus::Unknown, None),
    };
    let this_update = single.expect(TIME).and_then(moment);
    let next_update = single.optional(0xa0).and_then(|body| Der(body).expect(TIME)).and_then(moment);
    Some(Staple { serial, status, this_update, next_update, revoked_at })
}

/// A GeneralizedTime in the only form DER allows, `YYYYMMDDHHMMSSZ`.
fn moment(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let format = format_description!("[year][month][day][hour][minute][second]");
    PrimitiveDateTime::parse(text.get(..14)?, &format).ok().map(|time| time.assume_utc().unix_timestamp())
}

/// A cursor over DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, body))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = Der(self.0);
        let (found, body) = ahead.next()?;
        if found != tag {
            return None;
        }
        self.0 = ahead.0;
        Some(body)
    }

    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.expect(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_time_of_der() {
        assert_eq!(moment(b"20240101000000Z"), Some(1_704_067_200));
        assert_eq!(moment(b"20241301000000Z"), None);
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse_staple(&bytes);
        }
    }
}
