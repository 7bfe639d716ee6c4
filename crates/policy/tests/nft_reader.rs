//! What nft's readers make of rules as they are written, of mistakes in them, and of files that mean harm.
#![allow(clippy::expect_used, clippy::panic)]

use netwhy_policy::netfilter::ast::{
    Data, Field, NatKind, Part, Policy, Ruleset, SetUse, Span, Test, Verdict, Written,
};
use netwhy_policy::netfilter::nft::{read_json, read_text, read_text_with};
use proptest::prelude::*;

fn read(text: &str) -> Ruleset {
    read_text(&"rules.nft".into(), text)
}

/// The parts of the one rule of an inet chain.
fn parts(rule: &str) -> Vec<Part> {
    let ruleset = read(&format!("table inet t {{ chain c {{\n{rule}\n}} }}"));
    assert!(ruleset.unread.is_empty(), "{:?}", ruleset.unread);
    ruleset.tables[0].chains[0].rules[0].parts.clone()
}

/// The test of a rule's first match, and whether it is turned around.
fn test(rule: &str) -> (Test, bool) {
    match parts(rule).swap_remove(0) {
        Part::Match(one) => (one.test, one.negated),
        part => panic!("no match: {part:?}"),
    }
}

fn spans(test: &Test) -> Vec<Vec<Span>> {
    let Test::In(SetUse::Inline(elements)) = test else { panic!("not inline: {test:?}") };
    elements.iter().map(|element| element.spans.clone()).collect()
}

#[test]
fn a_flag_alone_is_a_bit_test_and_in_a_set_of_several_a_value() {
    assert_eq!(test("tcp flags syn"), (Test::AnyBit(2), false));
    assert_eq!(test("tcp flags { syn }"), (Test::AnyBit(2), false));
    assert_eq!(test("ct state new,established"), (Test::AnyBit(10), false));
    assert_eq!(test("tcp flags ! fin,rst"), (Test::AnyBit(5), true));
    for exact in ["tcp flags == syn", "tcp flags == { syn }"] {
        assert_eq!(spans(&test(exact).0), [[Span::Numbers(2, 2)]]);
    }
    let (unequal, negated) = test("tcp flags != { syn }");
    assert_eq!((spans(&unequal), negated), (vec![vec![Span::Numbers(2, 2)]], true));
    assert_eq!(spans(&test("ct state { new, established }").0).len(), 2);
    let Part::Match(masked) = &parts("tcp flags syn / syn,ack")[0] else { panic!() };
    assert_eq!((masked.keys[0].mask, spans(&masked.test)), (Some(18), vec![vec![Span::Numbers(2, 2)]]));
}

#[test]
fn what_a_match_implies_is_in_the_tree() {
    let implied = |rule: &str| match &parts(rule)[..] {
        [Part::Match(first), ..] => first.keys[0].field,
        other => panic!("{other:?}"),
    };
    assert_eq!(implied("icmp type echo-request"), Field::NfProto);
    assert_eq!(implied("sctp dport 80"), Field::Protocol);
    assert_eq!(implied("reject with tcp reset"), Field::Protocol);
    assert_eq!(implied("reject with icmp host-unreachable"), Field::NfProto);
    assert_eq!(implied("ip ttl 1"), Field::Ip4Ttl);
    assert_eq!(parts("meta l4proto sctp sctp dport 80").len(), 2);
    assert_eq!(parts("meta nfproto ipv4 icmp type echo-request").len(), 2);
}

