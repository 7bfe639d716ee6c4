//! Where a body ends, and how it arrives (RFC 9112, section 6.3).

use crate::exchange::Answer;
use crate::parse::{BadChunk, Chunks, Head};

/// Points of the arrival record kept.
const PACE_COUNT_MAX: usize = 2_048;

/// How the end of a body is told.
pub(crate) enum Framing {
    None,
    Length { want: u64, got: u64 },
    Chunked(Chunks),
    UntilClose,
}

impl Framing {
    /// What the head says of the body that follows.
    pub fn of(method: &str, head: &Head) -> Framing {
        if method == "HEAD" || head.status < 200 || matches!(head.status, 204 | 304) {
            return Framing::None;
        }
        if head.has_token("transfer-encoding", "chunked") {
            return Framing::Chunked(Chunks::default());
        }
        match head.get("content-length").and_then(|text| text.parse().ok()) {
            Some(want) => Framing::Length { want, got: 0 },
            None => Framing::UntilClose,
        }
    }

    /// The length the head announces.
    pub fn announced(&self) -> Option<u64> {
        match self {
            Framing::Length { want, .. } => Some(*want),
            _ => None,
        }
    }

    /// True once the body is whole.
    pub fn done(&self) -> bool {
        match self {
            Framing::None => true,
            Framing::Length { want, got } => got >= want,
            Framing::Chunked(chunks) => chunks.done(),
            Framing::UntilClose => false,
        }
    }

    /// Moves what belongs to the body out of the buffer.
    pub fn take(
        &mut self,
        buffer: &mut Vec<u8>,
        answer: &mut Answer,
        keep_max: usize,
    ) -> Result<(), BadChunk> {
        let used = match self {
            Framing::None => 0,
            Framing::Chunked(chunks) => chunks.push(buffer, |data| keep(answer, data, keep_max))?,
            Framing::UntilClose => {
                keep(answer, buffer, keep_max);
                buffer.len()
            }
            Framing::Length { want, got } => {
                let left = usize::try_from(*want - *got).unwrap_or(usize::MAX);
                let size = buffer.len().min(left);
                *got += size as u64;
                keep(answer, &buffer[..size], keep_max);
                size
            }
        };
        buffer.drain(..used);
        Ok(())
    }
}

fn keep(answer: &mut Answer, data: &[u8], keep_max: usize) {
    let room = keep_max.saturating_sub(answer.body.len()).min(data.len());
    answer.body.extend_from_slice(&data[..room]);
    answer.body_len += data.len() as u64;
}

/// Adds a point to the arrival record; thins it out when it is full.
pub(crate) fn note_pace(pace: &mut Vec<(f64, u64)>, at_ms: f64, bytes: u64) {
    if pace.len() >= PACE_COUNT_MAX {
        let mut index = 0;
        pace.retain(|_| {
            index += 1;
            index % 2 == 0
        });
    }
    pace.push((at_ms, bytes));
}
