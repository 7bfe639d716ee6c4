//! The other clouds through the whole model: files of any name, questions by name, blockers with their lines.

#![allow(clippy::panic, reason = "a test fails with what it asked for")]

use netwhy_policy::can::Verdict;
use netwhy_policy::estate::Ask;
use netwhy_policy::world::{Source, World};

fn world(files: &[(&str, &str)]) -> World {
    let source = |(name, text): &(&str, &str)| Source { file: (*name).into(), text: (*text).to_owned() };
    World::read(&files.iter().map(source).collect::<Vec<_>>(), None)
}

fn can(world: &World, from: &str, to: &str, port: u16) -> netwhy_policy::can::Answer {
    let end = |text: &str| world.end(text).unwrap_or_else(|| panic!("{text}: {:?}", world.names()));
    world.can(&Ask { from: end(from), to: end(to), protocol: 6, port: Some(port), request: None })
}

const NSG: &str = r#"{
  "name": "web-nsg",
  "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups/web-nsg",
  "securityRules": [
    {"name": "https", "priority": 200, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
     "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "443"},
    {"name": "no-office", "priority": 100, "direction": "Inbound", "access": "Deny", "protocol": "*",
     "sourceAddressPrefix": "203.0.113.0/24", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}
  ]
}"#;

#[test]
fn a_group_alone_names_the_rule_the_line_and_the_command() {
    let world = world(&[("nsg.json", NSG)]);
    assert_eq!(world.unread(), []);
    assert_eq!(can(&world, "198.51.100.7", "10.0.0.4", 443).verdict, Verdict::Allowed);
    let denied = can(&world, "203.0.113.9", "10.0.0.4", 443);
    assert_eq!(denied.verdict, Verdict::Denied);
    let blocker = &denied.blockers[0];
    assert_eq!((blocker.place.file.as_ref(), blocker.place.line, blocker.rule), ("nsg.json", 7, Some(1)));
    assert!(denied.fix.iter().any(|fix| fix.syntax == "az"), "{:?}", denied.fix);
    let moved =
        "az network nsg rule update --resource-group rg --nsg-name web-nsg --name no-office --priority 101\n";
    assert!(denied.fix[0].change.starts_with(moved), "100 is the first there is: {:?}", denied.fix);
    let rest = can(&world, "198.51.100.7", "10.0.0.4", 22);
    assert_eq!((rest.verdict, rest.blockers[0].rule), (Verdict::Denied, None), "by the default");
    assert!(rest.fix.iter().any(|fix| fix.syntax == "terraform"), "{:?}", rest.fix);
}

/// A name that changes the colour of a terminal, as YAML and JSON can write it.
#[test]
fn no_control_character_of_a_name_is_told() {
    let pods = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: \"{name}\", namespace: \"d\\e[31m\", labels: {{\"a\\e\": b}}}}\n\
             status: {{podIP: 10.1.0.1}}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
             metadata: {{name: \"{name}\"}}\nspec: {{podSelector: {{matchLabels: {{\"a\\e\": b}}}}, ingress: []}}\n"
        )
    };
    let (nsg, manifests) = (NSG.replace("web-nsg", "\\u001b[31mred"), pods("web\\e[31m"));
    let world = world(&[("nsg.json", &nsg), ("pods.yaml", &manifests)]);
    let plain = |text: &str| !text.contains(char::is_control);
    let names = world.endpoints().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert!(names.iter().any(|name| name.contains("web [31m")), "{names:?}");
    assert!(names.iter().all(|name| plain(name)), "{names:?}");
    for finding in world.lint(None) {
        assert!(plain(&finding.text.en) && plain(&finding.text.zh), "{:?}", finding.text);
    }
    let denied = can(&world, "203.0.113.9", "10.0.0.4", 443);
    assert!(!denied.blockers.is_empty());
    for blocker in &denied.blockers {
        assert!(plain(&blocker.why.en) && plain(&blocker.text) && plain(&blocker.within), "{blocker:?}");
    }
}

const TERRAFORM: &str = r#"
resource "google_compute_network" "net" {
  name = "net"
}
resource "google_compute_firewall" "web" {
  name          = "web"
  network       = google_compute_network.net.name
  source_ranges = ["0.0.0.0/0"]
  target_tags   = ["web"]
  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}
resource "google_compute_instance" "web" {
  name = "web"
  tags = ["web"]
  network_interface {
    network    = google_compute_network.net.id
    network_ip = "10.0.0.2"
    access_config {
      nat_ip = "34.1.2.3"
    }
  }
}
resource "google_compute_instance" "db" {
  name = "db"
  tags = ["db"]
  network_interface {
    network    = google_compute_network.net.id
    network_ip = "10.0.0.3"
  }
}
"#;

#[test]
fn terraform_of_another_cloud_goes_to_its_reader() {
    let world = world(&[("main.tf", TERRAFORM)]);
    assert_eq!(can(&world, "outside", "web", 443).verdict, Verdict::Allowed);
    assert_eq!(can(&world, "outside", "web", 22).verdict, Verdict::Denied);
    assert_eq!(can(&world, "web", "db", 443).verdict, Verdict::Denied);
    assert_eq!(can(&world, "db", "web", 443).verdict, Verdict::Allowed);
}