#[test]
fn translations_have_their_addresses_ports_and_maps() {
    let nat = |rule: &str| match parts(rule).pop() {
        Some(Part::Nat(nat)) => nat,
        other => panic!("{other:?}"),
    };
    let fixed = nat("dnat ip to 10.0.0.1-10.0.0.2:80-90");
    assert_eq!(fixed.addresses, Some((0x0a00_0001, 0x0a00_0002)));
    assert_eq!((fixed.ports, fixed.family), (Some((80, 90)), Some(4)));
    assert_eq!(nat("dnat to [fd00::1]:22").family, Some(6));
    assert_eq!(nat("masquerade to :1024-2048 random").ports, Some((1024, 2048)));
    assert_eq!(nat("redirect to :8080").kind, NatKind::Redirect);
    assert_eq!(nat("snat ip prefix to ip saddr map { 10.0.0.0/24 : 10.1.0.0/24 }").kind, NatKind::Netmap);
    let map =
        nat("dnat ip to tcp dport map { 80 : 10.0.0.1 . 8080, 443 : 10.0.0.2 . 8443 }").map.expect("map");
    assert!(map.gives_address && map.gives_port);
    let map = nat("redirect to :tcp dport map { 80 : 8080 }").map.expect("map");
    assert!(!map.gives_address && map.gives_port);
}

#[test]
fn a_named_map_and_a_named_limit_are_known_wherever_they_stand_in_the_file() {
    let ruleset = read(
        "table ip t {\n chain c {\n  dnat to ip daddr . tcp dport map @m\n  limit name \"slow\" accept\n }\n\
         map m { type ipv4_addr . inet_service : ipv4_addr . inet_service; }\n limit slow { rate 5/minute }\n}",
    );
    let rules = &ruleset.tables[0].chains[0].rules;
    let Some(Part::Nat(nat)) = rules[0].parts.last() else { panic!("{rules:?}") };
    assert!(nat.map.as_ref().is_some_and(|map| map.gives_port));
    assert!(matches!(&rules[1].parts[0], Part::Limit(limit) if limit.rate == 5 && limit.per_s == 60));
}

#[test]
fn commands_are_applied_one_after_another() {
    let ruleset = read(
        "flush ruleset\nadd table inet f\nadd chain inet f in { type filter hook input priority filter - 10; policy drop; }\n\
         add rule inet f in tcp dport 1 accept\nadd rule inet f in tcp dport 3 accept\n\
         insert rule inet f in tcp dport 0 accept\nadd rule inet f in index 1 tcp dport 2 accept\n\
         delete rule inet f in index 3\nadd set inet f s { type ipv4_addr; flags interval; }\n\
         add element inet f s { 10.0.0.0/8, 192.168.0.1 }\ndelete element inet f s { 192.168.0.1 }\n\
         add rule inet f gone accept\n",
    );
    let chain = &ruleset.tables[0].chains[0];
    let base = chain.base.as_ref().expect("base");
    assert_eq!((base.priority, base.policy), (-10, Policy::Drop));
    let ports: Vec<String> = chain.rules.iter().map(|rule| rule.text.clone()).collect();
    assert_eq!(ports, ["tcp dport 0 accept", "tcp dport 1 accept", "tcp dport 2 accept"]);
    assert_eq!(chain.rules[2].number, 2);
    assert_eq!(ruleset.tables[0].sets[0].elements.len(), 1);
    assert_eq!(ruleset.unread.len(), 1, "{:?}", ruleset.unread);
    assert!(read("table ip t { }\nflush ruleset\n").tables.is_empty());
}

#[test]
fn variables_and_included_files_are_followed_and_a_missing_file_is_said() {
    let include = |path: &str| match path {
        "/etc/nft/ports" => Some("define web = { 80, 443 }\ndefine all = { 22, $web }\n".to_owned()),
        "/etc/nft/self" => Some("include \"/etc/nft/self\"\n".to_owned()),
        _ => None,
    };
    let text = "include \"/etc/nft/ports\"\ninclude \"/gone\"\ninclude \"/etc/nft/*.none\"\n\
                define wan = \"eth*\"\ntable inet t { chain c {\n iifname $wan tcp dport $all accept\n } }\n";
    let ruleset = read_text_with(&"a".into(), text, &include);
    let rule = &ruleset.tables[0].chains[0].rules[0];
    let Part::Match(ports) = &rule.parts[1] else { panic!("{rule:?}") };
    assert_eq!(spans(&ports.test).len(), 3);
    let Part::Match(name) = &rule.parts[0] else { panic!("{rule:?}") };
    assert_eq!(spans(&name.test), [[Span::Name { text: "eth".to_owned(), prefix: true }]]);
    assert_eq!(ruleset.unread.len(), 1);
    assert_eq!((ruleset.unread[0].place.line, rule.place.line), (2, 6));
    let endless = read_text_with(&"a".into(), "include \"/etc/nft/self\"\n", &include);
    assert_eq!(endless.unread.len(), 1);
}

