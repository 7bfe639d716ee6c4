//! The ranges of protection nodes against allow lists, and files of ranges that users give.
#![allow(clippy::expect_used, reason = "helpers of tests may fail loudly")]

use netwhy_model::Lang;
use netwhy_policy::doc::json;
use netwhy_policy::estate::Estate;
use netwhy_policy::gate::Gate;
use netwhy_policy::ranges::{ProtectionNode, findings, guess, missing, openings, read, well_known};
use netwhy_policy::read::Span;
use netwhy_policy::zero_trust::{Facts, zero_trust};
use proptest::prelude::*;
use std::sync::Arc;

fn node(id: &str) -> ProtectionNode {
    well_known().into_iter().find(|node| node.id == id).expect(id)
}

fn spans(texts: &[&str]) -> Vec<Span> {
    texts.iter().map(|text| Span::read(text).expect(text)).collect()
}

/// A gate that lets these sources in to port 443.
fn gate(sources: &[&str], when: &str) -> Arc<Gate> {
    let text = format!(
        "{{\"name\": \"origin\", \"rules\": [{{\"from\": {sources:?}, \"ports\": [443], \"protocols\": [\"tcp\"]{when}}}]}}"
    );
    let read = json(&"gate.json".into(), &text);
    assert!(read.unread.is_empty(), "{:?}", read.unread);
    zero_trust(&read.documents, &Facts::default()).gates().remove(0)
}

#[test]
fn every_shipped_node_has_its_source_and_a_date_or_the_reason_why_it_has_no_ranges() {
    let nodes = well_known();
    assert!(nodes.len() >= 10);
    for node in &nodes {
        assert!(node.source.starts_with("https://"), "{}", node.id);
        assert_eq!(node.ranges.is_empty(), node.as_of.is_none(), "{}", node.id);
        assert!(!node.ranges.is_empty() || node.note.is_some(), "{}", node.id);
    }
    assert_eq!((node("cloudflare").ranges.len(), node("fastly").ranges.len()), (22, 21));
}

#[test]
fn ranges_missing_from_an_allow_list_are_found_with_the_part_that_is_missing() {
    let cloudflare = node("cloudflare");
    let texts: Vec<String> = cloudflare.ranges.iter().map(ToString::to_string).collect();
    let without: Vec<&str> =
        texts.iter().map(String::as_str).filter(|text| *text != "131.0.72.0/22").collect();
    let found = missing(&cloudflare.ranges, &gate(&without, ""), &[], &[443]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].range.to_string().as_str(), found[0].depends), ("131.0.72.0/22", false));
    let half = missing(&spans(&["131.0.72.0/22"]), &gate(&["131.0.72.0/23"], ""), &[], &[443]);
    assert_eq!(half[0].sources, spans(&["131.0.74.0/23"]));
    let origin = spans(&["203.0.113.10"]);
    let found = missing(&cloudflare.ranges, &gate(&without, ""), &origin, &[80, 443]);
    assert_eq!(found.len(), 15, "port 80 is closed to all of IPv4, and the origin has no IPv6");
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert!(missing(&cloudflare.ranges, &gate(&all, ""), &[], &[443]).is_empty());
    assert!(openings(&cloudflare.ranges, &gate(&all, ""), &[], &[443]).is_empty());
    let perhaps =
        missing(&spans(&["131.0.72.0/22"]), &gate(&["any"], ", \"when\": {\"mfa\": true}"), &[], &[443]);
    assert!(perhaps[0].depends);
}

