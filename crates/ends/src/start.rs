//! Starts netwhy at a place.

use std::sync::{Arc, Mutex};

/// What a program wrote to standard error.
#[derive(Clone)]
pub(crate) struct Said {
    text: Arc<Mutex<String>>,
}

impl Said {
    pub(crate) async fn text(&self) -> String {
        String::new()
    }
}
