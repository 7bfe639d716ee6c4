//! Requests that only scanners make: files nobody links to, ways out of the root, other people's commands.

use aho_corasick::AhoCorasick;
use std::sync::OnceLock;

/// The longest part of a request that is looked through, in bytes.
const TARGET_BYTES_MAX: usize = 4096;

/// Parts of requests in small letters. Names of one product only where a scan for it is a plague.
const WORDS: &[&str] = &[
    // Secrets and sources left behind.
    "/.env",
    "/.git",
    "/.svn",
    "/.hg/",
    "/.aws",
    "/.ssh",
    "/.bash",
    "/.htpasswd",
    "/.htaccess",
    "/.ds_store",
    "/.npmrc",
    "/.docker",
    "/.kube",
    "/.vscode",
    "/.cvs",
    "/.forward",
    "/.config",
    "/.cache",
    "/.history",
    "/.netrc",
    "/.passwd",
    "/id_rsa",
    "/wp-config",
    "/config.php.",
    "/web.config",
    "/backup.zip",
    "/backup.sql",
    "/dump.sql",
    "/db.sql",
    "/database.sql",
    "/credentials",
    "/secrets.",
    "/docker-compose",
    "/server-status",
    "/phpinfo",
    "/info.php",
    // Ways out of the root, encoded once or twice.
    "../",
    "..\\",
    "..%2f",
    "..%5c",
    "%2e%2e",
    ".%2e/",
    "%2e./",
    "%252e",
    "%c0%ae",
    "%2fetc%2f",
    "/etc/passwd",
    "etc/shadow",
    "win.ini",
    "/proc/self",
    "/bin/sh",
    "cmd.exe",
    // Commands, scripts and queries.
    "${jndi",
    "%24%7bjndi",
    "<script",
    "%3cscript",
    "javascript:",
    "javascript%3a",
    "onerror=",
    "alert(",
    "prompt(",
    "alert%2",
    "prompt%2",
    "union+select",
    "union%20select",
    "union select",
    "sleep(",
    "' or '",
    "%27%20or",
    "information_schema",
    "xp_cmdshell",
    "wget+",
    "wget%20",
    "wget http",
    "curl+http",
    "chmod+",
    "base64_decode",
    "call_user_func",
    "allow_url_include",
    "eval(",
    "eval-stdin",
    "system(",
    "<?php",
    "%3c?php",
    // Consoles and old holes.
    "/phpmyadmin",
    "/pma/",
    "/myadmin",
    "/adminer",
    "/cgi-bin/",
    "/boaform",
    "/hnap1",
    "/manager/html",
    "/solr/admin",
    "/actuator/",
    "/jmx-console",
    "/_ignition",
    "/vendor/phpunit",
    "/thinkphp",
    "invokefunction",
    "/struts",
    "/owa/auth",
    "/autodiscover/",
    "/ecp/",
    "/wp-content/plugins/",
    "/wp-admin/",
    "/xmlrpc.php",
    "/wlwmanifest.xml",
    "/setup.cgi",
    "/shell",
    "_shell.php",
    "/c99.php",
    "/r57.php",
    "/webshell",
    "/invoker/",
    "/axis2",
    "/console/login",
    "/remote/login",
    "/dana-na/",
    "/vpn/",
    "/geoserver",
    "/druid/",
    "/nacos/",
    "/evox/",
    "/sdk",
    "/jenkins/script",
    "/telescope/",
    "?author=",
];

/// Whether a request target, its query included, asks for one of them.
pub fn asks(target: &str) -> bool {
    static FINDER: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let finder = FINDER.get_or_init(|| AhoCorasick::builder().ascii_case_insensitive(true).build(WORDS).ok());
    let target = &target.as_bytes()[..target.len().min(TARGET_BYTES_MAX)];
    finder.as_ref().is_some_and(|finder| finder.is_match(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_scanners_ask_for_is_told_from_what_people_ask_for() {
        for target in [
            "/.env",
            "/x?p=../../etc/passwd",
            "/%2E%2E/%2e%2e/",
            "/?x=${jndi:ldap://a}",
            "/WP-Config.php.bak",
        ] {
            assert!(asks(target), "{target}");
        }
        for target in [
            "/",
            "/index.html",
            "/search?q=shoes",
            "/wp-content/uploads/a.jpg",
            "/api/v1/login",
            "/robots.txt",
        ] {
            assert!(!asks(target), "{target}");
        }
    }
}
