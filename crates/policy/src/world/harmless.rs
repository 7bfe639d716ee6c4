//! Documents of clouds that hold no rules and no ways: known, and passed over quietly.

use crate::doc::{Node, Value};

/// Listings of `aws … describe-*`, by their key in lower case.
const LISTINGS: [&str; 44] = [
    "accountattributes",
    "availabilityzones",
    "bundletasks",
    "capacityreservations",
    "certificatesummarylist",
    "classiclinkinstances",
    "clientvpnendpoints",
    "conversiontasks",
    "dbclusters",
    "dbsubnetgroups",
    "dhcpoptions",
    "exporttasks",
    "fleets",
    "flowlogs",
    "hosts",
    "hostreservationset",
    "hostedzones",
    "iaminstanceprofileassociations",
    "images",
    "instancestatuses",
    "instancetypes",
    "instancetypeofferings",
    "internetgatewayids",
    "keypairs",
    "launchconfigurations",
    "launchtemplates",
    "launchtemplateversions",
    "networkinsightsanalyses",
    "networkinsightspaths",
    "placementgroups",
    "regions",
    "reservedinstances",
    "resourcerecordsets",
    "scheduledinstanceset",
    "servicenames",
    "snapshots",
    "spotinstancerequests",
    "spotpricehistory",
    "stalesecuritygroupset",
    "tagdescriptions",
    "tags",
    "volumes",
    "volumesstatuses",
    "vpcclassiclink",
];
/// What stands beside a listing and says nothing.
const BESIDE: [&str; 4] = ["nexttoken", "marker", "responsemetadata", "zonesunavailable"];

/// Whether a document is known to say nothing of who may reach whom.
pub(super) fn is_harmless(node: &Node) -> bool {
    match &node.value {
        Value::List(nodes) => nodes.iter().all(is_harmless),
        Value::Map(_) => is_listing(node) || is_typed(node),
        _ => false,
    }
}

/// A listing of AWS of things without rules, or an empty one of whatever.
fn is_listing(node: &Node) -> bool {
    let word =
        |key: &str| key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let passes = |(key, value): &(String, Node)| {
        let key = word(key);
        let empty = matches!(&value.value, Value::List(nodes) if nodes.is_empty());
        empty || BESIDE.contains(&key.as_str()) || LISTINGS.contains(&key.as_str())
    };
    let listed = node.members().iter().any(|(_, value)| matches!(value.value, Value::List(_)));
    listed && node.members().iter().all(passes)
}

/// A thing that says what it is, in the words of Google or Azure, and that no reader took.
fn is_typed(node: &Node) -> bool {
    let google =
        node.word("kind").is_some_and(|kind| kind.starts_with("compute#") || kind.starts_with("dns#"));
    let azure = node.word("type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("microsoft."));
    google || azure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_rules_is_passed_over_and_what_nobody_knows_is_not() {
        let harmless = |text: &str| {
            let read = crate::doc::json(&"x.json".into(), text);
            read.documents.iter().all(is_harmless)
        };
        for text in [
            r#"{"AvailabilityZones": [{"ZoneName": "z"}], "NextToken": "x"}"#,
            r#"{"KeyPairs": []}"#,
            r#"{"Anything": []}"#,
            r#"[{"kind": "compute#zone"}]"#,
            r#"{"type": "Microsoft.Storage/storageAccounts", "name": "s"}"#,
        ] {
            assert!(harmless(text), "{text}");
        }
        for text in
            [r#"{"a": 1}"#, r#"{"Firewalls": [{"a": 1}]}"#, r#"{"Regions": [], "rules": {"a": 1}}"#, "[1]"]
        {
            assert!(!harmless(text), "{text}");
        }
    }
}
