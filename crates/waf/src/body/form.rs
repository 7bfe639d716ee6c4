//! Arguments as forms and queries write them: `a=1&b=2`.

use super::{ARGUMENTS_COUNT_MAX, Pair};
use crate::transform::url_checked;

/// The arguments, and whether every escape in them was valid.
pub fn arguments(bytes: &[u8], separator: u8) -> (Vec<Pair>, bool) {
    let mut valid = true;
    let mut decoded = |bytes: &[u8]| {
        let (decoded, fine) = url_checked(bytes);
        valid &= fine;
        decoded
    };
    // An argument may be empty, but none follows the last separator.
    let bytes = bytes.strip_suffix(&[separator]).unwrap_or(bytes);
    let pieces = bytes.split(|byte| *byte == separator).filter(|_| !bytes.is_empty());
    let pairs = pieces.take(ARGUMENTS_COUNT_MAX).map(|piece| {
        let at = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        (decoded(&piece[..at]), decoded(piece.get(at + 1..).unwrap_or_default()))
    });
    let pairs = pairs.collect();
    (pairs, valid)
}

/// The cookies of a `Cookie` header: blanks before names go, and what has no name.
pub fn cookies(header: &[u8]) -> Vec<Pair> {
    let header = crate::transform::trimmed(header);
    let pieces = header.split(|byte| *byte == b';').filter(|piece| !piece.is_empty());
    let pair = |piece: &[u8]| {
        let at = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
        let blank = piece[..at].iter().take_while(|byte| crate::transform::is_blank(**byte)).count();
        (piece[blank..at].to_vec(), piece.get(at + 1..).unwrap_or_default().to_vec())
    };
    pieces.take(ARGUMENTS_COUNT_MAX).map(pair).filter(|(name, _)| !name.is_empty()).collect()
}
