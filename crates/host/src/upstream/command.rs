//! Which configuration a proxy was started with, by its command line. Pure; takes any text.

/// Words of one command line.
const WORD_COUNT_MAX: usize = 256;
/// Files named by one command line.
const FILE_COUNT_MAX: usize = 32;
/// What nginx' master calls itself, its arguments following.
const MASTER_TITLE: &str = "nginx: master process ";
/// Where nginx looks when nobody said otherwise, by who built it; tried in turn.
const NGINX_USUAL: [&str; 4] = [
    "/etc/nginx/nginx.conf",
    "/usr/local/nginx/conf/nginx.conf",
    "/usr/local/etc/nginx/nginx.conf",
    "/usr/local/openresty/nginx/conf/nginx.conf",
];
/// Prefixes nginx is built with, for a relative `-c` without `-p`; tried in turn.
const NGINX_PREFIXES: [&str; 4] =
    ["/usr/share/nginx", "/etc/nginx", "/usr/local/nginx", "/usr/local/openresty/nginx"];

/// Configuration files of an nginx, likeliest first; relative ones are relative to its working folder.
pub(super) fn nginx(arguments: &str, executable: &str) -> Vec<String> {
    let words = nginx_words(arguments);
    let option = |letter: char| option(&words, letter);
    // `…/nginx/sbin/nginx` was built with `…/nginx` as its prefix.
    let own = executable.strip_suffix("/sbin/nginx").filter(|prefix| prefix.ends_with("nginx"));
    match (option('c'), option('p')) {
        (Some(file), _) if file.starts_with('/') => vec![file],
        (Some(file), Some(prefix)) => vec![joined(&prefix, &file)],
        (Some(file), None) => {
            own.into_iter().chain(NGINX_PREFIXES).map(|prefix| joined(prefix, &file)).collect()
        }
        (None, Some(prefix)) => [format!("{}/conf/nginx.conf", prefix.trim_end_matches('/'))]
            .into_iter()
            .chain(NGINX_USUAL.map(str::to_owned))
            .collect(),
        (None, None) => own
            .map(|prefix| format!("{prefix}/conf/nginx.conf"))
            .into_iter()
            .chain(NGINX_USUAL.map(str::to_owned))
            .collect(),
    }
}

/// Configuration files and folders of a haproxy, in the order it reads them.
pub(super) fn haproxy(arguments: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folder = None;
    let mut words = arguments.split('\0').skip(1).take(WORD_COUNT_MAX).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "--" => files.extend(words.by_ref().map(str::to_owned)),
            "-f" => files.extend(words.next().map(str::to_owned)),
            "-C" => folder = words.next().map(str::to_owned),
            // Their values are no files of ours.
            "-L" | "-n" | "-m" | "-N" | "-p" | "-x" | "-S" => {
                words.next();
            }
            _ => {}
        }
    }
    files.truncate(FILE_COUNT_MAX);
    match folder {
        Some(folder) => files.into_iter().map(|file| joined(&folder, &file)).collect(),
        None => files,
    }
}

/// The arguments of a master, whose title has spaces between them, or of a process under its own command line.
fn nginx_words(arguments: &str) -> Vec<&str> {
    let first = arguments.split('\0').next().unwrap_or_default();
    let words: Box<dyn Iterator<Item = &str>> = match first.strip_prefix(MASTER_TITLE) {
        Some(title) => Box::new(title.split(' ')),
        None => Box::new(arguments.split('\0')),
    };
    words.filter(|word| !word.is_empty()).skip(1).take(WORD_COUNT_MAX).collect()
}

/// The value of `-c FILE` or `-cFILE`; the last one counts.
fn option(words: &[&str], letter: char) -> Option<String> {
    let mut found = None;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let Some(rest) = word.strip_prefix('-') else { continue };
        let Some(kind) = rest.chars().next().filter(|kind| "cpeg".contains(*kind)) else { continue };
        let glued = &rest[kind.len_utf8()..];
        let value = if glued.is_empty() { words.get(at).copied().unwrap_or_default() } else { glued };
        at += usize::from(glued.is_empty());
        if kind == letter && !value.is_empty() {
            found = Some(value.to_owned());
        }
        // Directives hold spaces: they go on until the next option.
        while kind == 'g' && words.get(at).is_some_and(|word| !word.starts_with('-')) {
            at += 1;
        }
    }
    found
}

fn joined(folder: &str, file: &str) -> String {
    if file.starts_with('/') { file.to_owned() } else { format!("{}/{file}", folder.trim_end_matches('/')) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nginx_says_where_its_file_is() {
        let of = |text: &str| nginx(text, "/usr/sbin/nginx").remove(0);
        assert_eq!(of("nginx: master process nginx -e error.log -p . -c nginx.conf"), "./nginx.conf");
        assert_eq!(
            of("nginx: master process /usr/sbin/nginx -g daemon off; master_process on; -c /a/b.conf"),
            "/a/b.conf"
        );
        assert_eq!(of("nginx\0-p\0/srv/edge/\0"), "/srv/edge/conf/nginx.conf");
        assert_eq!(of("nginx\0-c/x.conf\0"), "/x.conf");
        assert_eq!(of("nginx: master process /usr/sbin/nginx"), "/etc/nginx/nginx.conf");
        assert_eq!(nginx("nginx\0", "/opt/nginx/sbin/nginx")[0], "/opt/nginx/conf/nginx.conf");
        assert_eq!(nginx("nginx\0-c\0a.conf\0", "/usr/local/nginx/sbin/nginx")[0], "/usr/local/nginx/a.conf");
    }

    #[test]
    fn haproxy_says_where_its_files_are() {
        assert_eq!(haproxy("haproxy\0-db\0-f\0haproxy.cfg\0"), ["haproxy.cfg"]);
        assert_eq!(
            haproxy("haproxy\0-W\0-C\0/etc\0-f\0a\0-f\0/b\0-p\0/x.pid\0--\0c\0d\0"),
            ["/etc/a", "/b", "/etc/c", "/etc/d"]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>(), options in "(-[cpgexé]?| |\0|[a-z/;]){0,30}") {
            for text in [&text, &options, &format!("{MASTER_TITLE}{options}")] {
                let _ = (nginx(text, text), haproxy(text));
            }
        }
    }
}