#[test]
fn one_bad_rule_is_reported_with_its_place_and_the_others_are_read() {
    let ruleset = read(
        "table inet t {\n chain c {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n\
         \x20 tcp sport 1 nonsense (\n  tcp dport { 80, 81 accept\n  tcp dport 443 accept\n }\n \
         chain d {\n  accept\n }\n}\n",
    );
    let chains = &ruleset.tables[0].chains;
    assert_eq!(chains.len(), 2, "{ruleset:#?}");
    assert_eq!(ruleset.unread[0].place.line, 5);
    assert_eq!(ruleset.unread[0].place.column, 15);
    // A rule of which a part was not understood stays, with the part as unknown.
    assert!(matches!(chains[0].rules[1].parts[..], [Part::Match(_), Part::Unknown { .. }]));
    assert_eq!(chains[1].rules[0].parts, [Part::Verdict(Verdict::Accept)]);
    let other =
        read("table inet t {\n chain broken here {\n accept\n }\n chain d {\n drop\n }\n}\ntable ip u { }");
    assert_eq!((other.tables.len(), other.unread.len()), (2, 1), "{other:#?}");
    // What of a chain was not read is unknown, and not nothing.
    assert!(matches!(other.tables[0].chains[0].rules[0].parts[..], [Part::Unknown { .. }]));
    assert_eq!(other.tables[0].chains[1].name, "d");
}

#[test]
fn what_is_understood_but_cannot_be_modelled_is_unknown_in_its_rule() {
    for rule in
        ["xt match \"recent\"", "tcp dport nosuchservice", "dnat to numgen inc mod 2", "limit name \"x\""]
    {
        assert!(matches!(parts(rule)[..], [.., Part::Unknown { .. }]), "{rule}: {:?}", parts(rule));
    }
    assert!(parts("xt match \"comment\"").is_empty());
    let limited = "{ 10.0.0.1 limit rate 1/second, 10.0.0.2 }";
    assert!(matches!(parts(&format!("ip saddr {limited}"))[..], [Part::Unknown { .. }]));
    let set = |flags: &str| {
        read(&format!("table ip t {{\n set s {{\n type ipv4_addr\n {flags}\n elements = {limited}\n }}\n}}"))
    };
    assert_eq!(set("").unread.len(), 1);
    assert!(set("flags dynamic").unread.is_empty());
}

