//! What a file is, told by what stands in it.

use super::Source;
use crate::space::Family;
use crate::terraform;

/// Lines looked at to tell what a text is.
const HEAD_LINE_COUNT: usize = 400;
/// The start of a JSON text that is looked at, in characters.
const HEAD_CHARS: usize = 4_096;

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Nft,
    NftJson,
    /// iptables-save or a script of commands, of IPv6 when its name or content says so.
    Xtables(Family),
    Ipset,
    /// Terraform, in files or as a plan.
    Terraform,
    /// JSON of a cloud, of Kubernetes or of a zero-trust policy.
    Json,
    Yaml,
    Nginx,
    Haproxy,
    /// Read by other commands: rules of web firewalls, intents.
    Other,
    Unknown,
}

/// Whether a line shows what its file is, and what it then is.
type Sign = (fn(&str) -> bool, Form);

/// The first of these that any line shows counts.
const SIGNS: [Sign; 11] = [
    (|line| ["*filter", "*nat", "*mangle", "*raw", "*security"].contains(&line), Form::Xtables(Family::V4)),
    (|line| line == "flush ruleset" || line.starts_with("table ") && line.contains('{'), Form::Nft),
    (nft_command, Form::Nft),
    (
        |line| line.contains("iptables ") || line.contains("ip6tables ") || line.starts_with("-A "),
        Form::Xtables(Family::V4),
    ),
    (|line| begins(line, &["create", "add", "Name:"]), Form::Ipset),
    (|line| begins(line, &["SecRule", "SecAction", "SecRuleEngine", "SecMarker"]), Form::Other),
    (|line| line.starts_with("[[intent]]"), Form::Other),
    (|line| line.starts_with("apiVersion:"), Form::Yaml),
    (haproxy_section, Form::Haproxy),
    (nginx_block, Form::Nginx),
    (|line| line == "---", Form::Yaml),
];

pub(super) fn form(source: &Source) -> Form {
    let text = source.text.trim_start_matches('\u{feff}').trim_start();
    let name = source.file.rsplit('/').next().unwrap_or_default();
    if terraform::is_terraform(&source.file, &source.text) {
        return Form::Terraform;
    }
    if text.starts_with(['{', '[']) && !text.starts_with("[[") {
        let head: String = text.chars().take(HEAD_CHARS).collect();
        return if head.contains("\"nftables\"") { Form::NftJson } else { Form::Json };
    }
    if text.starts_with("#!") && text.lines().next().is_some_and(|line| line.contains("nft")) {
        return Form::Nft;
    }
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .take(HEAD_LINE_COUNT)
        .collect();
    let six = name.contains("ip6") || name.contains("6tables") || name.ends_with(".v6");
    match SIGNS.iter().find(|(shows, _)| lines.iter().any(|line| shows(line))) {
        Some((_, Form::Xtables(_))) if six => Form::Xtables(Family::V6),
        Some((_, form)) => *form,
        None if name.ends_with(".yaml") || name.ends_with(".yml") => Form::Yaml,
        None => Form::Unknown,
    }
}

/// Whether a line begins with one of these whole words.
fn begins(line: &str, words: &[&str]) -> bool {
    line.split_whitespace().next().is_some_and(|first| words.contains(&first))
}

/// A command of nft outside of a block: `add rule inet filter input …`.
fn nft_command(line: &str) -> bool {
    let line = line.strip_prefix("nft ").unwrap_or(line);
    let mut words = line.split_whitespace();
    let verb = words.next().is_some_and(|word| ["add", "create", "insert", "replace"].contains(&word));
    let objects = ["rule", "table", "chain", "set", "map", "element"];
    let object = words.next().is_some_and(|word| objects.contains(&word));
    verb && object || line.starts_with("define ") && line.contains('=')
}

fn haproxy_section(line: &str) -> bool {
    begins(line, &["frontend", "backend", "listen", "defaults", "global"]) && !line.contains(['{', ';'])
}

fn nginx_block(line: &str) -> bool {
    begins(line, &["server", "upstream", "http", "events", "location", "stream"]) && line.contains('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_its_content() {
        let told = |name: &str, text: &str| form(&Source { file: name.into(), text: text.to_owned() });
        assert_eq!(told("a", "# saved\n*filter\n:INPUT DROP [0:0]\n"), Form::Xtables(Family::V4));
        assert_eq!(told("rules.v6", "*filter\n"), Form::Xtables(Family::V6));
        assert_eq!(told("a", "table inet filter {\n}\n"), Form::Nft);
        assert_eq!(told("a", "add rule inet filter input accept\n"), Form::Nft);
        assert_eq!(told("a", "create office hash:net family inet\n"), Form::Ipset);
        assert_eq!(told("a", "http {\n  server { listen 80; }\n}\n"), Form::Nginx);
        assert_eq!(told("a", "global\n  maxconn 10\nbackend b\n  server s 10.0.0.1:80\n"), Form::Haproxy);
        assert_eq!(told("a", "apiVersion: v1\nkind: Pod\n"), Form::Yaml);
        assert_eq!(told("a", "[[intent]]\nname = \"x\"\n"), Form::Other);
        assert_eq!(told("a", "{\"nftables\": []}"), Form::NftJson);
        assert_eq!(told("notes.txt", "hello\n"), Form::Unknown);
    }
}
