//! hosts.deny: a rule of libwrap that names the client and the program behind the port (hosts_access(5)).

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
    let names: Vec<&str> =
        far.processes.iter().filter(|p| pids.contains(&p.pid)).map(|p| p.name.as_str()).collect();
    let lines = far.findings.iter().filter(|f| f.cause == "policy.app.access_control").flat_map(|f| &f.proof);
    lines.filter(|line| line.starts_with("hosts.deny ")).find(|line| denies(line, &names, &clients)).cloned()
}

/// `hosts.deny sshd, vsftpd: 10.0.0.1 10.2.0.0/255.255.0.0 192.0.2. [2001:db8::1], /etc/hosts.deny`.
fn denies(line: &str, programs: &[&str], clients: &[IpAddr]) -> bool {
    let rule = line.trim_start_matches("hosts.deny ").trim_end_matches(", /etc/hosts.deny");
    let Some((daemons, rest)) = rule.split_once(':') else { return false };
    let word = |c: char| c == ',' || c.is_whitespace();
    let daemon = |name: &str| name == "ALL" || programs.contains(&name.split('@').next().unwrap_or(name));
    if !daemons.split(word).filter(|name| !name.is_empty()).any(daemon) {
        return false;
    }
    let patterns = rest.split(" :").next().unwrap_or(rest).split(word).filter(|pattern| !pattern.is_empty());
    // What stands behind EXCEPT is let in again; the list before it decides in nearly every file.
    let patterns: Vec<&str> = patterns.take_while(|pattern| *pattern != "EXCEPT").collect();
    clients.iter().any(|client| patterns.iter().any(|pattern| names(pattern, *client)))
}

fn names(pattern: &str, client: IpAddr) -> bool {
    let bare = pattern.trim_matches(['[', ']']);
    let text = client.to_string();
    match bare.split_once('/') {
        _ if bare == "ALL" || bare == text => true,
        Some((net, mask)) => within(net.trim_matches(['[', ']']), mask, client),
        None => bare.ends_with('.') && text.starts_with(bare),
    }
}

fn within(net: &str, mask: &str, client: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let Ok(net) = net.parse::<IpAddr>() else { return false };
    let mask = match (mask.parse::<u32>(), mask.parse::<std::net::Ipv4Addr>()) {
        (Ok(length), _) if length <= bits(net).1 => u128::MAX.checked_shl(128 - length).unwrap_or(0),
        (_, Ok(mask)) => u128::from(u32::from(mask)) << 96,
        _ => return false,
    };
    net.is_ipv4() == client.is_ipv4() && bits(net).0 & mask == bits(client).0 & mask
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
            assert_eq!(denies(line, &["sshd"], &clients), refuses, "{line}");
        }
    }
}
