//! The OWASP rule set's own cases: the rules that should speak do, those that should not are silent.

mod common;

use std::collections::BTreeMap;

/// The shares that must be reached, in parts of a hundred.
const FIRED_PERCENT_MIN: f64 = 97.0;
const SILENT_PERCENT_MIN: f64 = 96.0;

#[test]
fn the_rules_that_should_fire_do_and_the_others_stay_silent() {
    let Some(folder) = common::folder() else {
        println!("SKIPPED: no shared data");
        return;
    };
    let waf = common::waf(&folder);
    for unread in waf.unread() {
        println!("unread {}:{} {}: {}", unread.place.file, unread.place.line, unread.text, unread.why.en);
    }
    let phases: BTreeMap<u64, u8> = waf.rules().map(|rule| (rule.id, rule.phase)).collect();
    let asked = |id: &u64| phases.get(id).is_some_and(|phase| *phase <= 2);
    let (mut fired, mut expected, mut silent, mut unwanted) = (0u32, 0u32, 0u32, 0u32);
    for case in common::cases(&folder) {
        let answer = waf.ask(&case.request);
        let has = |id: &u64| answer.tripped.iter().any(|tripped| tripped.id == *id);
        for id in case.expect.iter().filter(|id| asked(id)) {
            expected += 1;
            fired += u32::from(has(id));
            if !has(id) {
                println!("missing {} expects {id}; unsure {:?}", case.name, answer.unsure);
            }
        }
        for id in case.unwanted.iter().filter(|id| asked(id)) {
            unwanted += 1;
            silent += u32::from(!has(id));
            if has(id) {
                println!(
                    "unwanted {} trips {id}: {:?}",
                    case.name,
                    answer.tripped.iter().find(|tripped| tripped.id == *id).map(|tripped| &tripped.hits)
                );
            }
        }
    }
    let share = |part: u32, whole: u32| f64::from(part) * 100.0 / f64::from(whole.max(1));
    println!("fired {fired} of {expected} ({:.2} %)", share(fired, expected));
    println!("silent {silent} of {unwanted} ({:.2} %)", share(silent, unwanted));
    assert!(share(fired, expected) >= FIRED_PERCENT_MIN);
    assert!(share(silent, unwanted) >= SILENT_PERCENT_MIN);
}
