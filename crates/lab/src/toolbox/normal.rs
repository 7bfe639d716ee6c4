//! Takes out of a tool's output what differs from run to run and from network to network.
//!
//! What is left are signs: words, states, error numbers, versions. Two faults whose signs are the same cannot
//! be told apart by reading; two faults whose signs differ perhaps can.

use netwhy_model::Target;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Lines of a response body kept as signs.
const BODY_LINES_MAX: usize = 12;
/// Signs of one run.
const SIGNS_COUNT_MAX: usize = 400;
/// Characters of one sign.
const SIGN_CHARS_MAX: usize = 200;
/// Response headers that differ at each request.
const VOLATILE: [&str; 8] =
    ["date:", "etag:", "last-modified:", "set-cookie:", "expires:", "age:", "x-request-id:", "cf-ray:"];
/// Times are told as the first of these they stay below, in seconds.
const TIME_STEPS_S: [f64; 5] = [0.15, 0.6, 2.0, 5.0, 9.5];

/// The signs of one output of a tool run on `target`.
pub fn signs(tool: &str, output: &str, exit: i32, target: &str) -> Vec<String> {
    let target = target.parse::<Target>().ok();
    let port = target.as_ref().map_or(0, |target| target.port);
    let domain = target.as_ref().and_then(Target::name).map(domain).unwrap_or_default();
    let lines: Vec<String> = match tool {
        "dig" => output.lines().filter_map(dig).collect(),
        "mtr" => mtr(output),
        "nmap" => output.lines().filter_map(|line| nmap(line, port)).collect(),
        "curl" => curl(output),
        "openssl" => openssl(output),
        _ => output.lines().map(str::to_owned).collect(),
    };
    let mut signs: BTreeSet<String> =
        lines.iter().map(|line| plain(line, &domain)).filter(|line| !line.is_empty()).collect();
    signs.insert(format!("exit {exit}"));
    signs.into_iter().take(SIGNS_COUNT_MAX).collect()
}

/// The last two labels: all names of one network end in them.
fn domain(name: &str) -> String {
    let labels: Vec<&str> = name.rsplit('.').take(2).collect();
    labels.into_iter().rev().collect::<Vec<_>>().join(".")
}

fn dig(line: &str) -> Option<String> {
    let noise = [";; WHEN", ";; MSG SIZE", ";; SERVER", "; <<>>", ";; global", ";; Got answer"];
    if noise.iter().any(|start| line.starts_with(start)) || line.trim().is_empty() {
        return None;
    }
    if let Some(time) = line.strip_prefix(";; Query time: ") {
        let ms: f64 = time.split(' ').next()?.parse().ok()?;
        return Some(format!("query took {}", step(ms / 1000.0)));
    }
    // The identifier is chance; the status beside it is not.
    if let Some((head, _)) = line.split_once(", id:") {
        return Some(head.to_owned());
    }
    Some(line.replace("; COOKIE", "").trim().to_owned()).filter(|line| !line.starts_with(": "))
}

/// Each hop by its loss alone, the last one with its delay.
fn mtr(output: &str) -> Vec<String> {
    let hops: Vec<(&str, f64, f64)> = output.lines().filter_map(hop).collect();
    let mut lines: Vec<String> =
        output.lines().filter(|line| line.starts_with("mtr:")).map(str::to_owned).collect();
    let loss = |(who, loss, _): &(&str, f64, f64)| {
        let share = if *loss <= 0.0 {
            "none"
        } else if *loss >= 100.0 {
            "all"
        } else {
            "some"
        };
        let who = if *who == "???" { "silent" } else { "hop" };
        format!("{who} loses {share}")
    };
    lines.extend(hops.iter().rev().skip(1).map(loss));
    if let Some(last) = hops.last() {
        lines.push(format!("last {} within {}", loss(last), step(last.2 / 1000.0)));
    }
    lines
}

/// `  2.|-- 10.61.2.2   0.0%   3   0.1   0.1 …`: who, loss in percent, mean delay in milliseconds.
fn hop(line: &str) -> Option<(&str, f64, f64)> {
    let (_, rest) = line.split_once(".|--")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|word| word.trim_end_matches('%').parse().ok());
    Some((words.first()?, number(1)?, number(4).unwrap_or(0.0)))
}

