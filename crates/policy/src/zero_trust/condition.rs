//! Conditions of a rule: networks are modelled, everything else holds, does not, or is not known.

use crate::place::both;
use crate::read::{Span, merge, shared, without};
use netwhy_model::Text;
use std::collections::BTreeMap;

/// How many alternatives one rule may have; beyond that it is "perhaps" as a whole.
const ALTERNATIVE_COUNT_MAX: usize = 1_024;

#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The source is in one of these ranges.
    Networks(Vec<Span>),
    /// A fact has one of these values: `identity`, `group`, `device.managed`, `mfa`, `time`, `country` …
    Fact {
        key: String,
        values: Vec<String>,
    },
    /// Not understood: may hold or not.
    Unknown(Text),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

/// What is known of who asks: `identity=alice@example.com`, `group=staff`, `device.managed=true`, `mfa=true`,
/// `time=09:30`, `day=mon`, `country=de`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    values: BTreeMap<String, Vec<String>>,
    /// Who is in which group, from the policy.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// One way for a rule to match: from these sources, if what is not modelled holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    pub sources: Vec<Span>,
    pub unmodelled: Vec<Text>,
}

impl Facts {
    /// From words `key=value`; a key may come several times. What has no `=` is left out.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Facts {
        let mut facts = Facts::default();
        for (key, value) in words.into_iter().filter_map(|word| word.split_once('=')) {
            let key = canonical(key.trim());
            facts.values.entry(key).or_default().push(value.trim().to_lowercase());
        }
        facts
    }

    /// Whether a fact has one of the values; `None` when nobody knows.
    fn holds(&self, key: &str, wanted: &[String]) -> Option<bool> {
        if let Some(known) = self.values.get(key) {
            return Some(wanted.iter().any(|wanted| known.iter().any(|known| fits(key, known, wanted))));
        }
        let identities = self.values.get("identity")?;
        match key {
            "group" => {
                // A group the policy does not list may have anybody in it.
                let mut listed = wanted.iter().map(|group| self.groups.get(group));
                let member = |members: &Vec<String>| {
                    members.iter().any(|one| identities.iter().any(|known| fits("identity", known, one)))
                };
                let unlisted = listed.clone().any(|group| group.is_none());
                if listed.any(|group| group.is_some_and(member)) {
                    return Some(true);
                }
                (!unlisted).then_some(false)
            }
            "email_domain" => {
                let domain = |wanted: &String| {
                    let wanted = wanted.trim_start_matches('@');
                    identities
                        .iter()
                        .any(|known| known.rsplit_once('@').is_some_and(|(_, own)| own == wanted))
                };
                Some(wanted.iter().any(domain))
            }
            _ => None,
        }
    }
}

fn fits(key: &str, known: &str, wanted: &str) -> bool {
    let wanted = wanted.to_lowercase();
    if wanted == "*" || known == wanted {
        return true;
    }
    match (key, wanted.split_once('-')) {
        ("time", Some((from, to))) if from.contains(':') => {
            let (from, to) = (from.trim(), to.trim());
            // Over midnight the later end comes first.
            if from <= to { (from..to).contains(&known) } else { known >= from || known < to }
        }
        ("identity", _) => {
            wanted.strip_prefix('@').is_some_and(|domain| known.ends_with(&format!("@{domain}")))
        }
        _ => false,
    }
}

/// One name for what vendors call differently.
pub fn canonical(key: &str) -> String {
    let snake: String = key
        .chars()
        .flat_map(|c| {
            let lower = c.to_ascii_lowercase();
            [c.is_ascii_uppercase().then_some('_'), Some(if lower == '-' { '_' } else { lower })]
        })
        .flatten()
        .collect();
    let name = match snake.trim_start_matches('_') {
        "identity" | "identities" | "user" | "users" | "email" | "emails" | "member" | "members"
        | "principal" | "principals" | "subject" | "subjects" => "identity",
        "group" | "groups" | "gsuite" | "azure_ad" | "azure" | "okta" | "saml_group" => "group",
        "domain" | "domains" | "email_domain" | "email_domains" => "email_domain",
        "device" | "devices" | "device_posture" | "device_policy" | "posture" | "devices_posture" => "device",
        "network" | "networks" | "ip" | "ips" | "ip_subnetworks" | "source_ip" | "source_ips" | "cidr"
        | "cidrs" | "ip_address" | "ip_addresses" | "ip_ranges" => "network",
        "country" | "countries" | "region" | "regions" | "geo" | "country_code" | "location" => "country",
        "time" | "times" | "hours" | "schedule" | "time_of_day" => "time",
        "day" | "days" | "weekdays" => "day",
        "mfa" | "require_mfa" | "mfa_required" | "auth_method" | "authentication" => "mfa",
        "service_token" | "any_valid_service_token" | "service_tokens" => "service_token",
        "required_access_levels" | "access_level" | "access_levels" | "levels" => "access_level",
        other => return other.to_owned(),
    };
    name.to_owned()
}

impl Condition {
    /// How many conditions it is made of.
    pub fn count(&self) -> usize {
        match self {
            Condition::All(parts) | Condition::Any(parts) => {
                1 + parts.iter().map(Condition::count).sum::<usize>()
            }
            Condition::Not(inner) => 1 + inner.count(),
            _ => 1,
        }
    }

