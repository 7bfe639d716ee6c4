//! Whether the health checks of balancers reach the members they ask.

use super::World;
use crate::balancer::{Balancer, Check, Health, Member, Pool};
use crate::can::Verdict;
use crate::estate::{Ask, End};
use crate::finding::{Finding, Level};
use crate::read::{Span, address};

/// Members whose checks are followed.
const MEMBER_COUNT_MAX: usize = 2_000;
const TCP: u8 = 6;

/// Every check that the rules stop, at the place of the check.
pub(super) fn findings(world: &World) -> Vec<Finding> {
    let members = world.balancers().iter().flat_map(|balancer| {
        balancer
            .pools
            .iter()
            .flat_map(move |pool| pool.members.iter().map(move |member| (balancer, pool, member)))
    });
    members
        .take(MEMBER_COUNT_MAX)
        .filter_map(|(balancer, pool, member)| blocked(world, balancer, pool, member))
        .collect()
}

fn blocked(world: &World, balancer: &Balancer, pool: &Pool, member: &Member) -> Option<Finding> {
    let health = member.health.as_ref().unwrap_or(&pool.health);
    let port = port(health, member)?;
    let to = world.end(&member.address)?;
    let to = match to {
        End::Addresses(first, last) if first == last => world.whose(first).unwrap_or(to),
        other => other,
    };
    for range in balancer.checkers().ranges() {
        let ask = Ask { from: ends(&range), to: to.clone(), protocol: TCP, port: Some(port) };
        let answer = world.can(&ask);
        if answer.verdict != Verdict::Denied {
            continue;
        }
        let by = answer.blockers.first()?;
        let (name, pool) = (&balancer.name, &pool.name);
        let at = format!("{}:{port}", member.address);
        return Some(
            Finding::new(
                "health-check-blocked",
                Level::Error,
                &health.place,
                format!(
                    "the health checks of {name} ({pool}) come from {range} and do not reach {at}: {} {}",
                    by.place, by.why.en
                ),
                format!("{name}（{pool}）的健康检查来自 {range}，无法到达 {at}：{} {}", by.place, by.why.zh),
            )
            .within(name, None),
        );
    }
    None
}

/// The port that is asked; none where nobody checks.
fn port(health: &Health, member: &Member) -> Option<u16> {
    let asks = !matches!(health.check, Check::None | Check::Passive);
    asks.then(|| health.port.or(member.port)).flatten()
}

fn ends(range: &Span) -> End {
    End::Addresses(address(range.family, range.first), address(range.family, range.last))
}
