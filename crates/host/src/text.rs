//! Makes text from the machine safe to show: no control characters, bounded, secrets left out.

/// A command line is cut past this.
const COMMAND_BYTES_MAX: usize = 240;
/// Arguments looked at.
const ARGUMENT_COUNT_MAX: usize = 256;
/// Schemes of an Authorization header; the secret follows.
const AUTH_SCHEMES: [&str; 3] = ["bearer", "basic", "digest"];
/// What stands where a secret was.
const HIDDEN: &str = "***";
/// Words that, as a name before `=` or as an option, are followed by a secret.
const SECRET_WORDS: [&str; 19] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "pass",
    "pwd",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "auth",
    "authorization",
    "credential",
    "credentials",
    "private-key",
    "requirepass",
    "masterauth",
    "access-key",
];
/// Endings of option names that mean the same: `--db-password`, `REDIS_TOKEN=`.
const SECRET_ENDINGS: [&str; 8] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key"];

/// Replaces what could move a cursor or turn the writing direction, and cuts past so many bytes.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(bytes_max));
    for letter in text.chars() {
        let letter = if letter == '\t' || is_unsafe(letter) { ' ' } else { letter };
        if out.len() + letter.len_utf8() > bytes_max {
            out.push('…');
            break;
        }
        out.push(letter);
    }
    out.truncate(out.trim_end().len());
    out
}

/// C0, C1, DEL, line and paragraph separators, bidirectional controls, the byte order mark.
pub(crate) fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}')
}

/// Writes a command line from its zero-separated arguments, secrets left out.
pub(crate) fn command_line(arguments: &str) -> String {
    let mut out = String::new();
    let mut hide_next = false;
    for argument in arguments.split('\0').filter(|a| !a.is_empty()).take(ARGUMENT_COUNT_MAX) {
        if out.len() > COMMAND_BYTES_MAX {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        // A process may write its whole title into the first argument; such words are looked at one by one.
        for (at, word) in argument.split(' ').enumerate() {
            if at > 0 {
                out.push(' ');
            }
            let is_scheme = AUTH_SCHEMES.contains(&word.to_ascii_lowercase().as_str());
            if hide_next && !word.is_empty() && !is_scheme {
                out.push_str(HIDDEN);
                hide_next = false;
            } else {
                out.push_str(&without_secret(word));
                hide_next |= is_scheme || announces_secret(word);
            }
        }
    }
    printable(&out, COMMAND_BYTES_MAX)
}

/// Hides the value of `password=x`, `--token=x`, `user:pw@host`, `Bearer`-like header values.
fn without_secret(word: &str) -> String {
    let word = without_url_secret(word);
    if let Some((name, value)) = word.split_once('=')
        && !value.is_empty()
        && is_secret_name(name)
    {
        return format!("{name}={HIDDEN}");
    }
    // mysql's and sshpass' habit: -pSECRET.
    if let Some(value) = word.strip_prefix("-p")
        && value.len() >= 6
        && !value.bytes().all(|b| b.is_ascii_digit())
        && value.bytes().any(|b| !b.is_ascii_lowercase() && !b"-_=/.:,".contains(&b))
    {
        return format!("-p{HIDDEN}");
    }
    word
}

/// `scheme://user:pw@host` keeps user and host.
fn without_url_secret(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:{HIDDEN}@{host}{path}")
        }
        None => word.to_owned(),
    }
}

fn announces_secret(word: &str) -> bool {
    let name = word.trim_end_matches(':');
    let is_option = word.starts_with('-') && !word.contains('=');
    (is_option || word.ends_with(':')) && is_secret_name(name)
}

fn is_secret_name(name: &str) -> bool {
    let bare = name.trim_start_matches('-').to_ascii_lowercase();
    // `--flag.name`, `;Pwd`, `?token`: what stands last counts.
    let last = bare.rsplit([';', '?', '&', '.', '"', '\'']).next().unwrap_or(&bare);
    SECRET_WORDS.contains(&last) || SECRET_ENDINGS.iter().any(|end| last.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_stay_out() {
        for (given, shown) in [
            ("mysql\0-u\0root\0--password=hunter2", "mysql -u root --password=***"),
            ("app\0--pass\0hunter2\0--port\080", "app --pass *** --port 80"),
            ("curl\0http://me:hunter2@host/x", "curl http://me:***@host/x"),
            ("env\0DB_PASSWORD=hunter2\0app", "env DB_PASSWORD=*** app"),
            ("mysql\0-pHunter2!", "mysql -p***"),
            ("nginx: worker process\0\0\0", "nginx: worker process"),
            ("curl\0-H\0Authorization: Bearer abc", "curl -H Authorization: Bearer ***"),
            ("redis\0--requirepass\0x", "redis --requirepass ***"),
        ] {
            assert_eq!(command_line(given), shown);
        }
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\td\n", 80), "a [2Jb c d");
        assert_eq!(printable("häuser", 2), "h…");
    }

    proptest! {
        #[test]
        fn any_text_is_bounded_and_safe(text in any::<String>(), most in 0_usize..100) {
            let safe = printable(&text, most);
            prop_assert!(safe.len() <= most + '…'.len_utf8());
            prop_assert!(!safe.chars().any(is_unsafe));
            let line = command_line(&text);
            prop_assert!(line.len() <= COMMAND_BYTES_MAX + 3 && !line.chars().any(is_unsafe));
        }

        #[test]
        fn a_named_secret_never_shows(secret in "[A-Za-z0-9]{8,20}", at in 0_usize..SECRET_WORDS.len()) {
            let word = SECRET_WORDS[at];
            for text in [format!("x\0--{word}={secret}"), format!("x\0--{word}\0{secret}"), format!("{word}={secret}")] {
                prop_assert!(!command_line(&text).contains(&secret));
            }
        }
    }
}
