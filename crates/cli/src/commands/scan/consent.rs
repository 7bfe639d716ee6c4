//! The question before a large scan or one of public addresses: asked once, on a terminal.

use super::words::thousands;
use crate::{fail, warn};
use anyhow::Result;
use netwhy_model::Lang;
use netwhy_scan::Plan;
use std::io::{BufRead, IsTerminal, Read};

/// Addresses scanned without a question, where none is public.
const ADDRESS_COUNT_MAX: u64 = 1024;
/// Longest answer read, in bytes.
const ANSWER_LENGTH_MAX: u64 = 100;

/// Asks where it must, and refuses where nobody can be asked.
pub(super) fn ask(plan: &Plan, is_authorized: bool, lang: Lang) -> Result<()> {
    let Some((en, zh)) = why(plan).filter(|_| !is_authorized) else { return Ok(()) };
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !terminal {
        return Err(fail(
            (
                format!("{en}: it takes somebody's word that this host may"),
                format!("{zh}：需要有人确认获得授权"),
            ),
            ("if you may, say --i-am-authorized", "若已获授权，请加 --i-am-authorized"),
        ));
    }
    warn(&match lang {
        Lang::En => format!("{en}. Are you authorized to scan? Type yes:"),
        Lang::Zh => format!("{zh}。您是否获得授权？请输入 yes："),
    });
    let mut answer = String::new();
    std::io::stdin().lock().take(ANSWER_LENGTH_MAX).read_line(&mut answer)?;
    match is_yes(&answer) {
        true => Ok(()),
        false => Err(fail(
            ("nothing was sent", "没有发送任何报文"),
            ("scan only what you may; see docs/scan.md", "只扫描有权扫描的目标；见 docs/zh/scan.md"),
        )),
    }
}

/// Why to ask, if at all.
fn why(plan: &Plan) -> Option<(String, String)> {
    let count = plan.hosts.len();
    let shown = thousands(count);
    match (plan.hosts.first_public(), count) {
        (Some(public), 1) => Some((format!("{public} is a public address"), format!("{public} 是公网地址"))),
        (Some(public), _) => Some((
            format!("{shown} addresses, among them public ones such as {public}"),
            format!("{shown} 个地址，其中有公网地址，如 {public}"),
        )),
        (None, count) if count > ADDRESS_COUNT_MAX => {
            Some((format!("{shown} addresses"), format!("{shown} 个地址")))
        }
        _ => None,
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "yes" | "y" | "是")
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_scan::{Hosts, Ports, Protocol};

    fn reason(targets: &[&str]) -> Option<String> {
        let plan = Plan::new(Hosts::parse(targets, &[]).unwrap(), Ports::all(Protocol::Tcp));
        why(&plan).map(|(en, _)| en)
    }

    #[test]
    fn many_or_public_addresses_are_asked_about() {
        assert_eq!(reason(&["10.0.0.0/22"]), None);
        assert_eq!(reason(&["10.0.0.0/22", "10.0.4.0"]).unwrap(), "1,025 addresses");
        assert_eq!(reason(&["203.0.113.7"]).unwrap(), "203.0.113.7 is a public address");
        assert!(reason(&["10.0.0.1", "203.0.113.7"]).unwrap().contains("such as 203.0.113.7"));
        assert!(is_yes("yes\n") && is_yes("是") && !is_yes("") && !is_yes("no"));
    }
}
