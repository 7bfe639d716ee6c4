//! The health check's own way: from where it asks to the members, as questions to the rules in between.

use super::{Balancer, Check, Member, Pool};
use crate::can::{Answer, Verdict};
use crate::estate::{Ask, End};
use crate::finding::{Finding, Level};
use crate::place::Place;
use crate::read::{Span, address};

/// How many questions one balancer stands for: each is asked of every rule set.
const ASK_COUNT_MAX: usize = 128;
/// How many rules a sentence names.
const NAMED_COUNT_MAX: usize = 4;

/// One question a health check stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckAsk {
    pub pool: String,
    pub ask: Ask,
    /// The check that asks.
    pub place: Place,
}

/// What must be allowed so that the members are found to be well: from every range of the checkers to every member.
/// Members that have no address count as endpoints of that name. None where the balancer's own host asks.
pub fn check_asks(balancer: &Balancer) -> Vec<CheckAsk> {
    let sources = balancer.checkers().ranges();
    let mut asks = Vec::new();
    for pool in &balancer.pools {
        for member in &pool.members {
            for source in &sources {
                if asks.len() >= ASK_COUNT_MAX {
                    return asks;
                }
                // Pools often share members and checks.
                let ask = check_ask(pool, member, *source);
                asks.extend(ask.filter(|ask| !asks.iter().any(|before: &CheckAsk| before.ask == ask.ask)));
            }
        }
    }
    asks
}

fn check_ask(pool: &Pool, member: &Member, source: Span) -> Option<CheckAsk> {
    let health = member.health.as_ref().unwrap_or(&pool.health);
    let to = match member.address.parse() {
        // A check comes from the family of the member.
        Ok(address) if Span::one(address).family != source.family => return None,
        Ok(address) => End::Addresses(address, address),
        Err(_) if member.address.is_empty() => return None,
        Err(_) => End::Known(member.address.clone()),
    };
    let from = End::Addresses(address(source.family, source.first), address(source.family, source.last));
    let port = Some(health.port.or(member.port)?);
    let protocol = if health.check == Check::Udp { 17 } else { 6 };
    let ask = Ask { from, to, protocol, port, request: None };
    health.check.asks().then(|| CheckAsk { pool: pool.name.clone(), ask, place: health.place.clone() })
}

/// Checks that the rules in between stop: the members are then taken for dead however well they are.
pub fn stopped(balancer: &Balancer, can: &dyn Fn(&Ask) -> Answer) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in check_asks(balancer) {
        let answer = can(&one.ask);
        if answer.verdict != Verdict::Denied {
            continue;
        }
        let named: Vec<String> =
            answer.blockers.iter().take(NAMED_COUNT_MAX).map(|why| why.place.to_string()).collect();
        let (named, pool, ends) = (named.join(", "), &one.pool, shown(&one.ask));
        let en =
            format!("{pool}: health checks from {ends} are stopped ({named}): the member is taken for dead");
        let zh = format!("{pool}：健康检查 {ends} 被拦截（{named}）：成员会被当作故障");
        let mut finding = Finding::new("health-stopped", Level::Error, &one.place, en, zh).within(pool, None);
        finding.fix = answer.fix;
        found.push(finding);
    }
    found
}

fn shown(ask: &Ask) -> String {
    let end = |end: &End| match end {
        End::Known(id) => id.clone(),
        End::Addresses(first, last) => {
            Span::between(*first, *last).map_or(String::new(), |span| span.to_string())
        }
        End::Outside | End::OutsideBut(_) => "outside".to_owned(),
    };
    let port = ask.port.map_or(String::new(), |port| format!(":{port}"));
    format!("{} → {}{port}", end(&ask.from), end(&ask.to))
}
