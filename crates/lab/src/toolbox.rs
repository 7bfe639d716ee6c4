//! The toolbox netwhy replaces: dig, mtr, nmap, curl and openssl, run one after the other as a user would.
//!
//! [`tools`] says what a user types for a target, [`signs`] what a reader can take from the output, and
//! [`compare`] counts how many faults those signs could have told apart.

mod compare;
mod normal;

pub use compare::{Comparison, Reader, compare, facts};
pub use normal::signs;

use netwhy_model::{Host, Scheme, Target};
use serde::{Deserialize, Serialize};

/// Further ports nmap looks at.
const OTHER_PORTS: [u16; 4] = [22, 80, 443, 8080];
/// What one tool may take, in seconds; openssl and testssl.sh have limits of their own.
const TOOL_S_MAX: u32 = 20;
/// When a user gives openssl up, in seconds: as long as curl is given.
const OPENSSL_S_MAX: u32 = 10;
/// What testssl.sh may take, in seconds.
const TESTSSL_S_MAX: u32 = 180;
/// The times and sizes curl tells at its end.
const CURL_FORMAT: &str = "\\nphases name=%{time_namelookup} connect=%{time_connect} tls=%{time_appconnect} \
                           first=%{time_starttransfer} all=%{time_total} bytes=%{size_download} \
                           redirects=%{num_redirects}\\n";

/// How much of the toolbox is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Toolbox {
    #[default]
    None,
    Usual,
    /// With testssl.sh, which takes a minute and more.
    Testssl,
}

/// One tool, and the shell line a user types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub line: String,
}

/// One run of a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRun {
    pub name: String,
    /// Wall-clock time, in milliseconds.
    pub wall_ms: u64,
    /// What is left of its output when addresses, names, times and numbers are taken out; sorted, each once.
    pub signs: Vec<String>,
}

/// What a user of the toolbox types for this target; `args` are those netwhy would get.
///
/// Each line is for bash. `exists` tells which programs this machine has. Nothing for a target that is no target.
pub fn tools(target: &str, args: &[String], which: Toolbox, exists: &dyn Fn(&str) -> bool) -> Vec<Tool> {
    let Ok(target) = target.parse::<Target>() else { return Vec::new() };
    if which == Toolbox::None {
        return Vec::new();
    }
    let mut tools = Vec::new();
    let mut add = |name: &str, line: String| {
        if exists(name) {
            let limit = match name {
                "testssl" => TESTSSL_S_MAX,
                "openssl" => OPENSSL_S_MAX,
                _ => TOOL_S_MAX,
            };
            tools.push(Tool { name: name.into(), line: format!("timeout {limit} {line}") });
        }
    };
    for kind in target.name().map_or(&[][..], |_| &["A", "AAAA"]) {
        add("dig", format!("dig +search +time=2 +tries=1 {} {kind}", bare(&target)));
    }
    if target.scheme == Scheme::Dns {
        return tools;
    }
    let family = family(&target, args);
    if exists("mtr") {
        add("mtr", format!("mtr {family} -r -n -c 3 {}", bare(&target)));
    } else {
        add("traceroute", format!("traceroute {family} -n -w 1 -q 1 {}", bare(&target)));
    }
    add("nmap", nmap(&target, family));
    curl(&target, args, family).into_iter().for_each(|line| add("curl", line));
    if target.scheme.uses_tls() {
        let name = target.name().map(|name| format!("-servername {name}")).unwrap_or_default();
        let connect = target.authority();
        let limit = if limits_tls(args) { "-tls1_2" } else { "" };
        add("openssl", format!("openssl s_client -connect {connect} {name} {limit} </dev/null"));
        if which == Toolbox::Testssl {
            add("testssl", format!("testssl --quiet --color 0 --warnings batch {connect} </dev/null"));
        }
    }
    tools
}

/// `-4` or `-6` where the user or the target says so.
fn family(target: &Target, args: &[String]) -> &'static str {
    let asks_for = |flag: &str| args.iter().any(|arg| arg == flag);
    match target.host {
        Host::Address(address) if address.is_ipv6() => "-6",
        Host::Address(_) => "-4",
        Host::Name(_) if asks_for("-6") => "-6",
        Host::Name(_) if asks_for("-4") => "-4",
        Host::Name(_) => "",
    }
}

