//! The frames around messages: syslog of RFC 3164 and RFC 5424, journalctl's short formats, containers' prefixes.

use super::time::Clock;

/// One message with what its frame tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame<'a> {
    pub time_ms: i64,
    pub host: &'a str,
    pub program: &'a str,
    pub process: u32,
    pub message: &'a str,
}

/// Takes the frame off a line; `None` where there is none.
pub fn frame<'a>(text: &'a str, clock: &Clock) -> Option<Frame<'a>> {
    let text = priority(text).unwrap_or(text);
    if let Some(rest) = text.strip_prefix("1 ") {
        return rfc5424(rest, clock);
    }
    let (time_ms, rest) = clock.leading(text)?;
    let (host, rest) = rest.strip_prefix([' ', '\t'])?.trim_start().split_once(' ')?;
    if host.is_empty() || host.starts_with('[') || host.ends_with(':') {
        return None;
    }
    let (program, process, message) = tag(rest)?;
    Some(Frame { time_ms, host, program, process, message })
}

/// `<34>`, which stands first where a line was kept as it came over the network.
fn priority(text: &str) -> Option<&str> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    (digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// `2022-01-19T14:23:55+00:00 host program 44255 - [meta sequenceId="1"] message` (RFC 5424, section 6).
fn rfc5424<'a>(text: &'a str, clock: &Clock) -> Option<Frame<'a>> {
    let (time_ms, rest) = clock.leading(text)?;
    let mut words = rest.strip_prefix(' ')?.splitn(5, ' ');
    let (host, program, process) = (words.next()?, words.next()?, words.next()?);
    let (_identifier, rest) = (words.next()?, words.next().unwrap_or_default());
    let message = structured_data(rest)?.trim_start_matches('\u{feff}');
    Some(Frame { time_ms, host, program, process: process.parse().unwrap_or(0), message })
}

/// Skips `-` or elements in brackets, in whose values a bracket may be escaped.
fn structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest.trim_start_matches(' '));
    }
    let (mut in_quotes, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_quotes => escaped = true,
            b'"' => in_quotes = !in_quotes,
            b']' if !in_quotes && text.as_bytes().get(at + 1) != Some(&b'[') => {
                return Some(text[at + 1..].trim_start_matches(' '));
            }
            _ => {}
        }
    }
    None
}

/// `sshd[123]: message`, `kernel: message`, `sshd-session[1]: …`; the path of a program is left out.
fn tag(text: &str) -> Option<(&str, u32, &str)> {
    let (tag, message) = text.split_once(": ").or_else(|| text.strip_suffix(':').map(|tag| (tag, "")))?;
    let (program, process) = match tag.split_once('[') {
        Some((program, process)) => (program, process.strip_suffix(']')?.parse().unwrap_or(0)),
        None => (tag, 0),
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'=,;<>{}".contains(&byte);
    if program.is_empty() || program.len() > 64 || !program.bytes().all(plain) {
        return None;
    }
    let short =
        if program.starts_with('/') { program.rsplit('/').next().unwrap_or(program) } else { program };
    Some((short, process, message))
}

/// Takes a container runtime's prefix off: `2025-12-31T17:37:40Z stdout F message`, `name  | message`.
pub fn container<'a>(text: &'a str, clock: &Clock) -> Option<&'a str> {
    if text.as_bytes().first()?.is_ascii_digit()
        && let Some((_, rest)) = clock.leading(text)
    {
        let rest = rest.strip_prefix(" stdout ").or_else(|| rest.strip_prefix(" stderr "))?;
        return rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P "));
    }
    let (name, rest) = text.split_once("| ")?;
    let name = name.trim_end();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(plain)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_taken_off() {
        let clock = Clock { latest_ms: 1_700_000_000_000, zone_minutes: 0 };
        for text in [
            "Oct  9 11:55:12 web1 sshd[125]: hello",
            "<38>Oct  9 11:55:12 web1 sshd[125]: hello",
            "2023-10-09T11:55:12+00:00 web1 sshd[125]: hello",
            "2023-10-09T11:55:12+0000 web1 /usr/sbin/sshd[125]: hello",
            "Mon 2023-10-09 11:55:12 UTC web1 sshd[125]: hello",
            "1696852512.000000 web1 sshd[125]: hello",
            "<38>1 2023-10-09T11:55:12Z web1 sshd 125 - [meta a=\"]\"][x b=\"c\"] hello",
            "<38>1 2023-10-09T11:55:12Z web1 sshd 125 - - hello",
        ] {
            let told = frame(text, &clock).unwrap_or_else(|| panic!("{text}"));
            let time_ms = 1_696_852_512_000;
            assert_eq!(
                told,
                Frame { time_ms, host: "web1", program: "sshd", process: 125, message: "hello" },
                "{text}"
            );
        }
        assert_eq!(frame("hello world: this is no log", &clock), None);
    }
}
