//! Finds scenarios and topologies: those compiled in, or those of a directory.

use crate::error::{LabError, Result};
use crate::scenario::{self, Network, Scenario};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Files read from a directory.
const FILES_COUNT_MAX: usize = 2000;
/// What addresses and names begin with in the files; a seed moves them.
const V4_PREFIX: &str = "10.61.";
const V6_PREFIX: &str = "fd61:";
const DOMAIN: &str = "example.test";

/// Path below `lab/` and text of each file, made by build.rs.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// Texts of scenarios and topologies.
#[derive(Debug, Clone)]
pub struct Library {
    files: BTreeMap<String, String>,
}

impl Library {
    /// What the program was built with.
    pub fn built_in() -> Library {
        Library {
            files: BUILT_IN.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
        }
    }

    /// A directory with `topologies/` and `scenarios/`; topologies it lacks are those built in.
    pub fn from_directory(directory: &Path) -> Result<Library> {
        let mut library = Library::built_in();
        library.files.retain(|path, _| path.starts_with("topologies/"));
        let mut waiting = vec![directory.to_path_buf()];
        while let Some(current) = waiting.pop() {
            for entry in fs::read_dir(&current).map_err(LabError::file(&current))?.flatten() {
                let path = entry.path();
                let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
                if path.is_dir() {
                    waiting.push(path);
                } else if name.ends_with(".toml") && library.files.len() < FILES_COUNT_MAX {
                    library.files.insert(name, fs::read_to_string(&path).map_err(LabError::file(&path))?);
                }
            }
        }
        Ok(library)
    }

    /// The same with other addresses and another domain; seed 0 leaves all as written.
    pub fn moved(mut self, seed: u64) -> Library {
        if seed == 0 {
            return self;
        }
        // 62 to 253, never 61 itself: two labs with different seeds never look alike.
        let number = 62 + seed % 192;
        for text in self.files.values_mut() {
            *text = text
                .replace(V4_PREFIX, &format!("10.{number}."))
                .replace(V6_PREFIX, &format!("fd{number:02x}:"))
                .replace(DOMAIN, &format!("corp{number}.test"));
        }
        self
    }

    /// All scenarios, by file name: layer by layer.
    pub fn scenarios(&self) -> Result<Vec<Scenario>> {
        let scenarios: Vec<Scenario> =
            self.scenario_files().map(|(path, text)| self.parsed(path, text)).collect::<Result<_>>()?;
        let mut names: Vec<&str> = scenarios.iter().map(|scenario| scenario.head.name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(LabError::Scenario { name: pair[0].into(), why: "two files have this name".into() })
            }
            None => Ok(scenarios),
        }
    }

    /// One scenario by name.
    pub fn scenario(&self, name: &str) -> Result<Scenario> {
        let ours = |path: &str| Path::new(path).file_stem().is_some_and(|stem| stem == name);
        let found = self.scenario_files().find(|(path, _)| ours(path));
        let (path, text) =
            found.ok_or_else(|| LabError::Unknown { what: "scenario", name: name.to_owned() })?;
        self.parsed(path, text)
    }

    /// The names of all scenarios with the folder each lies in.
    pub fn names(&self) -> Vec<(String, String)> {
        let split = |path: &str| {
            let path = Path::new(path);
            let folder = path.parent().and_then(Path::file_name)?.to_string_lossy().into_owned();
            Some((folder, path.file_stem()?.to_string_lossy().into_owned()))
        };
        self.scenario_files().filter_map(|(path, _)| split(path)).collect()
    }

    /// A topology alone.
    pub fn network(&self, name: &str) -> Result<Network> {
        scenario::network(name, &|name| self.topology(name))
    }

    fn scenario_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(|(path, _)| path.starts_with("scenarios/"))
    }

    fn parsed(&self, path: &str, text: &str) -> Result<Scenario> {
        let scenario = scenario::parse(text, &|name| self.topology(name)).map_err(|error| match error {
            LabError::Scenario { name, why } => LabError::Scenario { name: format!("{name} ({path})"), why },
            other => other,
        })?;
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        if stem.as_deref() != Some(&scenario.head.name) {
            return Err(LabError::Scenario {
                name: scenario.head.name,
                why: format!("{path} has another name"),
            });
        }
        Ok(scenario)
    }

    fn topology(&self, name: &str) -> Option<String> {
        self.files.get(&format!("topologies/{name}.toml")).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_sound_and_may_be_moved() {
        let here = Library::built_in().scenarios().unwrap();
        assert!(here.len() >= 12, "{}", here.len());
        let moved = Library::built_in().moved(7).scenarios().unwrap();
        assert_eq!(here.len(), moved.len());
        let text = format!("{moved:?}");
        assert!(!text.contains(V4_PREFIX) && !text.contains(DOMAIN));
    }
}
