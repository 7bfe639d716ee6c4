//! Words that repeat on every line, found without asking the shared table each time.

use crate::{Names, Symbol};
use std::sync::Arc;

/// Slots of one worker's table; interfaces of an account mostly fit.
const SLOT_COUNT: usize = 1 << 12;
/// The longest word that has a slot, in bytes; `eni-` and its 17 digits are 21.
const WORD_BYTES_MAX: usize = 40;

/// One worker's memory of the words it met.
#[derive(Debug)]
pub struct Words {
    names: Arc<Names>,
    slots: Box<[Slot]>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    bytes: [u8; WORD_BYTES_MAX],
    length: u32,
    symbol: Symbol,
}

impl Words {
    pub fn new(names: Arc<Names>) -> Words {
        let empty = Slot { bytes: [0; WORD_BYTES_MAX], length: 0, symbol: Symbol::NONE };
        Words { names, slots: vec![empty; SLOT_COUNT].into() }
    }

    /// The number of a word; control characters in it become dots.
    #[inline(always)]
    pub fn symbol(&mut self, word: &[u8]) -> Symbol {
        let number = slot_of(word);
        let slot = &self.slots[number];
        // Comparing bytes finds out what the slot holds; a hash alone could mistake one word for another.
        if slot.length as usize == word.len() && slot.bytes.get(..word.len()) == Some(word) {
            return slot.symbol;
        }
        self.learn(number, word)
    }

    #[cold]
    fn learn(&mut self, number: usize, word: &[u8]) -> Symbol {
        let text = String::from_utf8_lossy(word);
        let symbol = if text.chars().any(char::is_control) {
            self.names.symbol(&text.replace(char::is_control, "·"))
        } else {
            self.names.symbol(&text)
        };
        if word.len() <= WORD_BYTES_MAX {
            let slot = &mut self.slots[number];
            slot.bytes[..word.len()].copy_from_slice(word);
            (slot.length, slot.symbol) = (word.len() as u32, symbol);
        }
        symbol
    }
}

/// Mixes the last bytes, in which such words differ.
#[inline(always)]
fn slot_of(word: &[u8]) -> usize {
    let number = match word.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => word.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    };
    (number.wrapping_add(word.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize % SLOT_COUNT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_the_number_that_the_shared_table_gives() {
        let names = Arc::new(Names::default());
        let mut words = Words::new(names.clone());
        for round in 0..3 {
            for number in 0..20_000 {
                let word = format!("{}eni-{number:x}", "x".repeat(number % 50));
                assert_eq!(words.symbol(word.as_bytes()), names.symbol(&word), "round {round}");
            }
        }
        assert_eq!(words.symbol(b""), Symbol::NONE);
        assert_eq!(&*names.word(words.symbol(b"a\x1b[2Jb\xff")), "a·[2Jb\u{fffd}");
    }
}
