//! What operators need of bytes.

use super::Said;
use crate::place::both;
use netwhy_model::Text;
use std::panic::catch_unwind;

/// The longest value that libinjection's port is asked about, in bytes.
const INJECTION_BYTES_MAX: usize = 1 << 20;

pub fn contains(hay: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || hay.windows(needle.len()).any(|window| window == needle)
}

/// A pattern as text: bytes that are none as escapes.
pub fn as_pattern(pattern: &[u8]) -> String {
    let mut text = String::new();
    for chunk in pattern.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Whether the word stands in the value with no letter or digit beside it.
pub fn contains_word(hay: &[u8], needle: &[u8]) -> bool {
    let is_letter = |at: Option<usize>| {
        at.and_then(|at| hay.get(at)).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    needle.is_empty()
        || hay.windows(needle.len()).enumerate().any(|(at, window)| {
            window == needle && !is_letter(at.checked_sub(1)) && !is_letter(Some(at + needle.len()))
        })
}

/// A number as C's `atoi` reads it: 0 when there is none.
pub fn number(value: &[u8]) -> i64 {
    let value = crate::transform::trimmed(value);
    let (negative, digits) = match value {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number =
        digits.fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -number } else { number }
}

/// Whether libinjection takes the value for an injection of SQL; with the fingerprint.
pub fn sql_injection(value: &[u8]) -> Result<Said, Text> {
    let result = guarded(value, libinjectionrs::detect_sqli)?;
    if !result.is_injection() {
        return Ok(Said::No);
    }
    let print = result.fingerprint.map(|print| print.as_str().as_bytes().to_vec());
    Ok(Said::Yes(vec![print]))
}

/// Whether libinjection takes the value for a script in a page.
pub fn cross_site(value: &[u8]) -> Result<Said, Text> {
    let result = guarded(value, libinjectionrs::detect_xss)?;
    Ok(if result.is_injection() { Said::Yes(vec![Some(value.to_vec())]) } else { Said::No })
}

/// The port slices without looking in places; a value it stumbles over is not decided.
fn guarded<T>(value: &[u8], ask: impl Fn(&[u8]) -> T + std::panic::RefUnwindSafe) -> Result<T, Text> {
    if value.len() > INJECTION_BYTES_MAX {
        return Err(both(
            "the value is too long for libinjection here",
            "该值过长，无法交给 libinjection 判断",
        ));
    }
    catch_unwind(|| ask(value))
        .map_err(|_| both("libinjection could not decide it", "libinjection 无法判断该值"))
}
