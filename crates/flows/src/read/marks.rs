//! Where words and lines end: one pass over a block, 64 bytes at a time.
//!
//! The idea is that of simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019): comparing gives a
//! bit a byte, and the bits give positions without a branch a byte.

/// Bytes that are looked at together; a block's text goes on for at least as many behind its end.
pub const STRIDE_BYTES: usize = 64;
/// Positions that are written whether or not there are so many; hardly any 64 bytes of a flow log hold more.
const POSITIONS_AT_ONCE: usize = 12;

/// The ends of words and lines of one block.
#[derive(Debug, Default)]
pub struct Marks {
    ends: Vec<u32>,
    lines: Vec<u32>,
    end_count: usize,
    line_count: usize,
    /// Whether there are control characters besides line feeds.
    pub odd: bool,
}

impl Marks {
    /// The position of every byte up to the space, in order.
    pub fn ends(&self) -> &[u32] {
        &self.ends[..self.end_count]
    }

    /// For every line feed, its number in `ends`.
    pub fn lines(&self) -> &[u32] {
        &self.lines[..self.line_count]
    }

    /// Finds the ends in `text[from..to]`; the text goes on for at least `STRIDE_BYTES` behind `to`.
    #[inline(always)]
    pub fn find(&mut self, text: &[u8], from: usize, to: usize) {
        // All bytes may be line feeds.
        let room = (to - from) + 2 * STRIDE_BYTES;
        if self.ends.len() < room {
            self.ends.resize(room, 0);
            self.lines.resize(room, 0);
        }
        let (mut end_count, mut line_count, mut odd) = (0usize, 0usize, 0u64);
        for place in (from..to).step_by(STRIDE_BYTES) {
            let Some(stride) = text[place..].first_chunk::<STRIDE_BYTES>() else { break };
            let inside = if to - place < STRIDE_BYTES { (1u64 << (to - place)) - 1 } else { u64::MAX };
            let (small, spaces, feeds) = classes(stride);
            let (small, mut feeds) = (small & inside, feeds & inside);
            odd |= small & !(spaces | feeds);
            // A stride seldom holds two line feeds: the first is noted without asking whether there is one.
            self.lines[line_count] = end_count as u32 + (small & below_lowest(feeds)).count_ones();
            line_count += usize::from(feeds != 0);
            feeds &= feeds.wrapping_sub(1);
            while feeds != 0 {
                self.lines[line_count] = end_count as u32 + (small & below_lowest(feeds)).count_ones();
                line_count += 1;
                feeds &= feeds - 1;
            }
            let Some(room) = self.ends[end_count..].first_chunk_mut::<STRIDE_BYTES>() else { break };
            end_count += put_positions(room, small, place as u32);
        }
        (self.end_count, self.line_count, self.odd) = (end_count, line_count, odd != 0);
    }
}

/// The bits below the lowest one that is set.
#[inline(always)]
fn below_lowest(bits: u64) -> u64 {
    bits.wrapping_sub(1) & !bits
}

#[inline(always)]
fn put_positions(room: &mut [u32; STRIDE_BYTES], mut bits: u64, place: u32) -> usize {
    let count = bits.count_ones() as usize;
    for slot in &mut room[..POSITIONS_AT_ONCE] {
        *slot = place.wrapping_add(bits.trailing_zeros());
        bits &= bits.wrapping_sub(1);
    }
    for number in POSITIONS_AT_ONCE..count {
        room[number % STRIDE_BYTES] = place + bits.trailing_zeros();
        bits &= bits - 1;
    }
    count
}

/// A bit for every byte up to the space, every space, every line feed.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn classes(stride: &[u8; STRIDE_BYTES]) -> (u64, u64, u64) {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8};
    let (mut small, mut spaces, mut feeds) = (0u64, 0u64, 0u64);
    for (part, sixteen) in stride.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: every x86-64 processor has SSE2, and none of these reads memory.
        let [small_bits, space_bits, feed_bits] = unsafe {
            let (space, feed) = (_mm_set1_epi8(b' ' as i8), _mm_set1_epi8(b'\n' as i8));
            let bytes = super::number::vector(sixteen);
            let small = _mm_cmpeq_epi8(_mm_min_epu8(bytes, space), bytes);
            [small, _mm_cmpeq_epi8(bytes, space), _mm_cmpeq_epi8(bytes, feed)]
                .map(|mask| _mm_movemask_epi8(mask) as u32)
        };
        small |= u64::from(small_bits) << (part * 16);
        spaces |= u64::from(space_bits) << (part * 16);
        feeds |= u64::from(feed_bits) << (part * 16);
    }
    (small, spaces, feeds)
}

#[cfg(not(target_arch = "x86_64"))]
fn classes(stride: &[u8; STRIDE_BYTES]) -> (u64, u64, u64) {
    stride.iter().enumerate().fold((0, 0, 0), |(small, spaces, feeds), (bit, byte)| {
        let bits = |yes: bool| u64::from(yes) << bit;
        (small | bits(*byte <= b' '), spaces | bits(*byte == b' '), feeds | bits(*byte == b'\n'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_what_a_slow_look_finds(
            bytes in prop::collection::vec(prop_oneof![Just(b' '), Just(b'\n'), Just(b'x'), any::<u8>()], 0..400),
            from in 0usize..70,
        ) {
            let from = from.min(bytes.len());
            let mut text = bytes.clone();
            text.extend([b' '; STRIDE_BYTES]);
            let mut marks = Marks::default();
            marks.find(&text, from, bytes.len());
            let ends: Vec<u32> = (from..bytes.len()).filter(|at| bytes[*at] <= b' ').map(|at| at as u32).collect();
            let lines: Vec<u32> = ends.iter().zip(0..).filter(|(at, _)| bytes[**at as usize] == b'\n').map(|(_, number)| number).collect();
            prop_assert_eq!(marks.ends(), &ends[..]);
            prop_assert_eq!(marks.lines(), &lines[..]);
            prop_assert_eq!(marks.odd, ends.iter().any(|at| !b" \n".contains(&bytes[*at as usize])));
        }
    }
}
