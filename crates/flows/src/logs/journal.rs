//! Entries of the systemd journal: as JSON, and in the export format with its fields line by line.

use super::event::Event;
use super::line::{Options, Place, Refused, framed};
use super::syslog::Frame;
use serde_json::Value;

/// The longest message that is kept of an entry, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The fields of one entry that count.
#[derive(Debug, Default)]
pub struct Entry {
    time_us: u64,
    host: String,
    program: String,
    process: u32,
    message: String,
    any: bool,
}

impl Entry {
    /// Takes one field of the export format.
    pub fn field(&mut self, name: &str, value: &str) {
        self.any = true;
        let cut = |value: &str| value[..value.floor_char_boundary(MESSAGE_BYTES_MAX)].to_string();
        match name {
            "__REALTIME_TIMESTAMP" => self.time_us = value.parse().unwrap_or(0),
            "_HOSTNAME" => self.host = cut(value),
            // The name and number that the sender gave stand in for what the journal saw, or the other way round.
            "SYSLOG_IDENTIFIER" => self.program = cut(value),
            "_COMM" if self.program.is_empty() => self.program = cut(value),
            "_PID" => self.process = value.parse().unwrap_or(0),
            "SYSLOG_PID" if self.process == 0 => self.process = value.parse().unwrap_or(0),
            "MESSAGE" => self.message = cut(value),
            _ => {}
        }
    }

    /// Whether nothing was told since the last entry.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// Reads the entry into `out`.
    pub fn finish(&self, options: &Options, place: &Place, out: &mut Vec<Event>) -> Result<(), Refused<'_>> {
        let (host, program, message) = (self.host.as_str(), self.program.as_str(), self.message.trim_end());
        let frame =
            Frame { time_ms: (self.time_us / 1000) as i64, host, program, process: self.process, message };
        if frame.time_ms == 0 {
            return Err(Refused::Shape);
        }
        framed(&frame, options, place, out)
    }
}

/// Reads one object of `journalctl -o json`. A message of bytes that are no text is a list of numbers there.
pub fn entry(value: &Value, options: &Options, place: &Place, out: &mut Vec<Event>) -> Result<(), ()> {
    let mut entry = Entry::default();
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => entry.field(name, text),
            Value::Array(bytes) if name == "MESSAGE" => {
                let bytes: Vec<u8> = bytes
                    .iter()
                    .take(MESSAGE_BYTES_MAX)
                    .filter_map(|b| u8::try_from(b.as_u64()?).ok())
                    .collect();
                entry.field(name, &String::from_utf8_lossy(&bytes));
            }
            _ => {}
        }
    }
    entry.finish(options, place, out).map_err(|_| ())
}
