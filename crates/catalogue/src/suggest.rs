//! "Did you mean": one helper for every closed list of names.

/// Least similarity, 0 to 1, at which a name is worth suggesting.
const SIMILARITY_MIN: f64 = 0.7;

/// The known name nearest to what was written, if any is near enough.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(written, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("tls.cert.expird", ["tls.cert.expired", "dns.slow"]), Some("tls.cert.expired"));
        assert_eq!(nearest("zzz", ["tls.cert.expired", "dns.slow"]), None);
    }
}
