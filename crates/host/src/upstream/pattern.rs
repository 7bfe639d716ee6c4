//! File name patterns as a shell has them: `*`, `?`, `[a-z]`. Pure.

/// Steps of one comparison, lest a hostile pattern take long.
const STEP_COUNT_MAX: usize = 20_000;

/// True when the name fits the pattern; a leading dot must be written.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut here) = (0, 0);
    // Where to go on when a star has to take one letter more.
    let mut again: Option<(usize, usize)> = None;
    for _ in 0..STEP_COUNT_MAX {
        if here == name.len() {
            return pattern.get(at..).is_some_and(|rest| rest.iter().all(|letter| *letter == '*'));
        }
        match one(&pattern, at, name[here]) {
            Step::Star => {
                again = Some((at + 1, here));
                at += 1;
            }
            Step::Fits(next) => {
                at = next;
                here += 1;
            }
            Step::Differs => match again {
                Some((after, taken)) => {
                    again = Some((after, taken + 1));
                    (at, here) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    false
}

enum Step {
    Star,
    /// The letter fits; the pattern goes on here.
    Fits(usize),
    Differs,
}

fn one(pattern: &[char], at: usize, letter: char) -> Step {
    match pattern.get(at) {
        Some('*') => Step::Star,
        Some('?') => Step::Fits(at + 1),
        Some('[') => class(pattern, at, letter),
        Some('\\') if pattern.get(at + 1) == Some(&letter) => Step::Fits(at + 2),
        Some(own) if *own == letter => Step::Fits(at + 1),
        _ => Step::Differs,
    }
}

/// `[abc]`, `[a-z]`, `[!a]`; without its end a bracket is a bracket.
fn class(pattern: &[char], at: usize, letter: char) -> Step {
    let not = matches!(pattern.get(at + 1), Some('!' | '^'));
    let begin = at + 1 + usize::from(not);
    // A closing bracket that comes first belongs to the class.
    let length = pattern.get(begin + 1..).and_then(|rest| rest.iter().position(|letter| *letter == ']'));
    let Some(end) = length.map(|length| begin + 1 + length) else {
        return if letter == '[' { Step::Fits(at + 1) } else { Step::Differs };
    };
    let inside = &pattern[begin..end];
    let mut fits = false;
    let mut place = 0;
    while place < inside.len() {
        if let (Some('-'), Some(last)) = (inside.get(place + 1), inside.get(place + 2)) {
            fits |= (inside[place]..=*last).contains(&letter);
            place += 3;
        } else {
            fits |= inside[place] == letter;
            place += 1;
        }
    }
    if fits != not { Step::Fits(end + 1) } else { Step::Differs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_a_shell_does() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*", ".hidden", false),
            ("s?te*", "site.d", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("a*b*c", "aXbYbc", true),
            ("*a", "", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends(pattern in "[*?\\[\\]!a-c\\\\-]{0,40}", name in "[a-c\\]-]{0,60}", any in any::<String>()) {
            let _ = matches(&pattern, &name);
            let _ = matches(&any, &any);
            prop_assert!(matches("*", &name) || name.starts_with('.'));
            prop_assert!(matches(&name.replace(']', "\\]"), &name));
        }
    }
}
