//! Asking an estate that was read from hostile files.
#![allow(dead_code, reason = "not every target asks")]

use netwhy_policy::estate::{Ask, End, Estate};

/// How many endpoints are asked about.
const END_COUNT_MAX: usize = 4;

/// Asks who may reach whom, among some endpoints and from outside.
pub fn ask(estate: &dyn Estate) {
    let ends: Vec<End> = estate
        .endpoints()
        .iter()
        .take(END_COUNT_MAX)
        .inspect(|end| assert!(plain(&end.id)))
        .map(|end| End::Known(end.id.clone()))
        .chain([End::Outside])
        .collect();
    for from in &ends {
        for to in &ends {
            let (from, to) = (from.clone(), to.clone());
            let _ = estate.way(&Ask { from, to, protocol: 6, port: Some(443), request: None });
        }
    }
}

/// No control character reaches a terminal.
pub fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
