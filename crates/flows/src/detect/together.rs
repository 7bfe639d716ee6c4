//! Alerts of flows and of logs together: one for each attack, and a break-in linked with what its host did next.

use super::alert::{Alert, BreakIn, PROOF_COUNT_MAX, SAMPLE_COUNT_MAX, Way};
use super::merge::APART_MS_MAX;
use std::collections::HashMap;

/// The same, as alerts count.
pub const APART_S_MAX: i64 = APART_MS_MAX / 1000;
/// How long after the break-in the host's own attack still counts as its proof.
const PROOF_S_MAX: i64 = 24 * 3_600;

/// Adds what logs tell to what flows tell; what both tell of is one alert.
pub fn add(alerts: &mut Vec<Alert>, added: impl IntoIterator<Item = Alert>) {
    let mut known: HashMap<(String, String), Vec<usize>> = HashMap::new();
    for (place, alert) in alerts.iter().enumerate() {
        known.entry((alert.id.clone(), alert.entity.clone())).or_default().push(place);
    }
    for alert in added {
        let places = known.get(&(alert.id.clone(), alert.entity.clone()));
        let same = |place: &&usize| {
            let one = &alerts[**place];
            one.start <= alert.end + APART_S_MAX && alert.start <= one.end + APART_S_MAX
        };
        match places.and_then(|places| places.iter().find(same)) {
            Some(place) => absorb(&mut alerts[*place], alert),
            None => alerts.push(alert),
        }
    }
}

/// Takes in what else is known of the same attack; the two counted different things, so that no sum of them would be true.
fn absorb(kept: &mut Alert, other: Alert) {
    kept.start = kept.start.min(other.start);
    kept.end = kept.end.max(other.end);
    kept.targets = kept.targets.max(other.targets);
    kept.records = kept.records.max(other.records);
    kept.confidence = kept.confidence.max(other.confidence);
    kept.why += &format!("; {}", other.why);
    kept.why_zh += &format!("；{}", other.why_zh);
    kept.break_in = kept.break_in.take().or(other.break_in);
    for (own, more) in [(&mut kept.sources, other.sources), (&mut kept.victims, other.victims)] {
        for name in more {
            if own.len() < SAMPLE_COUNT_MAX && !own.contains(&name) {
                own.push(name);
            }
        }
    }
    // Each side proves with half of the room, where both have enough.
    let room = PROOF_COUNT_MAX - other.proof.len().min(PROOF_COUNT_MAX / 2);
    kept.proof.truncate(room);
    kept.proof.extend(other.proof);
    kept.proof.truncate(PROOF_COUNT_MAX);
}

/// Inbound guessing, a success, then an attack by the same host: each makes the others surer.
pub fn chain(alerts: &mut [Alert]) {
    let mut attacks: HashMap<String, Vec<usize>> = HashMap::new();
    let mut guessed: HashMap<String, String> = HashMap::new();
    for (place, alert) in alerts.iter().enumerate() {
        match (alert.direction, alert.victims.as_slice()) {
            (Way::Out, _) => attacks.entry(alert.entity.clone()).or_default().push(place),
            // Only flows know addresses of ours.
            (Way::In, [only]) if alert.targets == 1 && only.parse::<std::net::IpAddr>().is_ok() => {
                guessed.insert(alert.entity.clone(), only.clone());
            }
            _ => {}
        }
    }
    for place in 0..alerts.len() {
        let Some(break_in) = alerts[place].break_in.clone() else { continue };
        let names =
            [Some(break_in.host.clone()), named_address(&break_in), guessed.get(&break_in.source).cloned()];
        let follows = |place: &&usize| {
            let one = &alerts[**place];
            one.end >= break_in.at && one.start <= break_in.at + PROOF_S_MAX
        };
        let mut all = names.iter().flatten().filter_map(|name| attacks.get(name)).flatten();
        if let Some(next) = all.find(follows) {
            link(alerts, place, *next, &break_in);
        }
    }
}

/// The address in a name such as clouds give: `ip-10-0-1-27`.
fn named_address(break_in: &BreakIn) -> Option<String> {
    let numbers = break_in.host.split('.').next()?.strip_prefix("ip-")?.replace('-', ".");
    numbers.parse::<std::net::Ipv4Addr>().ok().map(|address| address.to_string())
}

/// Says that the break-in was used.
fn link(alerts: &mut [Alert], guessing: usize, attack: usize, told: &BreakIn) {
    let (id, late_s) = (alerts[attack].id.clone(), alerts[attack].start - told.at);
    let victim = &mut alerts[guessing];
    if let Some(break_in) = &mut victim.break_in {
        break_in.followed_by = Some(id);
    }
    // What began before the session that stands out is still the same intruder's, let in by a smaller one.
    let (en, zh) = match late_s {
        0.. => (
            format!("; {late_s} s later the host attacked others itself"),
            format!("；{late_s} 秒后该主机自身开始攻击他人"),
        ),
        _ => (
            "; at that time the host attacked others itself".to_owned(),
            "；当时该主机自身正在攻击他人".to_owned(),
        ),
    };
    victim.why += &en;
    victim.why_zh += &zh;
    victim.confidence = 0.99;
    let attacker = &mut alerts[attack];
    attacker.why += &format!("; it was broken into before, from {}", told.source);
    attacker.why_zh += &format!("；此前该主机已被 {} 攻入", told.source);
    attacker.confidence = 0.99;
}
