//! Names that fit a pattern, as files are included and listeners choose requests.

/// Whether a name fits a pattern, in which `*` is any part of it and `?` any one byte; in time of their product at most.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((before, from)) = star else { return false };
                star = Some((before, from + 1));
                (at, seen) = (before + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_are_any_part_and_question_marks_one_byte() {
        for (pattern, name, fitting) in [
            ("/api/*", "/api/", true),
            ("/api/*", "/api", false),
            ("/API/*", "/api/x", false),
            ("*/img/*.p?g", "/a/img/b/c.png", true),
            ("*/img/*.p?g", "/a/img/b/c.pg", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "example.com", false),
            ("**", "", true),
            ("", "", true),
            ("?", "", false),
        ] {
            assert_eq!(fits(pattern, name), fitting, "{pattern} {name}");
        }
    }
}