#[test]
fn writes_are_values_masks_and_other_fields() {
    let write = |rule: &str| match parts(rule).pop() {
        Some(Part::Write { value, .. }) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(write("meta mark set 0x11 xor 0x1331"), Written::Value(0x1320));
    let masked = Written::Masked { and: 0xffff_ff00, xor: 0x10 };
    assert_eq!(write("meta mark set meta mark & 0xffffff00 | 0x10"), masked);
    let Written::Of(other) = write("ct mark set (meta mark | 0x10) << 8") else { panic!() };
    assert_eq!((other.field, other.xor, other.shift), (Field::Mark, 0x10, 8));
}

#[test]
fn a_maps_star_is_asked_last() {
    let Some(Part::VerdictMap { set: SetUse::Inline(elements), .. }) =
        parts("ip saddr vmap { * : drop, 10.0.0.0/8 : jump x }").pop()
    else {
        panic!()
    };
    assert_eq!(elements[0].data, Some(Data::Verdict(Verdict::Jump("x".to_owned()))));
    assert_eq!(elements[1].spans, [Span::Numbers(0, u128::from(u32::MAX))]);
}

#[test]
fn a_file_that_means_harm_ends_in_a_message_and_not_in_memory() {
    let mut grown = String::from("define a0 = { 1, 2, 3, 4, 5, 6, 7, 8 }\n");
    for level in 1..12 {
        let inner = vec![format!("$a{}", level - 1); 8].join(", ");
        grown.push_str(&format!("define a{level} = {{ {inner} }}\n"));
    }
    grown.push_str("table inet t { chain c {\n tcp dport $a11 accept\n } }\n");
    let ruleset = read(&grown);
    assert!(!ruleset.unread.is_empty());
    let Some(Part::Unknown { .. }) = ruleset.tables[0].chains[0].rules[0].parts.last() else { panic!() };
    let doubled: String = (1..30).map(|at| format!("define v{at} = $v{0} | $v{0}\n", at - 1)).collect();
    let text = format!("define v0 = 1\n{doubled}table inet t {{ chain c {{\n meta mark $v29\n}} }}");
    assert!(!read(&text).unread.is_empty());
    for deep in ["{ ", "( ", "ip saddr { { ", "$a", "1 . ", "a map { 1 : "] {
        let text = format!("table inet t {{ chain c {{\n tcp dport {} }} }}", deep.repeat(50_000));
        assert!(!read(&text).unread.is_empty(), "{deep}");
    }
    let chained: String = (1..50_000).map(|at| format!("define v{at} = {{ $v{} }}\n", at - 1)).collect();
    assert!(!read(&format!("define v0 = 1\n{chained}")).unread.is_empty());
    let sum = format!("table inet t {{ chain c {{\n meta mark set 1 {}\n}} }}", "| 1 ".repeat(100_000));
    assert!(!read(&sum).unread.is_empty());
    let deep = format!("{{\"nftables\": [{{\"rule\": {}", "{\"&\": [".repeat(100_000));
    assert!(!read_json(&"deep".into(), &deep).unread.is_empty());
}

/// Every text of a tree that someone may print.
fn texts(ruleset: &Ruleset) -> String {
    let mut text = format!("{:?}", ruleset.unread.iter().map(|unread| &unread.text).collect::<Vec<_>>());
    for table in &ruleset.tables {
        text.push_str(&table.name);
        for set in &table.sets {
            text.push_str(&set.name);
        }
        for chain in &table.chains {
            text.push_str(&chain.name);
            for rule in &chain.rules {
                text.push_str(&rule.text);
                text.push_str(rule.comment.as_deref().unwrap_or_default());
            }
        }
    }
    text
}

const WORDS: &[&str] = &[
    "table",
    "chain",
    "inet",
    "ip",
    "t",
    "c",
    "{",
    "}",
    "\n",
    ";",
    "tcp",
    "dport",
    "22",
    "{ 1, 2 }",
    "accept",
    "drop",
    "ct",
    "state",
    "new",
    ",",
    ".",
    ":",
    "/",
    "24",
    "10.0.0.1",
    "fe80::1",
    "-",
    "map",
    "vmap",
    "set",
    "type",
    "typeof",
    "ipv4_addr",
    "elements",
    "=",
    "@s",
    "$x",
    "define",
    "x",
    "add",
    "insert",
    "delete",
    "rule",
    "element",
    "flush",
    "hook",
    "input",
    "priority",
    "0",
    "filter",
    "policy",
    "limit",
    "rate",
    "dnat",
    "to",
    "snat",
    "meta",
    "mark",
    "&",
    "|",
    "<<",
    "!=",
    "jump",
    "\"a b\"",
    "counter",
    "log",
    "prefix",
    "reject",
    "with",
    "icmp",
    "(",
    ")",
    "*",
    "[",
    "]",
    "fib",
    "saddr",
    "oif",
    "index",
    "comment",
    "#",
    "\\",
    "include",
    "quota",
    "over",
    "update",
    "timeout",
    "1d2h",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(!texts(&read(&text)).contains(char::is_control));
        prop_assert!(!texts(&read_json(&"x".into(), &text)).contains(char::is_control));
    }

    #[test]
    fn no_order_of_its_own_words_makes_the_reader_panic(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 0..120),
        block in any::<bool>(),
    ) {
        let words = words.join(" ");
        let text = if block { format!("table inet t {{ chain c {{ {words} }} }}") } else { words };
        let include = |_: &str| Some(text.clone());
        prop_assert!(!texts(&read_text_with(&"x".into(), &text, &include)).contains(char::is_control));
    }
}
