//! Files of intents: what they stand for, and what is refused.
#![allow(clippy::expect_used, reason = "helpers of tests may fail loudly")]

use netwhy_policy::estate::End;
use netwhy_policy::finding::Level;
use netwhy_policy::intents::{Intent, Must, intents};
use proptest::prelude::*;

fn only(text: &str) -> Intent {
    let read = intents(&"intents.toml".into(), text);
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    read.intents.into_iter().next().expect("one intent")
}

/// The places and words of what was refused.
fn refused(text: &str) -> Vec<String> {
    let read = intents(&"i.toml".into(), text);
    assert!(read.intents.is_empty(), "{:?}", read.intents);
    read.unread.iter().map(|one| format!("{} {}", one.place, one.why.en)).collect()
}

#[test]
fn an_intent_stands_for_every_pair_of_its_ends_ports_and_protocols() {
    let intent = only(
        "[groups]\nedge = [\"10.0.0.0/30\", \"node-1\"]\nall = [\"edge\", \"outside\"]\n[[intent]]\nname = \"edge must reach origin\"\n\
         from = \"all\"\nto = [\"origin:443,8000-8001\", \"[2001:db8::1]:53\"]\nprotocols = [\"tcp\", \"udp\"]\nmust = \"reach\"\nseverity = \"warning\"\nwhy = \"shop\"\n",
    );
    assert_eq!(
        (intent.name.as_str(), intent.must, intent.severity),
        ("edge must reach origin", Must::Reach, Level::Warning)
    );
    // 3 ends × 3 ports × 2 protocols, and of [2001:db8::1]:53 those that are not of IPv4.
    assert_eq!(intent.asks.len(), 3 * 3 * 2 + 2 * 2);
    assert!(
        intent
            .asks
            .iter()
            .any(|ask| ask.from == End::Outside && ask.port == Some(8001) && ask.protocol == 17)
    );
    assert_eq!(intent.why.as_deref(), Some("shop"));
}

#[test]
fn what_an_exception_takes_out_of_the_outside_is_not_asked_and_all_else_is() {
    use netwhy_policy::check::{Kept, check};
    use netwhy_policy::world::{Source, World};
    let rules = "table inet f {\n chain i {\n  type filter hook input priority 0; policy drop;\n  \
                 ip saddr 198.51.100.0/24 tcp dport 5432 accept\n }\n}\n";
    let world = World::read(&[Source { file: "h.nft".into(), text: rules.to_owned() }], None);
    let kept = |except: &str, must: &str| {
        let text = format!(
            "[[intent]]\nname = \"n\"\nfrom = \"outside\"\nto = \"10.0.0.5:5432\"\nmust = \"{must}\"\nexcept = [{except}]\n"
        );
        check(&world, &only(&text)).result
    };
    assert_ne!(kept("", "not-reach"), Kept::Kept);
    assert_eq!(kept("{ from = \"198.51.100.0/24\" }", "not-reach"), Kept::Kept);
    assert_eq!(kept("\"198.51.100.0/25\", \"198.51.100.128/25\"", "not-reach"), Kept::Kept);
    assert_ne!(kept("{ from = \"198.51.100.0/25\" }", "not-reach"), Kept::Kept);
    assert_ne!(kept("{ from = \"198.51.100.0/24\", to = \"10.0.0.6\" }", "not-reach"), Kept::Kept);
    // Everybody but those must reach it: nobody else does.
    assert_eq!(kept("{ from = \"198.51.100.0/24\" }", "reach"), Kept::Broken);
}

#[test]
fn exceptions_are_taken_out_exactly_where_addresses_say_it() {
    let asks = |except: &str| {
        let text = format!(
            "[[intent]]\nfrom = [\"10.0.0.0/30\", \"bastion\"]\nto = \"db:5432\"\nmust = \"not-reach\"\nexcept = {except}\n"
        );
        only(&text).asks.iter().map(|ask| format!("{:?}", ask.from)).collect::<Vec<_>>()
    };
    assert_eq!(
        asks("[\"10.0.0.1\"]"),
        ["Addresses(10.0.0.0, 10.0.0.0)", "Addresses(10.0.0.2, 10.0.0.3)", "Known(\"bastion\")"]
    );
    assert_eq!(asks("[{ from = \"bastion\", to = \"db\" }]"), ["Addresses(10.0.0.0, 10.0.0.3)"]);
    assert_eq!(asks("[{ from = \"bastion\", to = \"other\" }]").len(), 2);
    assert_eq!(asks("[{ to = \"db\" }]").len(), 0);
}

#[test]
fn unknown_words_are_refused_with_a_suggestion_and_their_place() {
    let unknown = refused("[[intent]]\nform = \"a\"\nfrom = \"a\"\nto = \"b:1\"\nmust = \"reech\"\n");
    assert_eq!(unknown[0], "i.toml:2:1 \"form\" is not known; did you mean \"from\"?");
    assert_eq!(unknown[1], "i.toml:5:1 \"reech\" is not known; did you mean \"reach\"?");
    assert_eq!(refused("[[intent]]\nfrom = \"a\"\nto = \"b\"\n")[0], "i.toml:1:1 \"must\" is missing");
    assert!(refused("[intent]\nfrom = \"a\"\n")[0].contains("two brackets"));
    assert!(refused("[intents]\n")[0].contains("did you mean \"intent\""));
    for bad in ["10.0.0.0/33", "300.1.1.1", ""] {
        assert_eq!(
            refused(&format!("[[intent]]\nfrom = \"{bad}\"\nto = \"b\"\nmust = \"reach\"\n")).len(),
            1,
            "{bad}"
        );
    }
    assert_eq!(refused("[[intent]]\nfrom = \"a\"\nto = \"b:1-65535\"\nmust = \"reach\"\n").len(), 1);
    assert!(
        !refused(
            "[groups]\na = [\"b\"]\nb = [\"a\"]\n[[intent]]\nfrom = \"a\"\nto = \"x\"\nmust = \"reach\"\n"
        )
        .is_empty()
    );
    let read = intents(
        &"i.toml".into(),
        "[[intent]]\nfrom = \"a\"\nto = \"b\"\nmust = \"reach\"\n[[intent]]\nfrom = \n",
    );
    assert!(read.intents.len() == 1 && !read.unread.is_empty());
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fail(text in "[ -~\n\u{e9}]{0,200}") {
        intents(&"x".into(), &text);
    }

    #[test]
    fn no_ends_make_the_reader_fail(from in "[a-z0-9./:\\[\\], -]{0,20}", to in "[a-z0-9./:\\[\\], -]{0,20}", except in "[a-z0-9./:-]{0,12}") {
        intents(&"x".into(), &format!("[groups]\na = [{from:?}]\n[[intent]]\nfrom = [\"a\", {to:?}]\nto = {to:?}\nmust = \"reach\"\nexcept = [{except:?}]\n"));
    }
}
