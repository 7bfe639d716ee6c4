//! What changes between two packet filters is what becomes of packets, whatever chains they go through.
#![allow(clippy::expect_used, clippy::panic)]

use netwhy_policy::changes::{Changed, Fate, between};
use netwhy_policy::world::{Source, World};

fn world(text: &str) -> World {
    let world = World::read(&[Source { file: "h.nft".into(), text: text.to_owned() }], None);
    assert!(world.unread().is_empty(), "{:?}", world.unread());
    world
}

fn changes(old: &str, new: &str) -> Vec<Changed> {
    between(&world(old), &world(new))
}

fn input(rules: &str, more: &str) -> String {
    format!(
        "table inet f {{\n{more}\n chain i {{\n type filter hook input priority 0; policy drop;\n{rules}\n }}\n}}\n"
    )
}

#[test]
fn a_rule_that_moves_into_a_chain_of_its_own_changes_nothing() {
    let flat = input("tcp dport { 80, 443 } accept\nip saddr 10.0.0.0/8 udp dport 53 accept", "");
    let deep = input(
        "meta l4proto tcp jump web\nip saddr 10.0.0.0/8 goto names",
        "chain web {\n tcp dport 80 accept\n tcp dport 443 accept\n }\n chain names {\n udp dport 53 accept\n }",
    );
    assert_eq!(changes(&flat, &deep), []);
}

#[test]
fn a_rule_of_a_chain_behind_a_jump_changes_the_packets_that_come_to_it_and_no_others() {
    let rules = "iifname \"eth0\" ip saddr 10.0.0.0/8 jump web";
    let old = input(rules, "chain web {\n tcp dport 80 accept\n }");
    let new = input(rules, "chain web {\n tcp dport 80 accept\n tcp dport 22 accept\n }");
    let found = changes(&old, &new);
    let [change] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!((change.before, change.after), (Fate::Denied, Fate::Allowed));
    assert_eq!(change.within, "h.nft input");
    assert_eq!(change.packets.destination_ports, (22, 22));
    assert_eq!(change.packets.source, (0x0a00_0000, 0x0aff_ffff));
    assert_eq!(change.interfaces, [Some("eth0".to_owned()), None]);
    assert_eq!(change.rules_after.last().map(|rule| rule.text.as_str()), Some("tcp dport 22 accept"));
}

#[test]
fn a_new_chain_that_drops_before_all_others_is_seen_and_an_idle_one_is_not() {
    let old = input("tcp dport 443 accept", "");
    let early = "table inet g {\n chain raw {\n type filter hook prerouting priority -300; policy accept;\n \
                 ip saddr 192.0.2.0/24 drop\n }\n}\n";
    let found = changes(&old, &format!("{old}{early}"));
    assert!(found.iter().all(|one| (one.before, one.after) == (Fate::Allowed, Fate::Denied)), "{found:#?}");
    assert!(
        found.iter().any(|one| one.within == "h.nft input" && one.packets.destination_ports == (443, 443))
    );
    let idle = early.replace("192.0.2.0/24 drop", "192.0.2.0/24 counter");
    assert_eq!(changes(&old, &format!("{old}{idle}")), []);
}

#[test]
fn where_nat_leads_is_a_part_of_what_becomes_of_packets() {
    let nat = |to: &str| {
        format!(
            "table ip n {{\n chain p {{\n type nat hook prerouting priority dstnat; policy accept;\n \
             tcp dport 443 dnat to {to}\n }}\n}}\n"
        )
    };
    let found = changes(&nat("10.0.0.5:8443"), &nat("10.0.0.6:8443"));
    assert!(!found.is_empty());
    for change in &found {
        assert_eq!(change.rewritten[0].as_deref(), Some("destination 10.0.0.5:8443"), "{change:?}");
        assert_eq!(change.rewritten[1].as_deref(), Some("destination 10.0.0.6:8443"));
        assert_eq!(change.packets.destination_ports, (443, 443));
    }
    assert_eq!(changes(&nat("10.0.0.5:8443"), &nat("10.0.0.5:8443")), []);
}
