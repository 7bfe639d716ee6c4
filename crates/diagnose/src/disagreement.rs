//! Rules of files held against the wire: where they differ, that is evidence itself.

use netwhy_catalogue::Catalogue;
use netwhy_model::{Disagreement, Evidence, Lang, Side};

/// What rules may stand on a way; those that no evidence speaks of, the files do not describe.
const KINDS: [&str; 5] = ["policy.group", "policy.acl", "policy.route", "policy.router", "policy.host"];

/// Where the model of the rules and the handshake differ; nothing when they agree, or one of them does not speak.
pub fn disagreement(catalogue: &Catalogue, evidence: &[Evidence], lang: Lang) -> Option<Disagreement> {
    let front = || evidence.iter().filter(|one| one.leg.is_front() && one.speaks());
    let rules: Vec<&Evidence> = front().filter(|one| one.fact.starts_with("policy.")).collect();
    let wire = front().rev().find(|one| one.fact == "tcp.connect")?;
    let stops: Vec<&Evidence> = rules.iter().copied().filter(|one| !lets_through(one)).collect();
    // What the files leave open may be what stops it.
    let open = evidence.iter().any(|one| one.fact.starts_with("policy.") && !one.speaks());
    match wire.value.as_str() {
        "silent" if stops.is_empty() && !rules.is_empty() && !open => {
            Some(beyond(catalogue, &rules, wire, lang))
        }
        "open" if !stops.is_empty() => Some(stale(&stops, wire, lang)),
        _ => None,
    }
}

fn lets_through(one: &Evidence) -> bool {
    matches!(one.value.as_str(), "allowed" | "there")
}

fn beyond(catalogue: &Catalogue, rules: &[&Evidence], wire: &Evidence, lang: Lang) -> Disagreement {
    let name = |fact: &str| {
        catalogue.fact(fact).map_or_else(|| fact.to_owned(), |fact| fact.text.get(lang).to_owned())
    };
    let join = |names: Vec<String>| names.join(lang.pick(", ", "、"));
    let told = join(rules.iter().map(|one| name(&one.fact)).collect());
    let untold = KINDS.iter().filter(|kind| !rules.iter().any(|one| one.fact == **kind));
    let untold = match join(untold.map(|kind| name(kind)).collect()) {
        // The files describe all there may be.
        untold if untold.is_empty() => untold,
        untold => lang.pick(" (", "（").to_owned() + &untold + lang.pick(")", "）"),
    };
    let text = match lang {
        Lang::En => format!(
            "the rules let this through ({told}), yet the SYN stays without an answer: they are not at fault as the \
             files have them. It is stopped before or behind them{untold}, or what runs is not what the files say"
        ),
        Lang::Zh => format!(
            "规则放行（{told}），但 SYN 没有得到应答：按文件内容，问题不在这些规则。它在规则之前或之后被拦截{untold}，\
             或者实际运行的并非文件所写"
        ),
    };
    Disagreement { side: Side::BeyondRules, text, by: ids(rules, wire) }
}

fn stale(stops: &[&Evidence], wire: &Evidence, lang: Lang) -> Disagreement {
    let said: Vec<&str> = stops.iter().map(|one| one.excerpt.as_str()).collect();
    let said = said.join("; ");
    let text = match lang {
        Lang::En => format!(
            "the rules of the files stop this ({said}), yet it connects: the files are not what runs there, or \
             something in front of them answers"
        ),
        Lang::Zh => {
            format!(
                "文件中的规则会拦截（{said}），但实际可以连接：文件并非实际运行的规则，或其前方另有设备应答"
            )
        }
    };
    Disagreement { side: Side::Files, text, by: ids(stops, wire) }
}

fn ids(rules: &[&Evidence], wire: &Evidence) -> Vec<String> {
    rules.iter().map(|one| one.id.clone()).chain([wire.id.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netwhy_model::{Link, Stamp};

    fn seen(facts: &[(&str, &str)]) -> Vec<Evidence> {
        let one = |(fact, value): &(&str, &str)| {
            Evidence::seen(fact, value, Link::Path, Stamp::default(), "test", "acl.json:3")
        };
        facts.iter().map(one).collect()
    }

    #[test]
    fn nothing_is_named_where_the_files_describe_all_there_may_be() {
        let mut facts: Vec<(&str, &str)> = KINDS.iter().map(|kind| (*kind, "allowed")).collect();
        facts.push(("tcp.connect", "silent"));
        for (lang, around) in [(Lang::En, "behind them, or"), (Lang::Zh, "被拦截，或者")] {
            let found = disagreement(Catalogue::embedded(), &seen(&facts), lang).map(|one| one.text);
            assert!(found.as_ref().is_some_and(|text| text.contains(around)), "{found:?}");
        }
    }

    fn side(facts: &[(&str, &str)]) -> Option<Side> {
        disagreement(Catalogue::embedded(), &seen(facts), Lang::En).map(|one| one.side)
    }

    #[test]
    fn rules_and_wire_differ_in_two_ways_only() {
        assert_eq!(side(&[("policy.group", "allowed"), ("tcp.connect", "silent")]), Some(Side::BeyondRules));
        assert_eq!(side(&[("policy.group", "no_ingress"), ("tcp.connect", "open")]), Some(Side::Files));
        assert_eq!(side(&[("policy.group", "no_ingress"), ("tcp.connect", "silent")]), None);
        assert_eq!(side(&[("policy.group", "allowed"), ("tcp.connect", "open")]), None);
        // A port without a listener is reached; so are both where only one of them stops it.
        assert_eq!(side(&[("policy.group", "allowed"), ("tcp.connect", "refused")]), None);
        assert_eq!(
            side(&[("policy.group", "allowed"), ("policy.acl", "denied"), ("tcp.connect", "silent")]),
            None
        );
        assert_eq!(side(&[("tcp.connect", "silent")]), None);
    }
}