const ALIYUN: &str = r#"{"SecurityGroupId": "sg-1", "VpcId": "vpc-1", "InnerAccessPolicy": "Drop", "Permissions": {"Permission": [
  {"Direction": "ingress", "Policy": "Accept", "Priority": "10", "IpProtocol": "TCP", "SourceCidrIp": "0.0.0.0/0", "PortRange": "443/443"},
  {"Direction": "ingress", "Policy": "Drop", "Priority": "10", "IpProtocol": "TCP", "SourceCidrIp": "203.0.113.0/24", "PortRange": "1/65535"},
  {"Direction": "ingress", "Policy": "Accept", "Priority": "20", "IpProtocol": "TCP", "SourceCidrIp": "203.0.113.7/32", "PortRange": "443/443"}]}}"#;

#[test]
fn aliyun_drop_wins_a_tie_and_what_comes_after_is_dead() {
    let world = world(&[("sg.json", ALIYUN)]);
    assert_eq!(can(&world, "198.51.100.7", "10.0.0.4", 443).verdict, Verdict::Allowed);
    let denied = can(&world, "203.0.113.9", "10.0.0.4", 443);
    assert_eq!((denied.verdict, denied.blockers[0].rule), (Verdict::Denied, Some(1)));
    let dead: Vec<Option<u32>> =
        world.lint(None).iter().filter(|one| one.kind == "dead").map(|one| one.rule).collect();
    assert_eq!(dead, [Some(2)]);
}

#[test]
fn what_nobody_uses_and_what_is_gone_is_found() {
    let instance = r#"{"Instances": {"Instance": [{"InstanceId": "i-1", "InstanceType": "t", "SecurityGroupIds": {"SecurityGroupId": ["sg-2"]},
      "VpcAttributes": {"VpcId": "vpc-1", "VSwitchId": "vsw-1", "PrivateIpAddress": {"IpAddress": ["10.0.0.1"]}}}]}}"#;
    let group = r#"{"SecurityGroupId": "sg-2", "VpcId": "vpc-1", "Permissions": {"Permission": [
      {"Direction": "ingress", "Policy": "Accept", "Priority": "1", "IpProtocol": "TCP", "SourceGroupId": "sg-gone", "PortRange": "443/443"}]}}"#;
    let acl = r#"{"NetworkAclAttribute": {"NetworkAclId": "nacl-1", "Resources": {"Resource": []},
      "IngressAclEntries": {"IngressAclEntry": [{"Policy": "accept", "Protocol": "tcp", "SourceCidrIp": "0.0.0.0/0", "Port": "443/443"}]},
      "EgressAclEntries": {"EgressAclEntry": [{"Policy": "accept", "Protocol": "tcp", "DestinationCidrIp": "0.0.0.0/0", "Port": "443/443"}]}}}"#;
    let world = world(&[
        ("sg-1.json", ALIYUN),
        ("sg-2.json", group),
        ("instances.json", instance),
        ("acl.json", acl),
    ]);
    let found = world.lint(None);
    let kinds = |file: &str| -> Vec<&str> {
        found.iter().filter(|one| one.place.file.as_ref() == file).map(|one| one.kind).collect()
    };
    assert!(kinds("sg-1.json").contains(&"unused"), "{found:?}");
    assert!(kinds("sg-2.json").contains(&"dangling"), "{found:?}");
    assert!(kinds("acl.json").contains(&"one-way"), "{found:?}");
}

const POLICY: &str = "
kind: compute#firewallPolicy
name: guard
associations:
- attachmentTarget: https://www.googleapis.com/compute/v1/projects/p/global/networks/net
rules:
- action: allow
  direction: INGRESS
  priority: 10
  match:
    srcIpRanges: [198.51.100.0/24]
    layer4Configs:
    - ipProtocol: tcp
      ports: ['443']
- action: deny
  direction: INGRESS
  priority: 20
  match:
    srcIpRanges: [0.0.0.0/0]
    layer4Configs:
    - ipProtocol: all
- action: allow
  direction: INGRESS
  priority: 30
  match:
    srcIpRanges: [203.0.113.0/24]
    layer4Configs:
    - ipProtocol: tcp
      ports: ['22']
";

#[test]
fn a_firewall_policy_as_yaml_answers_and_its_dead_rule_is_found() {
    let world = world(&[("policy.yaml", POLICY)]);
    assert_eq!(world.unread(), []);
    assert_eq!(can(&world, "198.51.100.7", "10.0.0.4", 443).verdict, Verdict::Allowed);
    let denied = can(&world, "203.0.113.9", "10.0.0.4", 22);
    assert_eq!((denied.verdict, denied.blockers[0].rule), (Verdict::Denied, Some(1)));
    let dead: Vec<Option<u32>> =
        world.lint(None).iter().filter(|one| one.kind == "dead").map(|one| one.rule).collect();
    assert_eq!(dead, [Some(2)]);
}
