//! The compressions of nfcapd's blocks that take a page each: LZ4's block format and LZO1X.
//!
//! Sources: lz4_Block_format.md of the LZ4 project; lzo.rst of the Linux kernel's documentation.

/// The largest block that is unpacked, in bytes; nfdump's own are 5 MiB at most.
const UNPACKED_BYTES_MAX: usize = 16 << 20;
/// LZO's distances of its long form begin here; the first of them ends the block.
const LZO_FAR: usize = 16_384;

/// How the blocks of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    None,
    Lzo,
    Lz4,
}

/// Unpacks a block; `None` when it is damaged.
pub fn unpack(packing: Packing, packed: Vec<u8>) -> Option<Vec<u8>> {
    let mut unpacking = Unpacking { rest: &packed, out: Vec::with_capacity(packed.len().saturating_mul(3)) };
    match packing {
        Packing::None => return Some(packed),
        Packing::Lz4 => unpacking.lz4()?,
        Packing::Lzo => unpacking.lzo()?,
    }
    Some(unpacking.out)
}

struct Unpacking<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
}

impl Unpacking<'_> {
    fn byte(&mut self) -> Option<usize> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(usize::from(*byte))
    }

    fn pair(&mut self) -> Option<usize> {
        Some(self.byte()? | self.byte()? << 8)
    }

    fn literals(&mut self, count: usize) -> Option<()> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        self.out.extend(bytes);
        (self.out.len() <= UNPACKED_BYTES_MAX).then_some(())
    }

    /// Repeats what was so far back; it may reach into what it writes itself.
    fn repeat(&mut self, distance: usize, count: usize) -> Option<()> {
        let from = self.out.len().checked_sub(distance).filter(|_| distance > 0)?;
        if self.out.len() + count > UNPACKED_BYTES_MAX {
            return None;
        }
        for at in from..from + count {
            self.out.push(*self.out.get(at)?);
        }
        Some(())
    }

    /// A length that did not fit its bits goes on in bytes, up to the first that is not 255.
    fn lz4_length(&mut self, bits: usize) -> Option<usize> {
        let mut length = bits;
        if bits == 15 {
            loop {
                let more = self.byte()?;
                length += more;
                if more != 255 {
                    break;
                }
            }
        }
        Some(length)
    }

    fn lz4(&mut self) -> Option<()> {
        while !self.rest.is_empty() {
            let token = self.byte()?;
            let literals = self.lz4_length(token >> 4)?;
            self.literals(literals)?;
            if self.rest.is_empty() {
                break;
            }
            let distance = self.pair()?;
            let length = self.lz4_length(token & 15)?;
            self.repeat(distance, length + 4)?;
        }
        Some(())
    }

    /// A length of 0 goes on in bytes: each 0 is 255, the first other one ends it.
    fn lzo_length(&mut self, bits: usize, bits_max: usize) -> Option<usize> {
        if bits != 0 {
            return Some(bits);
        }
        let mut length = bits_max;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Some(length + last),
            }
        }
    }

    fn lzo(&mut self) -> Option<()> {
        // How many literals came before an instruction, 4 standing for more, tells what its lowest form means.
        let mut before = 0;
        if let Some(count) = self.rest.first().and_then(|first| usize::from(*first).checked_sub(17))
            && count > 0
        {
            self.byte()?;
            self.literals(count)?;
            before = count.min(4);
        }
        loop {
            let code = self.byte()?;
            let (distance, length, literals) = match (code, before) {
                (0..16, 0) => {
                    let count = self.lzo_length(code, 15)? + 3;
                    self.literals(count)?;
                    before = 4;
                    continue;
                }
                (0..16, 1..4) => ((self.byte()? << 2) + (code >> 2) + 1, 2, code & 3),
                (0..16, _) => ((self.byte()? << 2) + (code >> 2) + 2049, 3, code & 3),
                (16..32, _) => {
                    let length = self.lzo_length(code & 7, 7)? + 2;
                    let pair = self.pair()?;
                    let distance = LZO_FAR + ((code & 8) << 11) + (pair >> 2);
                    if distance == LZO_FAR {
                        return Some(());
                    }
                    (distance, length, pair & 3)
                }
                (32..64, _) => {
                    let length = self.lzo_length(code & 31, 31)? + 2;
                    let pair = self.pair()?;
                    ((pair >> 2) + 1, length, pair & 3)
                }
                (64..128, _) => ((self.byte()? << 3) + (code >> 2 & 7) + 1, 3 + (code >> 5 & 1), code & 3),
                _ => ((self.byte()? << 3) + (code >> 2 & 7) + 1, 5 + (code >> 5 & 3), code & 3),
            };
            self.repeat(distance, length)?;
            self.literals(literals)?;
            before = literals;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_repeat_into_what_they_write() {
        let lz4 = vec![0x1f, b'a', 1, 0, 2, 0x10, b'b'];
        assert_eq!(unpack(Packing::Lz4, lz4).unwrap(), [&[b'a'; 22][..], b"b"].concat());
        // Four literals, a repetition of 3 at distance 4 with one literal behind, the end.
        let lzo = vec![21, b'a', b'b', b'c', b'd', 0x40 | 3 << 2 | 1, 0, b'x', 17, 0, 0];
        assert_eq!(unpack(Packing::Lzo, lzo).unwrap(), b"abcdabcx");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for packing in [Packing::Lz4, Packing::Lzo] {
                let out = unpack(packing, bytes.clone()).unwrap_or_default();
                prop_assert!(out.len() <= UNPACKED_BYTES_MAX);
            }
        }
    }
}