fn nmap(target: &Target, family: &str) -> String {
    // nmap takes no -4: it is the rule.
    let family = family.replace("-4", "");
    let host = bare(target);
    if target.scheme == Scheme::Udp {
        return format!("nmap {family} -Pn -sU --reason --host-timeout 10s -p {} {host}", target.port);
    }
    let others = OTHER_PORTS.iter().filter(|port| **port != target.port).map(u16::to_string);
    let ports: Vec<String> = std::iter::once(target.port.to_string()).chain(others).collect();
    format!("nmap {family} -Pn --reason --host-timeout 10s -p {} {host}", ports.join(","))
}

/// The request, and the same to each origin.
fn curl(target: &Target, args: &[String], family: &str) -> Vec<String> {
    let mut start = format!("curl {family} -sS -v --max-time 10 -w '{CURL_FORMAT}'");
    if target.scheme == Scheme::Udp {
        return Vec::new();
    }
    if !target.scheme.uses_http() {
        return vec![format!("{start} telnet://{} </dev/null", target.authority())];
    }
    start.push_str(" --compressed");
    if limits_tls(args) {
        start.push_str(" --tls-max 1.2");
    }
    for header in values(args, "--header") {
        start.push_str(&format!(" -H '{}'", header.replace('\'', "")));
    }
    for method in values(args, "--method").take(1) {
        start.push_str(&format!(" -X {method}"));
    }
    let body = values(args, "--body-bytes").next();
    if body.is_some() {
        start.push_str(" --data-binary @-");
    }
    let fed = body.map(|size| format!(" < <(head -c {size} /dev/zero)")).unwrap_or_default();
    let mut lines = vec![format!("{start} '{target}'{fed}")];
    for origin in values(args, "--origin") {
        lines.push(format!("{start} --connect-to '::{origin}' '{target}'{fed}"));
    }
    lines
}

/// Whether the client shall be no newer than TLS 1.2.
fn limits_tls(args: &[String]) -> bool {
    values(args, "--expect").any(|expect| expect == "tls-max=1.2")
}

fn values<'a>(args: &'a [String], option: &'a str) -> impl Iterator<Item = &'a str> {
    args.windows(2).filter(move |pair| pair[0] == option).map(|pair| pair[1].as_str())
}

fn bare(target: &Target) -> String {
    match &target.host {
        Host::Name(name) => name.clone(),
        Host::Address(address) => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(target: &str, args: &[&str]) -> Vec<String> {
        let args: Vec<String> = args.iter().map(|&arg| arg.into()).collect();
        tools(target, &args, Toolbox::Usual, &|_| true).into_iter().map(|tool| tool.line).collect()
    }

    #[test]
    fn a_web_target_takes_the_whole_toolbox() {
        let lines = lines("https://shop.example.test/", &["--origin", "10.61.80.80:8080"]);
        let programs: Vec<&str> = lines.iter().filter_map(|line| line.split_whitespace().nth(2)).collect();
        assert_eq!(programs, ["dig", "dig", "mtr", "nmap", "curl", "curl", "openssl"]);
        assert!(lines[5].contains("--connect-to '::10.61.80.80:8080'"), "{}", lines[5]);
    }

    #[test]
    fn an_address_needs_no_dig_and_tcp_no_openssl() {
        let lines = lines("tcp://[fd61::1]:2100", &[]);
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("nmap -6 ") && lines[1].contains("-p 2100,22,80,443,8080 fd61::1"));
        assert!(lines[2].contains("telnet://[fd61::1]:2100"));
    }

    #[test]
    fn nothing_without_programs_or_a_target() {
        assert!(tools("https://a.test/", &[], Toolbox::Usual, &|_| false).is_empty());
        assert!(tools("https://a.test:0/", &[], Toolbox::Usual, &|_| true).is_empty());
        assert!(tools("https://a.test/", &[], Toolbox::None, &|_| true).is_empty());
    }
}
