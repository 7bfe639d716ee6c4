//! nginx' `include`: one tree out of many files.

use super::super::{Files, Troubles, file_trouble};
use super::tree::{self, Directive};

/// Files of one configuration.
const FILE_COUNT_MAX: usize = 256;
/// Files included from files.
const INCLUDE_DEPTH_MAX: usize = 8;
/// Blocks in which an include can lead to an upstream or a listener.
const BLOCKS: [&str; 7] = ["http", "stream", "server", "location", "upstream", "if", "limit_except"];

/// A configuration with its includes put in their places.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) directives: Vec<Directive>,
    /// The files read, by the number the directives carry.
    pub(super) files: Vec<String>,
}

/// Reads a configuration from its main file on.
pub(super) fn load(main: &str, files: &mut dyn Files, troubles: &mut Troubles) -> Whole {
    let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut loader = Loader { files, troubles, folder, names: Vec::new(), is_full: false };
    let directives = loader.file(main, 0);
    Whole { directives, files: loader.names }
}

struct Loader<'a> {
    files: &'a mut dyn Files,
    troubles: &'a mut Troubles,
    /// Included files are named from the main file's folder.
    folder: String,
    names: Vec<String>,
    is_full: bool,
}

impl Loader<'_> {
    fn file(&mut self, path: &str, depth: usize) -> Vec<Directive> {
        if self.names.len() >= FILE_COUNT_MAX {
            if !self.is_full {
                self.troubles.note(path, 0, "more files are included than are read");
            }
            self.is_full = true;
            return Vec::new();
        }
        let text = match self.files.read(path) {
            Ok(text) => text,
            Err(error) => {
                file_trouble(self.troubles, path, &error);
                return Vec::new();
            }
        };
        let number = self.names.len();
        self.names.push(path.to_owned());
        let parsed = tree::parse(&text, number);
        for (line, why) in parsed.troubles {
            self.troubles.note(path, line, why);
        }
        self.expand(parsed.directives, depth)
    }

    fn expand(&mut self, directives: Vec<Directive>, depth: usize) -> Vec<Directive> {
        let mut out = Vec::with_capacity(directives.len());
        for mut one in directives {
            if one.name == "include" {
                out.extend(self.include(&one, depth));
                continue;
            }
            if BLOCKS.contains(&one.name.as_str()) {
                one.block = one.block.map(|block| self.expand(block, depth));
            }
            out.push(one);
        }
        out
    }

    fn include(&mut self, directive: &Directive, depth: usize) -> Vec<Directive> {
        let written = directive.word(0);
        let from = self.names.get(directive.file).cloned().unwrap_or_default();
        if depth >= INCLUDE_DEPTH_MAX {
            self.troubles.note(&from, directive.line, "files are included deeper than is read");
            return Vec::new();
        }
        let path = match written.starts_with('/') {
            true => written.to_owned(),
            false => format!("{}/{written}", self.folder),
        };
        let paths = match path.contains(['*', '?', '[']) {
            true => self.files.matching(&path),
            false => vec![path],
        };
        paths.iter().flat_map(|path| self.file(path, depth + 1)).collect()
    }
}
