//! "Did you mean" for the closed lists of names in files of configuration.

/// Least similarity, 0 to 1, at which a name is worth suggesting.
const SIMILARITY_MIN: f64 = 0.7;

/// The known name nearest to what was written, if any is near enough.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let similar = known.iter().map(|name| (strsim::jaro_winkler(written, name), *name));
    let near = similar.filter(|(similarity, _)| *similarity >= SIMILARITY_MIN);
    near.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// What is wrong with an unknown name, in English and Chinese: with the nearest name, else with all of them.
pub fn unknown(written: &str, known: &[&str]) -> (String, String) {
    match nearest(written, known) {
        Some(near) => (
            format!("{written:?} is not known; did you mean {near:?}?"),
            format!("{written:?} 不认识；是否想写 {near:?}？"),
        ),
        None => {
            let all = known.join(", ");
            (
                format!("{written:?} is not known; known are {all}"),
                format!("{written:?} 不认识；可用的有 {all}"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        assert_eq!(nearest("form", &["from", "to"]), Some("from"));
        assert_eq!(nearest("zzz", &["from", "to"]), None);
        assert!(unknown("form", &["from", "to"]).0.ends_with("did you mean \"from\"?"));
    }
}