fn nmap(line: &str, port: u16) -> Option<String> {
    let noise = ["Starting", "Nmap done", "Nmap scan report", "rDNS", "Other addresses", "PORT", "Service"];
    if noise.iter().any(|start| line.starts_with(start)) {
        return None;
    }
    if line.starts_with("Host is up") {
        return Some("host is up".into());
    }
    let Some((number, rest)) = line.split_once('/') else { return Some(line.to_owned()) };
    let role = match number.parse::<u16>() {
        Ok(number) if number == port => "target".to_owned(),
        Ok(number) => format!("p{number}"),
        Err(_) => return Some(line.to_owned()),
    };
    // `443/tcp open https syn-ack ttl 61`: the service is read from a list, the TTL is the network's.
    let words: Vec<&str> = rest.split_whitespace().collect();
    let reason = words.get(3).copied().unwrap_or("");
    Some(format!("{role} {} {reason}", words.get(1).copied().unwrap_or("")))
}

fn curl(output: &str) -> Vec<String> {
    let noise = ["> ", "{ [", "} [", "*   Trying", "*  start date", "*  expire date", "* Request", "* using"];
    let (mut kept, mut body) = (Vec::new(), 0);
    for line in output.lines() {
        let bare = line.trim_end();
        let told = bare.starts_with(['*', '<']) || bare.starts_with("curl: ") || bare.starts_with("phases ");
        if noise.iter().any(|start| line.starts_with(start)) || bare == ">" || bare.contains("(OUT)") {
            continue;
        }
        if let Some(header) = bare.strip_prefix("< ") {
            let lower = header.to_ascii_lowercase();
            if !VOLATILE.iter().any(|name| lower.starts_with(name)) {
                kept.push(bare.to_owned());
            }
        } else if let Some(phases) = bare.strip_prefix("phases ") {
            kept.extend(phases.split(' ').map(phase));
        } else if told {
            kept.push(bare.to_owned());
        } else if body < BODY_LINES_MAX {
            body += 1;
            kept.push(bare.trim().to_owned());
        }
    }
    kept
}

/// `first=0.203` → `first within 0.6 s`.
fn phase(word: &str) -> String {
    let Some((name, value)) = word.split_once('=') else { return word.to_owned() };
    match (name, value.parse::<f64>()) {
        ("bytes" | "redirects", Ok(number)) => {
            format!("{name} {}", if number > 0.0 { "some" } else { "none" })
        }
        (_, Ok(0.0)) => format!("{name} never"),
        (_, Ok(seconds)) => format!("{name} within {}", step(seconds)),
        (_, Err(_)) => word.to_owned(),
    }
}

fn step(seconds: f64) -> String {
    TIME_STEPS_S
        .iter()
        .find(|limit| seconds < **limit)
        .map_or("long".to_owned(), |limit| format!("{} ms", letters((limit * 1000.0) as u32)))
}

/// A number that [`plain`] leaves alone.
fn letters(number: u32) -> String {
    format!("t{number}")
}

fn openssl(output: &str) -> Vec<String> {
    let noise = [
        "Session-ID",
        "Master-Key",
        "Resumption PSK",
        "Start Time",
        "Timeout",
        "TLS session ticket",
        "PSK",
        "SRP",
        "SSL handshake has read",
        "Extended master",
        "Max Early",
        "---",
        "a:",
        "v:",
        "Post-Handshake",
        "Session",
        "notAfter",
        "notBefore",
    ];
    let (mut kept, mut inside) = (Vec::new(), false);
    for line in output.lines() {
        let bare = line.trim();
        inside |= bare.starts_with("-----BEGIN");
        let dump = bare.len() > 7 && bare[..4].bytes().all(|b| b.is_ascii_hexdigit()) && bare.contains(" - ");
        if !inside && !dump && !noise.iter().any(|start| bare.starts_with(start)) {
            // An error begins with the number of its thread.
            let told =
                bare.split_once(":error:").map_or(bare.to_owned(), |(_, rest)| format!("error:{rest}"));
            kept.push(told);
        }
        inside &= !bare.starts_with("-----END");
    }
    kept
}

