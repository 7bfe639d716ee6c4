//! Lists against brute force: on a space so small that every packet can be asked.

use netwhy_policy::gate::{Action, Order};
use netwhy_policy::list::{Decided, Fate, List, diff};
use netwhy_policy::space::{Cube, Family, Protocols, State};
use proptest::prelude::*;

/// Values of each dimension that the random cubes have.
const SIZE: u16 = 4;

fn range() -> impl Strategy<Value = (u16, u16)> {
    (0..SIZE, 0..SIZE).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

prop_compose! {
    fn cube()(v6 in proptest::bool::weighted(0.1), from in range(), to in range(), port in range(),
              protocols in 1_u8..4, syn in 1_u64..4, state in 1_u32..4, name in 1_u64..4) -> Cube {
        let tcp_only = protocols == 1;
        Cube {
            source: (u128::from(from.0), u128::from(from.1)),
            destination: (u128::from(to.0), u128::from(to.1)),
            destination_ports: port,
            source_ports: (0, 0),
            protocols: Protocols([u64::from(protocols), 0, 0, 0]),
            flags: [if tcp_only { syn } else { 3 }, 0, 0, 0],
            state: State(state),
            from: name,
            to: 1,
            ..Cube::all(if v6 { Family::V6 } else { Family::V4 })
        }
    }
}

type Rule = (Vec<Cube>, Action, bool);

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let action = prop_oneof![Just(Action::Allow), Just(Action::Deny)];
    let rule = (proptest::collection::vec(cube(), 1..3), action, proptest::bool::weighted(0.9));
    proptest::collection::vec(rule, 0..9)
}

fn list(rules: &[Rule], order: Order) -> List {
    let rules = rules.iter().map(|(cubes, action, exact)| (cubes.as_slice(), *action, *exact));
    List::of(rules, Action::Deny, order)
}

/// Every packet of the small space, as cubes of one packet.
fn packets() -> Vec<Cube> {
    let mut all = Vec::new();
    for bits in 0..4096_u32 {
        let (from, to) = (u128::from(bits & 3), u128::from(bits >> 2 & 3));
        let port = (bits >> 4 & 3) as u16;
        let one = |shift: u32| 1_u64 << (bits >> shift & 1);
        all.push(Cube {
            source: (from, from),
            destination: (to, to),
            destination_ports: (port, port),
            source_ports: (0, 0),
            protocols: Protocols([one(6), 0, 0, 0]),
            flags: [one(7), 0, 0, 0],
            state: State(one(8) as u32),
            from: one(9),
            to: 1,
            ..Cube::all(if bits >> 10 & 3 == 0 { Family::V6 } else { Family::V4 })
        });
    }
    all
}

fn matches(rule: &Rule, packet: &Cube) -> bool {
    rule.0.iter().any(|cube| cube.meets(packet))
}

/// The action of a packet, `None` when it depends; and the exact rule that decides.
fn slow(rules: &[Rule], packet: &Cube) -> (Option<Action>, Option<u32>) {
    let at = rules.iter().position(|rule| rule.2 && matches(rule, packet));
    let action = at.map_or(Action::Deny, |at| rules[at].1);
    let before = &rules[..at.unwrap_or(rules.len())];
    let depends = before.iter().any(|rule| !rule.2 && rule.1 != action && matches(rule, packet));
    ((!depends).then_some(action), at.map(|at| at as u32))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn parts_are_disjoint_and_say_what_every_packet_meets(rules in rules(), asked in cube()) {
        let list = list(&rules, Order::FirstMatch);
        let parts = list.decide(&asked).expect("few parts");
        for packet in packets().iter().filter(|packet| asked.meets(packet)) {
            let own: Vec<_> = parts.iter().filter(|part| part.packets.meets(packet)).collect();
            prop_assert_eq!(own.len(), 1);
            let (action, rule) = slow(&rules, packet);
            prop_assert_eq!(own[0].decided.action(), action);
            if let Decided::Rule(number, _) = own[0].decided {
                prop_assert_eq!(Some(number), rule);
            }
            prop_assert_eq!(list.first(packet), rule);
        }
    }

    #[test]
    fn a_rule_is_dead_when_no_packet_reaches_it(rules in rules()) {
        let audit = list(&rules, Order::FirstMatch).audit(true);
        for (number, fate) in audit.fates.iter().enumerate() {
            let reached = packets().iter().any(|packet| {
                matches(&rules[number], packet)
                    && !rules[..number].iter().any(|rule| rule.2 && matches(rule, packet))
            });
            prop_assert_eq!(matches!(fate, Fate::Dead(_)), !reached, "rule {}", number);
            if let Fate::Dead(cover) = fate {
                let by: Vec<&Rule> = cover.by.iter().map(|by| &rules[*by as usize]).collect();
                let all = packets().iter().filter(|packet| matches(&rules[number], packet))
                    .all(|packet| by.iter().any(|rule| matches(rule, packet)));
                prop_assert!(all, "rule {} is not covered by {:?}", number, cover.by);
            }
        }
    }

    #[test]
    fn without_all_redundant_rules_nothing_changes(rules in rules()) {
        for order in [Order::FirstMatch, Order::AllowOnly] {
            let mut rules = rules.clone();
            if order == Order::AllowOnly {
                rules.iter_mut().for_each(|rule| rule.1 = Action::Allow);
            }
            let fates = list(&rules, order).audit(true).fates;
            let kept: Vec<Rule> = rules.iter().zip(&fates)
                .filter(|(_, fate)| matches!(fate, Fate::Lives)).map(|(rule, _)| rule.clone()).collect();
            for packet in packets() {
                prop_assert_eq!(slow(&rules, &packet).0, slow(&kept, &packet).0);
            }
        }
    }

    #[test]
    fn a_difference_holds_exactly_the_packets_whose_fate_changed(old in rules(), new in rules(), keep in 0_usize..9) {
        // The new list keeps some of the old one, so that the unchanged is skipped.
        let new: Vec<Rule> = old.iter().take(keep).cloned().chain(new).collect();
        let changes = diff(&list(&old, Order::FirstMatch), &list(&new, Order::FirstMatch)).expect("few parts");
        for packet in packets() {
            let own: Vec<_> = changes.iter().filter(|change| change.packets.meets(&packet)).collect();
            let (before, after) = (slow(&old, &packet).0, slow(&new, &packet).0);
            prop_assert_eq!(own.len(), usize::from(before != after), "{:?}", own);
            if let Some(change) = own.first() {
                prop_assert_eq!((change.before, change.after), (before, after));
            }
        }
    }
}