    /// The ways in which it holds, with what is known of who asks.
    pub fn alternatives(&self, facts: &Facts) -> Vec<Alternative> {
        let found = self.ways(facts, true);
        if found.len() <= ALTERNATIVE_COUNT_MAX {
            return found;
        }
        vec![perhaps(both("more than 1024 combinations of conditions", "条件组合超过 1024 种"))]
    }

    /// `wanted` false asks when it does not hold. The depth is that of the document, which is limited.
    fn ways(&self, facts: &Facts, wanted: bool) -> Vec<Alternative> {
        match (self, wanted) {
            (Condition::Networks(ranges), _) => {
                let ranges = merge(ranges);
                let sources = if wanted { ranges } else { without(&Span::anywhere(), &ranges) };
                if sources.is_empty() {
                    Vec::new()
                } else {
                    vec![Alternative { sources, unmodelled: Vec::new() }]
                }
            }
            (Condition::Fact { key, values }, _) => match facts.holds(key, values) {
                Some(holds) if holds == wanted => vec![always()],
                Some(_) => Vec::new(),
                None => vec![perhaps(fact_text(key, values, wanted))],
            },
            (Condition::Unknown(text), true) => vec![perhaps(text.clone())],
            (Condition::Unknown(text), false) => {
                vec![perhaps(both(format!("not: {}", text.en), format!("不满足：{}", text.zh)))]
            }
            (Condition::Not(inner), _) => inner.ways(facts, !wanted),
            (Condition::All(parts), true) | (Condition::Any(parts), false) => {
                parts.iter().fold(vec![always()], |before, part| product(before, &part.ways(facts, wanted)))
            }
            (Condition::Any(parts), true) | (Condition::All(parts), false) => {
                let mut ways: Vec<Alternative> = Vec::new();
                for part in parts {
                    ways.extend(part.ways(facts, wanted));
                    if ways.len() > ALTERNATIVE_COUNT_MAX {
                        break;
                    }
                }
                ways
            }
        }
    }
}

fn product(some: Vec<Alternative>, others: &[Alternative]) -> Vec<Alternative> {
    let mut ways = Vec::new();
    for one in &some {
        for other in others {
            let sources = shared(&one.sources, &other.sources);
            if !sources.is_empty() {
                let unmodelled = one.unmodelled.iter().chain(&other.unmodelled).cloned().collect();
                ways.push(Alternative { sources, unmodelled });
            }
            if ways.len() > ALTERNATIVE_COUNT_MAX {
                return ways;
            }
        }
    }
    ways
}

fn always() -> Alternative {
    Alternative { sources: Span::anywhere(), unmodelled: Vec::new() }
}

fn perhaps(text: Text) -> Alternative {
    Alternative { sources: Span::anywhere(), unmodelled: vec![text] }
}

fn fact_text(key: &str, values: &[String], wanted: bool) -> Text {
    let shown = values.join(", ");
    if wanted {
        both(format!("{key} is {shown}"), format!("{key} 为 {shown}"))
    } else {
        both(format!("{key} is not {shown}"), format!("{key} 不为 {shown}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> Condition {
        Condition::Networks(Span::read(text).into_iter().collect())
    }

    fn fact(key: &str, value: &str) -> Condition {
        Condition::Fact { key: key.to_owned(), values: vec![value.to_owned()] }
    }

    #[test]
    fn networks_are_exact_under_any_all_and_not_and_facts_decide_when_known() {
        let inside =
            Condition::All(vec![networks("10.0.0.0/8"), Condition::Not(Box::new(networks("10.1.0.0/16")))]);
        let ways = inside.alternatives(&Facts::default());
        assert_eq!(
            ways[0].sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.0/16", "10.2.0.0-10.255.255.255"]
        );
        let either = Condition::Any(vec![networks("10.0.0.0/8"), fact("identity", "a@x.example")]);
        let ways = either.alternatives(&Facts::default());
        assert_eq!(ways.iter().map(|way| way.unmodelled.len()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(either.alternatives(&Facts::parse(["user=A@x.example"])).len(), 2);
        assert_eq!(either.alternatives(&Facts::parse(["user=b@x.example"])).len(), 1);
        let mut facts = Facts::parse(["identity=a@x.example", "time=23:30"]);
        facts.groups.insert("staff".to_owned(), vec!["@x.example".to_owned()]);
        assert_eq!(facts.holds("group", &["staff".to_owned()]), Some(true));
        assert_eq!(facts.holds("group", &["else".to_owned()]), None);
        assert_eq!(facts.holds("time", &["22:00-06:00".to_owned()]), Some(true));
        assert_eq!(facts.holds("device", &["x".to_owned()]), None);
    }

    #[test]
    fn combinations_without_end_are_perhaps_as_a_whole() {
        let any = Condition::Any((0..40).map(|n| fact("k", &n.to_string())).collect());
        let all = Condition::All(vec![any.clone(), any.clone(), any]);
        assert_eq!(all.alternatives(&Facts::default()).len(), 1);
    }
}