#[test]
fn an_origin_open_to_everyone_behind_a_node_is_a_bypass_also_when_two_halves_do_it() {
    let ranges = node("cloudflare").ranges;
    let v4 = spans(&["203.0.113.10"]);
    for sources in
        [&["0.0.0.0/0"][..], &["0.0.0.0/1", "128.0.0.0/1"], &["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"]]
    {
        let gate = gate(sources, "");
        let found = openings(&ranges, &gate, &v4, &[443]);
        assert_eq!((found.len(), found[0].everywhere, found[0].depends), (1, true, false), "{sources:?}");
        let told = findings(&node("cloudflare").name, &[], &found, &gate);
        assert!(told[0].text.get(Lang::En).starts_with("everyone reaches port 443"), "{told:?}");
    }
    let admin = openings(&ranges, &gate(&["198.51.100.7/32", "10.0.0.0/8"], ""), &v4, &[443]);
    assert_eq!((admin[0].everywhere, admin[0].sources.as_slice()), (false, &spans(&["198.51.100.7"])[..]));
    assert_eq!(guess(&well_known(), &ranges).map(|node| node.id.as_str()), Some("cloudflare"));
    assert_eq!(guess(&well_known(), &spans(&["198.51.100.0/24"])), None);
    assert_eq!(
        guess(&well_known(), &spans(&["0.0.0.0/0", "::/0"])),
        None,
        "open to everyone is behind nothing"
    );
}

#[test]
fn files_of_every_vendor_are_read() {
    let file: Arc<str> = "ranges".into();
    let text = "# nodes\n192.0.2.0/24, 198.51.100.0/24\nallow 203.0.113.0/24; # x\nset_real_ip_from 2001:db8::/32;\n10.0.0.0/40\n";
    let given = read(&file, text, None);
    assert_eq!((given.ranges.len(), given.unread.len()), (4, 1));
    assert_eq!((given.ranges[2].1.line, given.ranges[2].1.column), (3, 7));
    let count = |text: &str, only: Option<&str>| {
        let given = read(&file, text, only);
        assert!(given.unread.is_empty(), "{:?}", given.unread);
        given.ranges.len()
    };
    let aws = r#"{"syncToken": "1", "createDate": "2026-01-02-03-04-05", "prefixes": [
      {"ip_prefix": "3.5.140.0/22", "region": "ap-northeast-2", "service": "AMAZON"},
      {"ip_prefix": "13.32.4.0/22", "region": "GLOBAL", "service": "CLOUDFRONT_ORIGIN_FACING"}],
      "ipv6_prefixes": [{"ipv6_prefix": "2600:1f00::/40", "region": "GLOBAL", "service": "CLOUDFRONT"}]}"#;
    assert_eq!((count(aws, None), count(aws, Some("cloudfront")), count(aws, Some("GLOBAL"))), (1, 1, 2));
    assert_eq!(read(&file, aws, None).as_of.as_deref(), Some("2026-01-02-03-04-05"));
    assert_eq!(count(r#"{"addresses": ["23.235.32.0/20"], "ipv6_addresses": ["2a04:4e40::/32"]}"#, None), 2);
    assert_eq!(
        count(
            r#"{"result": {"ipv4_cidrs": ["173.245.48.0/20"], "ipv6_cidrs": ["2400:cb00::/32"], "etag": "x"}, "success": true}"#,
            None
        ),
        2
    );
    assert_eq!(
        count(r#"{"prefixes": [{"ipv4Prefix": "8.8.4.0/24"}, {"ipv6Prefix": "2001:4860::/32"}]}"#, None),
        2
    );
    let azure = r#"{"values": [{"name": "AzureFrontDoor.Backend", "properties": {"addressPrefixes": ["4.150.240.0/28"]}},
      {"name": "Sql", "properties": {"addressPrefixes": ["4.150.241.0/28"]}}]}"#;
    assert_eq!((count(azure, Some("azurefrontdoor.backend")), count(azure, None)), (1, 2));
    assert_eq!(count("[\"192.0.2.0/24\"]", None), 1);
}

proptest! {
    #[test]
    fn no_file_of_ranges_makes_the_reader_fail(text in "[ -~\n\u{e9}]{0,120}|([0-9./:a-f,; {}\\[\\]\"]{0,80})") {
        read(&"x".into(), &text, None);
        read(&"x".into(), &text, Some("a"));
    }
}
