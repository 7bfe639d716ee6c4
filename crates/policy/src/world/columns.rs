//! Columns as others count them: readers count bytes, SARIF and editors UTF-16 code units.

use super::Source;
use crate::place::Place;
use std::collections::HashMap;
use std::sync::Arc;

/// The lines of files in which a byte is not a column.
#[derive(Debug, Default)]
pub(super) struct Columns {
    files: HashMap<Arc<str>, File>,
}

#[derive(Debug)]
struct File {
    /// Its reader counts characters: that of YAML.
    by_characters: bool,
    lines: HashMap<u32, Box<str>>,
}

impl Columns {
    /// Keeps the lines of a file that are not plain ASCII.
    pub fn add(&mut self, source: &Source, by_characters: bool) {
        if source.text.is_ascii() {
            return;
        }
        let wide = source.text.split('\n').zip(1_u32..).filter(|(line, _)| !line.is_ascii());
        let lines = wide.map(|(line, number)| (number, line.into())).collect();
        self.files.insert(Arc::clone(&source.file), File { by_characters, lines });
    }

    pub fn utf16(&self, place: &Place) -> u32 {
        let Some(file) = self.files.get(&place.file) else { return place.column };
        let Some(line) = file.lines.get(&place.line) else { return place.column };
        let before = place.column.saturating_sub(1) as usize;
        let characters = line.char_indices().enumerate();
        let is_before = |at: usize, byte: usize| if file.by_characters { at < before } else { byte < before };
        let kept = characters.filter(|(at, (byte, _))| is_before(*at, *byte));
        let units: usize = kept.map(|(_, (_, c))| c.len_utf16()).sum();
        u32::try_from(units + 1).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_characters_become_utf16_code_units() {
        let mut columns = Columns::default();
        let text = "plain\né 😀 x\n".to_owned();
        columns.add(&Source { file: "a".into(), text: text.clone() }, false);
        columns.add(&Source { file: "b".into(), text }, true);
        let at = |file: &str, line, column| columns.utf16(&Place::new(&file.into(), line, column));
        // The x: 2 bytes, a space, 4 bytes and a space stand before it.
        assert_eq!((at("a", 2, 9), at("b", 2, 5), at("a", 1, 3), at("c", 2, 9)), (6, 6, 3, 9));
        assert_eq!((at("a", 2, 1), at("a", 2, 999), at("a", 0, 0)), (1, 7, 0));
    }
}
