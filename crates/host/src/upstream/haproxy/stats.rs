//! What a running haproxy says of its servers, as the answer to `show stat`. Pure.

use super::super::shown;
use std::collections::BTreeMap;

/// Servers of one answer.
const ROW_COUNT_MAX: usize = 4_096;
/// Fields of one row.
const FIELD_COUNT_MAX: usize = 256;

/// Status by backend and server: `UP`, `DOWN`, `MAINT`, `UP 1/3`, `no check`.
pub(in super::super) fn states(answer: &str) -> BTreeMap<(String, String), String> {
    let mut lines = answer.lines();
    let head = lines.find(|line| line.starts_with('#')).unwrap_or_default();
    let names: Vec<&str> = head.trim_start_matches(['#', ' ']).split(',').take(FIELD_COUNT_MAX).collect();
    let at = |name: &str| names.iter().position(|field| *field == name);
    let (Some(backend), Some(server), Some(status)) = (at("pxname"), at("svname"), at("status")) else {
        return BTreeMap::new();
    };
    lines
        .take(ROW_COUNT_MAX)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').take(FIELD_COUNT_MAX).collect();
            let field = |at: usize| fields.get(at).map(|text| shown(text));
            Some(((field(backend)?, field(server)?), field(status)?))
        })
        .filter(|((_, server), status)| {
            !matches!(server.as_str(), "FRONTEND" | "BACKEND" | "") && !status.is_empty()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_status_of_each_server_is_read() {
        let answer =
            "# pxname,svname,qcur,status,\nweb,FRONTEND,,OPEN,\napps,app1,0,UP,\napps,app2,0,DOWN,\n\n";
        let states = states(answer);
        assert_eq!(states.len(), 2);
        assert_eq!(states[&("apps".to_owned(), "app2".to_owned())], "DOWN");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            let _ = states(&text);
            let _ = states(&format!("# pxname,svname,status\n{text}"));
        }
    }
}
