//! The two questions a name is resolved with, and their answers (RFC 1035 section 4). Pure; takes any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest name, in bytes on the wire (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
/// The longest label, in bytes.
const LABEL_BYTES_MAX: usize = 63;
/// Records of one answer looked at.
const RECORD_COUNT_MAX: usize = 128;
/// Labels of one name.
const LABEL_COUNT_MAX: usize = 128;
/// An Internet class question or record.
const CLASS_IN: u16 = 1;

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn number(self) -> u16 {
        match self {
            Family::V4 => 1,
            Family::V6 => 28,
        }
    }
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub id: u16,
    /// 0 well, 3 no such name.
    pub code: u8,
    pub addresses: Vec<IpAddr>,
}

/// Writes a question; `None` for what is no name.
pub(super) fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut bytes = id.to_be_bytes().to_vec();
    // Recursion is wanted; one question.
    bytes.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    let begin = bytes.len();
    for label in name.trim_end_matches('.').split('.') {
        let length =
            u8::try_from(label.len()).ok().filter(|n| *n > 0 && usize::from(*n) <= LABEL_BYTES_MAX)?;
        bytes.push(length);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    if bytes.len() - begin > NAME_BYTES_MAX {
        return None;
    }
    bytes.extend(family.number().to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    Some(bytes)
}

/// Reads an answer; with the question given, `None` unless it answers that.
pub fn answer(bytes: &[u8], asked: Option<&[u8]>) -> Option<Answer> {
    let id = number(bytes, 0)?;
    let flags = number(bytes, 2)?;
    let is_answer = flags & 0x8000 != 0;
    let (questions, records) = (number(bytes, 4)?, number(bytes, 6)?);
    if !is_answer || questions > 1 {
        return None;
    }
    let mut at = 12;
    if let Some(asked) = asked {
        let same = |range: std::ops::Range<usize>| {
            Some(bytes.get(range.clone())?.eq_ignore_ascii_case(asked.get(range)?))
        };
        if questions != 1 || !same(0..2)? || !same(12..asked.len())? {
            return None;
        }
    }
    if questions == 1 {
        at = skip_name(bytes, at)?.checked_add(4)?;
    }
    let mut addresses = Vec::new();
    for _ in 0..usize::from(records).min(RECORD_COUNT_MAX) {
        // An answer cut short still says what it says.
        let Some((next, address)) = record(bytes, at) else { break };
        addresses.extend(address);
        at = next;
    }
    Some(Answer { id, code: (flags & 0x000f) as u8, addresses })
}

/// One record: where the next begins, and its address if it has one. Aliases are followed by the server.
fn record(bytes: &[u8], at: usize) -> Option<(usize, Option<IpAddr>)> {
    let at = skip_name(bytes, at)?;
    let (kind, class) = (number(bytes, at)?, number(bytes, at + 2)?);
    let length = usize::from(number(bytes, at + 8)?);
    let data = bytes.get(at + 10..at + 10 + length)?;
    let address = match (kind, class) {
        (1, CLASS_IN) => <[u8; 4]>::try_from(data).ok().map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        (28, CLASS_IN) => <[u8; 16]>::try_from(data).ok().map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
        _ => None,
    };
    Some((at + 10 + length, address))
}

/// Where the bytes after a name begin; a pointer ends it.
fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..LABEL_COUNT_MAX {
        let length = usize::from(*bytes.get(at)?);
        match length {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            64.. => return None,
            _ => at += 1 + length,
        }
    }
    None
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(asked: &[u8], records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = asked.to_vec();
        bytes[2] |= 0x80;
        bytes[7] = records.len() as u8;
        for (kind, data) in records {
            bytes.extend([0xc0, 12]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            bytes.extend(*data);
        }
        bytes
    }

    #[test]
    fn addresses_are_read_and_aliases_passed_over() {
        let asked = question(7, "Origin.example.test.", Family::V4).unwrap();
        let bytes = reply(&asked, &[(5, &[1, b'x', 0]), (1, &[10, 0, 0, 2]), (28, &[0; 16])]);
        let answer = answer(&bytes, Some(&asked)).unwrap();
        assert_eq!((answer.id, answer.code, answer.addresses.len()), (7, 0, 2));
        assert_eq!(answer.addresses[0], IpAddr::from([10, 0, 0, 2]));
    }

    #[test]
    fn another_answer_is_none() {
        let asked = question(7, "a.test", Family::V4).unwrap();
        for other in [
            question(8, "a.test", Family::V4),
            question(7, "b.test", Family::V4),
            question(7, "a.test", Family::V6),
        ] {
            assert_eq!(answer(&reply(&other.unwrap(), &[]), Some(&asked)), None);
        }
        assert_eq!(answer(&asked, Some(&asked)), None);
        assert!(
            question(1, "a..b", Family::V4).is_none() && question(1, &"a".repeat(64), Family::V4).is_none()
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..80) {
            let _ = answer(&bytes, None);
            let asked = question(7, "a.test", Family::V4).unwrap();
            let _ = answer(&bytes, Some(&asked));
            let whole = reply(&asked, &[(1, &[1, 2, 3, 4]), (28, &[5; 16])]);
            let _ = answer(&whole[..cut.min(whole.len())], Some(&asked));
        }

        #[test]
        fn a_question_is_answered_by_itself_turned_round(name in "[a-z0-9-]{1,20}(\\.[a-z]{1,20}){0,8}") {
            let asked = question(7, &name, Family::V6).unwrap();
            prop_assert!(answer(&reply(&asked, &[]), Some(&asked)).is_some());
        }
    }
}