/// Addresses, names, numbers, times and fingerprints replaced by what they are.
fn plain(line: &str, domain: &str) -> String {
    let telling = ["< HTTP/", "erify return code", "alert number", "verify error", "error:"];
    let keep_all = telling.iter().any(|part| line.contains(part));
    let mut out = String::new();
    let mut word = String::new();
    for c in line.chars().take(SIGN_CHARS_MAX).chain(['\n']) {
        if c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_') {
            word.push(c);
            continue;
        }
        // `curl: (7) … port 443`: the first number alone says what happened.
        let keep = keep_all || out == "curl: (";
        out.push_str(&one(&word, domain, keep));
        word.clear();
        out.push(c);
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn one(word: &str, domain: &str, keep_numbers: bool) -> String {
    let bare = word.trim_end_matches(['.', ':', ',', '-']);
    if bare.is_empty() {
        return word.to_owned();
    }
    if bare.parse::<IpAddr>().is_ok() || bare.parse::<SocketAddr>().is_ok() {
        return "ADDRESS".into();
    }
    let host = bare.split(':').next().unwrap_or(bare).to_ascii_lowercase();
    if !domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))) {
        return "NAME".into();
    }
    let digits = bare.bytes().any(|b| b.is_ascii_digit());
    let hex = bare.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'-');
    if bare == "0" || !digits || (keep_numbers && bare.len() <= 10) {
        return word.to_owned();
    }
    if (bare.len() >= 8 && hex) || bare.starts_with("0x") {
        return "HEX".into();
    }
    let unit = bare.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ':' | '-'));
    if unit.is_empty() || ["ms", "s", "K", "k", "M", "kB"].contains(&unit) && unit.len() < bare.len() {
        return "N".into();
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fault_elsewhere_gives_the_same_signs() {
        let here = "*   Trying 10.61.80.80:443...\n* connect to 10.61.80.80 port 443 failed: Connection refused\n\
                    curl: (7) Failed to connect to www.example.test port 443 after 12 ms: Couldn't connect to server\n\
                    \nphases name=0.003 connect=0.000 tls=0.000 first=0.000 all=0.012 bytes=0 redirects=0\n";
        let there = here.replace("10.61.80.80", "fd61::7").replace("www.", "shop.").replace("443", "8443");
        let signs = |text: &str| super::signs("curl", text, 7, "https://www.example.test/");
        assert_eq!(signs(here), signs(&there));
        assert!(signs(here).iter().any(|sign| sign.starts_with("curl: (7) Failed to connect to NAME")));
        assert_ne!(signs(here), signs(&here.replace("refused", "timed out")));
    }

    #[test]
    fn what_tells_faults_apart_stays() {
        let code = |code: u16| {
            super::signs("curl", &format!("< HTTP/1.1 {code} Bad\n< Date: Sun\n"), 0, "10.0.0.1:443")
        };
        assert_ne!(code(502), code(504));
        let alert = "40F7:error:0A000126:SSL routines::unexpected eof\nVerify return code: 10 (certificate has expired)";
        let signs = super::signs("openssl", alert, 1, "10.0.0.1:443");
        assert_eq!(
            signs,
            [
                "Verify return code: 10 (certificate has expired)",
                "error:0A000126:SSL routines::unexpected eof",
                "exit 1"
            ]
        );
        let port = super::signs("nmap", "443/tcp filtered https no-response", 0, "10.0.0.1:443");
        assert_eq!(port, ["exit 0", "target filtered no-response"]);
    }

    #[test]
    fn hops_count_by_loss() {
        let text =
            "HOST: a   Loss%   Snt\n  1.|-- 10.61.1.1  0.0%  3  0.1  0.1\n  2.|-- ???  100.0  3  0.0  0.0\n";
        let signs = super::signs("mtr", text, 0, "10.0.0.1:443");
        assert_eq!(signs, ["exit 0", "hop loses none", "last silent loses all within t150 ms"]);
    }

    #[test]
    fn a_time_keeps_its_order_of_magnitude() {
        assert_eq!(phase("all=10.001"), "all within long");
        assert_eq!(phase("tls=0.000000"), "tls never");
        assert_eq!(plain("Query 0 took 12 ms, 12ms (0x55a38acfe2b0)", ""), "Query 0 took N ms, N (HEX)");
    }
}
