//! libwrap: a rule of hosts.deny that names the client and the program behind the port, where none of hosts.allow
//! lets it in first (hosts_access(5)).

use super::firewall::within;
use super::join::Join;
use netwhy_model::host::Record;
use std::net::IpAddr;

/// The line of hosts.deny that refuses this client, from what the host's own judge found.
pub(super) fn refuses(far: &Record, join: &Join) -> Option<String> {
    let clients: Vec<IpAddr> = join.got().iter().map(|(client, _)| client.ip()).collect();
    let port = join.port(far);
    let pids: Vec<u32> = far
        .listeners
        .iter()
        .filter(|l| l.address.port() == port)
        .flat_map(|l| l.pids.iter().copied())
        .collect();
    let programs: Vec<&str> =
        far.processes.iter().filter(|p| pids.contains(&p.pid)).map(|p| p.name.as_str()).collect();
    let found = far.findings.iter().filter(|f| f.cause == "policy.app.access_control");
    let lines: Vec<&String> = found.flat_map(|f| &f.proof).collect();
    refusing(&lines, &programs, &clients).cloned()
}

/// hosts.allow is asked first; who stands in neither is let in.
fn refusing<'l>(lines: &[&'l String], programs: &[&str], clients: &[IpAddr]) -> Option<&'l String> {
    let mut allowed = lines.iter().filter_map(|line| rule(line, "hosts.allow"));
    // An option may turn a line of hosts.allow round.
    if allowed.any(|rule| !rule.trim_end().ends_with("deny") && names(rule, programs, clients)) {
        return None;
    }
    lines.iter().copied().find(|line| rule(line, "hosts.deny").is_some_and(|r| names(r, programs, clients)))
}

/// The rule in `hosts.deny sshd, vsftpd: 10.0.0.1 10.2.0.0/255.255.0.0 192.0.2. [2001:db8::1], /etc/hosts.deny`.
fn rule<'l>(line: &'l str, file: &str) -> Option<&'l str> {
    let rule = line.strip_prefix(file)?.strip_prefix(' ')?;
    Some(rule.strip_suffix(file).and_then(|rest| rest.strip_suffix(", /etc/")).unwrap_or(rule))
}

fn names(rule: &str, programs: &[&str], clients: &[IpAddr]) -> bool {
    let Some((daemons, rest)) = rule.split_once(':') else { return false };
    let word = |c: char| c == ',' || c.is_whitespace();
    let daemon = |name: &str| name == "ALL" || programs.contains(&name.split('@').next().unwrap_or(name));
    if !daemons.split(word).filter(|name| !name.is_empty()).any(daemon) {
        return false;
    }
    let patterns = rest.split(" :").next().unwrap_or(rest).split(word).filter(|pattern| !pattern.is_empty());
    // What stands behind EXCEPT is meant the other way round; the list before it decides in nearly every file.
    let patterns: Vec<&str> = patterns.take_while(|pattern| *pattern != "EXCEPT").collect();
    clients.iter().any(|client| patterns.iter().any(|pattern| fits(pattern, *client)))
}

fn fits(pattern: &str, client: IpAddr) -> bool {
    let bare = pattern.replace(['[', ']'], "");
    bare == "ALL" || within(&bare, client) || bare.ends_with('.') && client.to_string().starts_with(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_refuses_whom_it_names() {
        let clients = ["10.2.3.4".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        for (line, refuses) in [
            ("hosts.deny sshd: 10.2.3.4, /etc/hosts.deny", true),
            ("hosts.deny ALL: ALL, /etc/hosts.deny", true),
            ("hosts.deny vsftpd sshd: 10.2.0.0/255.255.0.0, /etc/hosts.deny", true),
            ("hosts.deny sshd: [2001:db8::]/32, /etc/hosts.deny", true),
            ("hosts.deny sshd: 10.2., /etc/hosts.deny", true),
            ("hosts.deny vsftpd: 10.2.3.4, /etc/hosts.deny", false),
            ("hosts.deny sshd: 10.3.0.0/16 192.0.2.1, /etc/hosts.deny", false),
            ("hosts.deny sshd: 10.3.0.0/99 EXCEPT 10.2.3.4, /etc/hosts.deny", false),
        ] {
            assert_eq!(refusing(&[&line.to_owned()], &["sshd"], &clients).is_some(), refuses, "{line}");
        }
    }

    #[test]
    fn who_is_allowed_first_is_not_refused() {
        let clients = ["10.2.3.4".parse().unwrap()];
        let deny = "hosts.deny ALL: ALL, /etc/hosts.deny".to_owned();
        for (allow, refused) in [
            ("hosts.allow sshd: 10., /etc/hosts.allow", false),
            ("hosts.allow ALL: 10.2.0.0/16, /etc/hosts.allow", false),
            ("hosts.allow vsftpd: 10., /etc/hosts.allow", true),
            ("hosts.allow sshd: 192.0.2.1, /etc/hosts.allow", true),
            ("hosts.allow sshd: 10. : deny, /etc/hosts.allow", true),
        ] {
            let lines = [&deny, &allow.to_owned()];
            assert_eq!(refusing(&lines, &["sshd"], &clients).is_some(), refused, "{allow}");
        }
    }
}
