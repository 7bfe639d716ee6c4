//! Words that repeat in millions of records, each kept once: accounts, interfaces, rules, files.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// How many different words are kept; what comes after is `OTHER`.
pub const NAME_COUNT_MAX: usize = 1 << 20;
/// The longest word that is kept, in bytes; a longer one is cut.
pub const NAME_BYTES_MAX: usize = 512;

/// The number of a word in `Names`. Zero is "not told".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub u32);

impl Symbol {
    pub const NONE: Symbol = Symbol(0);
    /// Stands for every word that found no room.
    pub const OTHER: Symbol = Symbol(1);
}

/// All words of one run, shared by the readers' threads.
#[derive(Debug)]
pub struct Names {
    table: RwLock<Table>,
}

#[derive(Debug)]
struct Table {
    words: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Default for Names {
    fn default() -> Names {
        let words: Vec<Arc<str>> = vec!["".into(), "(other)".into()];
        let numbers = words.iter().zip(0..).map(|(word, number)| (word.clone(), number)).collect();
        Names { table: RwLock::new(Table { words, numbers }) }
    }
}

impl Names {
    /// Returns the number of a word; keep the last one beside the call where the same word comes again and again.
    pub fn symbol(&self, word: &str) -> Symbol {
        let word = &word[..word.floor_char_boundary(NAME_BYTES_MAX)];
        if let Some(number) = self.read().numbers.get(word) {
            return Symbol(*number);
        }
        let mut table = self.table.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(number) = table.numbers.get(word) {
            return Symbol(*number);
        }
        let number = table.words.len();
        if number >= NAME_COUNT_MAX {
            return Symbol::OTHER;
        }
        let word: Arc<str> = word.into();
        table.words.push(word.clone());
        table.numbers.insert(word, number as u32);
        Symbol(number as u32)
    }

    /// Returns the word of a number; the empty one for a number that was never given.
    pub fn word(&self, symbol: Symbol) -> Arc<str> {
        let table = self.read();
        table.words.get(symbol.0 as usize).unwrap_or(&table.words[0]).clone()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_number() {
        let names = Names::default();
        let first = names.symbol("eni-1");
        assert_eq!(names.symbol("eni-1"), first);
        assert_eq!(&*names.word(first), "eni-1");
        assert_eq!(names.symbol(""), Symbol::NONE);
        assert_eq!(&*names.word(Symbol(99)), "");
    }
}
