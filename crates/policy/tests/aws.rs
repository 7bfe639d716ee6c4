//! AWS's semantics, one case for each trap.
#![allow(clippy::expect_used)]

use netwhy_policy::aws::Aws;
use netwhy_policy::can::{Answer, Verdict, can};
use netwhy_policy::estate::{Ask, End, Estate};
use proptest::prelude::*;

/// Two subnets of one VPC, an instance in each, an internet gateway; what a case is about is added.
const BASE: &str = r#"
resource "aws_vpc" "v" { cidr_block = "10.0.0.0/16" }
resource "aws_subnet" "a" {
  vpc_id     = aws_vpc.v.id
  cidr_block = "10.0.1.0/24"
}
resource "aws_subnet" "b" {
  vpc_id     = aws_vpc.v.id
  cidr_block = "10.0.2.0/24"
}
resource "aws_internet_gateway" "g" { vpc_id = aws_vpc.v.id }
resource "aws_instance" "web" {
  subnet_id              = aws_subnet.a.id
  private_ip             = "10.0.1.10"
  vpc_security_group_ids = [aws_security_group.web.id]
}
resource "aws_instance" "db" {
  subnet_id              = aws_subnet.b.id
  private_ip             = "10.0.2.20"
  vpc_security_group_ids = [aws_security_group.db.id]
}
"#;

/// Groups that let everything through.
const OPEN: &str = r#"
resource "aws_security_group" "web" {
  vpc_id = aws_vpc.v.id
  ingress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}
resource "aws_security_group" "db" {
  vpc_id = aws_vpc.v.id
  ingress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}
"#;

fn end(text: &str) -> End {
    match text.parse() {
        Ok(address) => End::Addresses(address, address),
        Err(_) if text == "outside" => End::Outside,
        Err(_) => End::Known(text.to_owned()),
    }
}

fn ask_of(parts: &[&str], from: &str, to: &str, protocol: u8, port: Option<u16>) -> Answer {
    let text = parts.concat();
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(Aws::read(&[("main.tf".into(), text.as_str())]))];
    can(&estates, &Ask { from: end(from), to: end(to), protocol, port })
}

/// Web to database, TCP 5432.
fn web_to_db(parts: &[&str]) -> Answer {
    ask_of(parts, "aws_instance.web", "aws_instance.db", 6, Some(5432))
}

fn fixes(answer: &Answer) -> String {
    answer.fix.iter().map(|fix| format!("{}: {}\n", fix.syntax, fix.change)).collect()
}

#[track_caller]
fn is(answer: &Answer, verdict: Verdict) {
    assert_eq!(answer.verdict, verdict, "{:#?}", answer.steps);
}

#[test]
fn open_groups_in_one_vpc_let_everything_through() {
    is(&web_to_db(&[BASE, OPEN]), Verdict::Allowed);
}

const WEB_OUT: &str = r#"
resource "aws_security_group" "web" {
  vpc_id = aws_vpc.v.id
  egress {
    protocol    = "tcp"
    from_port   = 5432
    to_port     = 5432
    cidr_blocks = ["10.0.0.0/16"]
  }
}
"#;

#[test]
fn groups_only_allow_and_the_fix_is_one_rule_for_one_address() {
    let db = "resource \"aws_security_group\" \"db\" {\n  vpc_id = aws_vpc.v.id\n}\n";
    let answer = web_to_db(&[BASE, WEB_OUT, db]);
    is(&answer, Verdict::Denied);
    assert_eq!(answer.blockers.len(), 1);
    assert!(fixes(&answer).contains("cidr_ipv4         = \"10.0.1.10/32\""), "{}", fixes(&answer));
    assert!(fixes(&answer).contains("security_group_id = aws_security_group.db.id"));
    assert!(fixes(&answer).contains("from_port         = 5432"));
}

#[test]
fn groups_are_stateful_and_their_answers_need_no_rule() {
    let db = r#"
resource "aws_security_group" "db" {
  vpc_id = aws_vpc.v.id
  ingress {
    protocol        = "tcp"
    from_port       = 5432
    to_port         = 5432
    security_groups = [aws_security_group.web.id]
  }
}
"#;
    // Neither does the group of the database let anything out, nor that of the other anything in.
    is(&web_to_db(&[BASE, WEB_OUT, db]), Verdict::Allowed);
    is(&ask_of(&[BASE, WEB_OUT, db], "aws_instance.db", "aws_instance.web", 6, Some(5432)), Verdict::Denied);
}

#[test]
fn the_rules_of_all_groups_of_an_interface_are_one_list_without_an_order() {
    let more = r#"
resource "aws_security_group" "db" { vpc_id = aws_vpc.v.id }
resource "aws_security_group" "extra" { vpc_id = aws_vpc.v.id }
resource "aws_vpc_security_group_ingress_rule" "pg" {
  security_group_id = aws_security_group.extra.id
  ip_protocol       = "tcp"
  from_port         = 5400
  to_port           = 5500
  cidr_ipv4         = "10.0.1.0/24"
}
resource "aws_network_interface_sg_attachment" "x" {
  security_group_id    = aws_security_group.extra.id
  network_interface_id = aws_instance.db.primary_network_interface_id
}
"#;
    is(&web_to_db(&[BASE, WEB_OUT, more]), Verdict::Allowed);
}

#[test]
fn a_group_that_is_not_among_the_files_makes_it_depend() {
    let db = "resource \"aws_security_group\" \"db\" {\n  vpc_id = aws_vpc.v.id\n  ingress {\n    protocol = \"tcp\"\n    \
              from_port = 5432\n    to_port = 5432\n    security_groups = [var.clients]\n  }\n}\n";
    is(&web_to_db(&[BASE, WEB_OUT, db]), Verdict::Depends);
    let base = BASE.replace("aws_security_group.db.id", "var.group");
    is(&web_to_db(&[&base, WEB_OUT]), Verdict::Depends);
}

#[test]
fn icmp_has_type_and_code_in_place_of_ports_and_all_traffic_ignores_ports() {
    let db = |from: i32, to: i32, protocol: &str| {
        format!(
            "resource \"aws_security_group\" \"db\" {{\n  vpc_id = aws_vpc.v.id\n  ingress {{\n    protocol = \
             \"{protocol}\"\n    from_port = {from}\n    to_port = {to}\n    cidr_blocks = [\"10.0.0.0/16\"]\n  }}\n}}\n"
        )
    };
    let open = OPEN.split("resource \"aws_security_group\" \"db\"").next().expect("web");
    let ping = |group: &str| ask_of(&[BASE, open, group], "aws_instance.web", "aws_instance.db", 1, None);
    is(&ping(&db(8, 0, "icmp")), Verdict::Allowed);
    is(&ping(&db(-1, -1, "icmp")), Verdict::Allowed);
    is(&ping(&db(8, -1, "icmp")), Verdict::Allowed);
    is(&ping(&db(3, 4, "icmp")), Verdict::Denied);
    is(&ping(&db(0, 65535, "tcp")), Verdict::Denied);
    is(&ping(&db(22, 22, "-1")), Verdict::Allowed);
    is(&web_to_db(&[BASE, open, &db(22, 22, "-1")]), Verdict::Allowed);
    is(&web_to_db(&[BASE, open, &db(22, 22, "tcp")]), Verdict::Denied);
}

/// A network ACL of the database's subnet with these entries.
fn acl(entries: &[(&str, u32, &str, &str, &str, u16, u16)]) -> String {
    let mut text =
        "resource \"aws_network_acl\" \"n\" {\n  vpc_id = aws_vpc.v.id\n  subnet_ids = [aws_subnet.b.id]\n"
            .to_owned();
    for (direction, number, action, protocol, cidr, from, to) in entries {
        text.push_str(&format!(
            "  {direction} {{\n    rule_no = {number}\n    action = \"{action}\"\n    protocol = \"{protocol}\"\n    \
             cidr_block = \"{cidr}\"\n    from_port = {from}\n    to_port = {to}\n  }}\n"
        ));
    }
    text + "}\n"
}

#[test]
fn the_lowest_number_that_matches_decides_whatever_the_order_in_the_file() {
    let back = ("egress", 100, "allow", "tcp", "10.0.0.0/16", 1024, 65535);
    let allow = |number| ("ingress", number, "allow", "tcp", "10.0.1.0/24", 5432, 5432);
    let deny = |number| ("ingress", number, "deny", "tcp", "10.0.1.10/32", 0, 65535);
    is(&web_to_db(&[BASE, OPEN, &acl(&[allow(100), deny(200), back])]), Verdict::Allowed);
    let answer = web_to_db(&[BASE, OPEN, &acl(&[allow(200), deny(100), back])]);
    is(&answer, Verdict::Denied);
    assert_eq!(answer.blockers[0].rule, Some(100));
    assert!(answer.blockers[0].place.line > 0);
    let fixes = fixes(&answer);
    assert!(fixes.contains("rule_number    = 99") && fixes.contains("\"10.0.1.10/32\""), "{fixes}");
}

#[test]
fn what_no_entry_matches_the_star_denies_and_the_answers_need_their_ephemeral_ports() {
    let inbound = ("ingress", 100, "allow", "tcp", "10.0.1.0/24", 5432, 5432);
    let answer = web_to_db(&[BASE, OPEN, &acl(&[inbound])]);
    is(&answer, Verdict::Denied);
    let back: Vec<_> = answer.steps.iter().filter(|step| step.way == "back").collect();
    assert!(back[0].what.en.contains("32768-60999 of Linux, none of them let through"), "{:?}", back[0].what);
    assert!(fixes(&answer).contains("from_port      = 32768"), "{}", fixes(&answer));
    let enough = ("egress", 100, "allow", "tcp", "10.0.1.0/24", 32768, 61000);
    is(&web_to_db(&[BASE, OPEN, &acl(&[inbound, enough])]), Verdict::Allowed);
    let part = ("egress", 100, "allow", "tcp", "10.0.1.0/24", 1024, 40000);
    let answer = web_to_db(&[BASE, OPEN, &acl(&[inbound, part])]);
    is(&answer, Verdict::Depends);
    assert!(answer.steps.iter().any(|step| step.what.en.contains("only 32768-40000 let through")));
    // An ACL that lets the service out by its own port lets no answer out.
    let same = ("egress", 100, "allow", "tcp", "10.0.1.0/24", 5432, 5432);
    is(&web_to_db(&[BASE, OPEN, &acl(&[inbound, same])]), Verdict::Denied);
}

#[test]
fn an_acl_is_not_asked_within_its_subnet() {
    let base = BASE.replace("aws_subnet.a.id", "aws_subnet.b.id").replace("10.0.1.10", "10.0.2.10");
    is(&web_to_db(&[&base, OPEN, &acl(&[])]), Verdict::Allowed);
    is(&web_to_db(&[BASE, OPEN, &acl(&[])]), Verdict::Denied);
}

const PUBLIC: &str = r#"
resource "aws_eip" "e" {
  instance  = aws_instance.web.id
  public_ip = "198.51.100.7"
}
"#;
const TO_INTERNET: &str = r#"
resource "aws_route_table" "a" {
  vpc_id = aws_vpc.v.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.g.id
  }
}
resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.a.id
  route_table_id = aws_route_table.a.id
}
"#;

#[test]
fn an_internet_gateway_needs_a_route_and_a_public_address() {
    let out = |parts: &[&str]| ask_of(parts, "aws_instance.web", "8.8.8.8", 6, Some(443));
    is(&out(&[BASE, OPEN, PUBLIC, TO_INTERNET]), Verdict::Allowed);
    let answer = out(&[BASE, OPEN, TO_INTERNET]);
    is(&answer, Verdict::Denied);
    assert!(fixes(&answer).contains("aws_eip"), "{}", fixes(&answer));
    let only_local = TO_INTERNET.replace("0.0.0.0/0", "198.18.0.0/15");
    let answer = out(&[BASE, OPEN, PUBLIC, &only_local]);
    is(&answer, Verdict::Denied);
    assert!(answer.blockers[0].why.en.contains("no route"), "{:?}", answer.blockers);
    assert!(fixes(&answer).contains("gateway_id = aws_internet_gateway.g.id"), "{}", fixes(&answer));
}

#[test]
fn from_outside_the_public_address_leads_in_and_the_answers_need_the_route_out() {
    let into = |parts: &[&str], to: &str| ask_of(parts, "outside", to, 6, Some(443));
    is(&into(&[BASE, OPEN, PUBLIC, TO_INTERNET], "aws_instance.web"), Verdict::Allowed);
    is(&into(&[BASE, OPEN, PUBLIC, TO_INTERNET], "198.51.100.7"), Verdict::Allowed);
    is(&into(&[BASE, OPEN, PUBLIC, TO_INTERNET], "aws_instance.db"), Verdict::Denied);
    let nat = r#"
resource "aws_nat_gateway" "n" {
  subnet_id = aws_subnet.b.id
  public_ip = "198.51.100.9"
}
"#;
    let through_nat = TO_INTERNET
        .replace("gateway_id = aws_internet_gateway.g.id", "nat_gateway_id = aws_nat_gateway.n.id");
    let answer = into(&[BASE, OPEN, PUBLIC, nat, &through_nat], "aws_instance.web");
    is(&answer, Verdict::Denied);
    assert!(answer.blockers[0].why.en.contains("the answers would go out through"), "{:?}", answer.blockers);
}

#[test]
fn a_nat_gateway_goes_on_through_the_acl_and_the_route_of_its_own_subnet() {
    let nat = r#"
resource "aws_nat_gateway" "n" {
  subnet_id = aws_subnet.b.id
  public_ip = "198.51.100.9"
}
resource "aws_route_table" "b" {
  vpc_id = aws_vpc.v.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.g.id
  }
}
resource "aws_route_table_association" "b" {
  subnet_id      = aws_subnet.b.id
  route_table_id = aws_route_table.b.id
}
"#;
    let table = TO_INTERNET
        .replace("gateway_id = aws_internet_gateway.g.id", "nat_gateway_id = aws_nat_gateway.n.id");
    let out =
        |acl: &str| ask_of(&[BASE, OPEN, nat, &table, acl], "aws_instance.web", "8.8.8.8", 6, Some(443));
    is(&out(""), Verdict::Allowed);
    let there = [
        ("ingress", 100, "allow", "tcp", "10.0.1.0/24", 443, 443),
        ("egress", 100, "allow", "tcp", "0.0.0.0/0", 443, 443),
        ("egress", 110, "allow", "tcp", "10.0.1.0/24", 32768, 60999),
    ];
    let with = |back: (u16, u16)| {
        let mut entries = there.to_vec();
        entries.push(("ingress", 110, "allow", "tcp", "0.0.0.0/0", back.0, back.1));
        out(&acl(&entries))
    };
    is(&with((1024, 65535)), Verdict::Allowed);
    // Enough for Linux, not for the NAT gateway, which uses ports from 1024 on.
    is(&with((32768, 65535)), Verdict::Depends);
    is(&with((1, 1023)), Verdict::Denied);
    is(&ask_of(&[BASE, OPEN, nat, &table], "aws_instance.web", "8.8.8.8", 50, None), Verdict::Denied);
    is(&ask_of(&[BASE, OPEN, nat, &table], "outside", "198.51.100.9", 6, Some(443)), Verdict::Denied);
}

const PEER: &str = r#"
resource "aws_vpc" "w" { cidr_block = "10.9.0.0/16" }
resource "aws_subnet" "w" {
  vpc_id     = aws_vpc.w.id
  cidr_block = "10.9.1.0/24"
}
resource "aws_instance" "far" {
  subnet_id              = aws_subnet.w.id
  vpc_security_group_ids = [aws_security_group.far.id]
}
resource "aws_security_group" "far" {
  vpc_id = aws_vpc.w.id
  ingress {
    protocol        = "tcp"
    from_port       = 443
    to_port         = 443
    security_groups = [aws_security_group.web.id]
  }
}
resource "aws_vpc_peering_connection" "p" {
  vpc_id      = aws_vpc.v.id
  peer_vpc_id = aws_vpc.w.id
  auto_accept = true
}
resource "aws_route_table" "a" {
  vpc_id = aws_vpc.v.id
  route {
    cidr_block                = "10.9.0.0/16"
    vpc_peering_connection_id = aws_vpc_peering_connection.p.id
  }
}
resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.a.id
  route_table_id = aws_route_table.a.id
}
resource "aws_default_route_table" "w" {
  default_route_table_id = aws_vpc.w.default_route_table_id
  route {
    cidr_block                = "10.0.0.0/16"
    vpc_peering_connection_id = aws_vpc_peering_connection.p.id
  }
}
"#;

#[test]
fn peering_needs_both_routes_and_to_be_active_and_groups_are_known_across_it() {
    let far = |peer: &str| ask_of(&[BASE, OPEN, peer], "aws_instance.web", "aws_instance.far", 6, Some(443));
    is(&far(PEER), Verdict::Allowed);
    let answer = far(&PEER.replace("auto_accept = true", ""));
    is(&answer, Verdict::Denied);
    let answer = far(&PEER.replace("\"10.0.0.0/16\"\n    vpc_peering", "\"10.7.0.0/16\"\n    vpc_peering"));
    is(&answer, Verdict::Denied);
    assert!(answer.steps.iter().any(|step| step.way == "back" && step.outcome == Verdict::Denied));
    assert!(fixes(&answer).contains("route_table_id = aws_default_route_table.w.id"), "{}", fixes(&answer));
}

#[test]
fn peering_is_not_transitive() {
    let third = r#"
resource "aws_vpc" "x" { cidr_block = "10.8.0.0/16" }
resource "aws_subnet" "x" {
  vpc_id     = aws_vpc.x.id
  cidr_block = "10.8.1.0/24"
}
resource "aws_instance" "third" { subnet_id = aws_subnet.x.id }
"#;
    let wide = PEER.replace("\"10.9.0.0/16\"\n    vpc_peering", "\"10.8.0.0/15\"\n    vpc_peering");
    let answer = ask_of(&[BASE, OPEN, &wide, third], "aws_instance.web", "aws_instance.third", 6, Some(443));
    is(&answer, Verdict::Denied);
    assert!(answer.blockers[0].why.en.contains("carries nothing on"), "{:?}", answer.blockers);
}

#[test]
fn of_two_routes_the_longer_prefix_is_taken_even_when_it_is_longer_than_local() {
    let table = r#"
resource "aws_route_table" "a" {
  vpc_id = aws_vpc.v.id
  route {
    cidr_block           = "10.0.2.0/24"
    network_interface_id = aws_network_interface.firewall.id
  }
}
resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.a.id
  route_table_id = aws_route_table.a.id
}
resource "aws_network_interface" "firewall" { subnet_id = aws_subnet.a.id }
"#;
    let answer = web_to_db(&[BASE, OPEN, table]);
    is(&answer, Verdict::Depends);
    assert!(answer.depends[0].why.en.contains("aws_network_interface.firewall"), "{:?}", answer.depends);
}

const BALANCER: &str = r#"
resource "aws_lb" "l" {
  name               = "front"
  load_balancer_type = "application"
  security_groups    = [aws_security_group.lb.id]
  subnets            = [aws_subnet.a.id]
}
resource "aws_security_group" "lb" {
  vpc_id = aws_vpc.v.id
  ingress {
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }
  egress {
    protocol    = "tcp"
    from_port   = 5432
    to_port     = 5432
    cidr_blocks = ["10.0.2.0/24"]
  }
}
resource "aws_lb_target_group" "t" {
  port     = 5432
  protocol = "HTTP"
  vpc_id   = aws_vpc.v.id
  health_check {
    port = "traffic-port"
  }
}
resource "aws_lb_listener" "s" {
  load_balancer_arn = aws_lb.l.arn
  port              = 443
  protocol          = "HTTPS"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.t.arn
  }
}
resource "aws_lb_target_group_attachment" "t" {
  target_group_arn = aws_lb_target_group.t.arn
  target_id        = aws_instance.db.id
}
resource "aws_security_group" "web" { vpc_id = aws_vpc.v.id }
resource "aws_security_group" "db" {
  vpc_id = aws_vpc.v.id
  ingress {
    protocol        = "tcp"
    from_port       = 5432
    to_port         = 5432
    security_groups = [aws_security_group.lb.id]
  }
}
"#;

#[test]
fn a_balancer_leads_to_its_targets_and_its_health_checks_must_get_there_too() {
    let into = |balancer: &str| ask_of(&[BASE, TO_INTERNET, balancer], "outside", "front", 6, Some(443));
    is(&into(BALANCER), Verdict::Allowed);
    is(&ask_of(&[BASE, TO_INTERNET, BALANCER], "outside", "front", 6, Some(80)), Verdict::Denied);
    is(
        &into(&BALANCER.replace("\"aws_lb\" \"l\" {", "\"aws_lb\" \"l\" {\n  internal = true")),
        Verdict::Denied,
    );
    let answer = into(&BALANCER.replace("\"traffic-port\"", "9000"));
    is(&answer, Verdict::Denied);
    assert!(answer.steps.iter().any(|step| {
        step.outcome == Verdict::Denied
            && step.what.en.starts_with("health check: security groups of aws_instance.db")
    }));
    // A network balancer keeps the client's address; a rule that names its group still holds for it.
    let network = BALANCER.replace("\"application\"", "\"network\"");
    is(&into(&network), Verdict::Allowed);
    // Without groups of its own the target sees only clients, and the nodes that check its health.
    let bare = network.replace("  security_groups    = [aws_security_group.lb.id]\n", "");
    is(&into(&bare), Verdict::Denied);
    let subnet =
        bare.replace("security_groups = [aws_security_group.lb.id]", "cidr_blocks = [\"10.0.1.0/24\"]");
    let answer = into(&subnet);
    is(&answer, Verdict::Denied);
    assert_eq!(answer.blockers.len(), 1, "only the client is stopped: {:#?}", answer.blockers);
    let anyone =
        bare.replace("security_groups = [aws_security_group.lb.id]", "cidr_blocks = [\"0.0.0.0/0\"]");
    is(&into(&anyone), Verdict::Allowed);
}

#[test]
fn what_is_denied_on_several_counts_is_told_on_each() {
    let groups = "resource \"aws_security_group\" \"web\" { vpc_id = aws_vpc.v.id }\n\
                  resource \"aws_security_group\" \"db\" { vpc_id = aws_vpc.v.id }\n";
    let answer = web_to_db(&[BASE, groups, &acl(&[])]);
    is(&answer, Verdict::Denied);
    assert_eq!(answer.blockers.len(), 4, "{:#?}", answer.blockers);
    assert_eq!(answer.steps.iter().filter(|step| step.outcome == Verdict::Denied).count(), 4);
}

#[test]
fn commands_are_given_where_aws_knows_the_ids() {
    let listing = r#"{"Vpcs":[{"VpcId":"vpc-1","CidrBlock":"10.0.0.0/16"}],
      "Subnets":[{"SubnetId":"subnet-1","VpcId":"vpc-1","CidrBlock":"10.0.0.0/24"}],
      "SecurityGroups":[{"GroupId":"sg-1","VpcId":"vpc-1","IpPermissions":[],
        "IpPermissionsEgress":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}],
      "NetworkInterfaces":[
        {"NetworkInterfaceId":"eni-1","SubnetId":"subnet-1","VpcId":"vpc-1","PrivateIpAddress":"10.0.0.4",
         "Groups":[{"GroupId":"sg-1"}],"Attachment":{"InstanceId":"i-1"}},
        {"NetworkInterfaceId":"eni-2","SubnetId":"subnet-1","VpcId":"vpc-1","PrivateIpAddress":"10.0.0.5",
         "Groups":[{"GroupId":"sg-1"}],"Attachment":{"InstanceId":"i-2"}}]}"#;
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(Aws::read(&[("any.json".into(), listing)]))];
    let answer = can(&estates, &Ask { from: end("i-1"), to: end("i-2"), protocol: 6, port: Some(443) });
    is(&answer, Verdict::Denied);
    assert_eq!(
        answer.fix[0].change,
        "aws ec2 authorize-security-group-ingress --group-id sg-1 --ip-permissions \
         'IpProtocol=tcp,FromPort=443,ToPort=443,IpRanges=[{CidrIp=10.0.0.4/32}]'"
    );
}

#[test]
fn an_address_that_is_not_given_yet_is_not_taken_for_a_part_of_its_subnet() {
    let base = BASE.replace("  private_ip             = \"10.0.1.10\"\n", "");
    let db = |cidr: &str| {
        format!(
            "resource \"aws_security_group\" \"db\" {{\n  vpc_id = aws_vpc.v.id\n  ingress {{\n    protocol = \"tcp\"\n    \
             from_port = 5432\n    to_port = 5432\n    cidr_blocks = [\"{cidr}\"]\n  }}\n}}\n"
        )
    };
    is(&web_to_db(&[&base, WEB_OUT, &db("10.0.1.0/24")]), Verdict::Allowed);
    is(&web_to_db(&[&base, WEB_OUT, &db("10.0.1.0/25")]), Verdict::Depends);
    is(&web_to_db(&[&base, WEB_OUT, &db("10.0.3.0/24")]), Verdict::Denied);
}

#[test]
fn ipv6_has_rules_and_routes_of_its_own() {
    let base = BASE.replace(
        "  private_ip             = \"10.0.1.10\"\n",
        "  private_ip             = \"10.0.1.10\"\n  ipv6_addresses = [\"2001:db8:0:1::10\"]\n",
    );
    let web = r#"
resource "aws_security_group" "web" {
  vpc_id = aws_vpc.v.id
  ingress {
    protocol         = "tcp"
    from_port        = 443
    to_port          = 443
    ipv6_cidr_blocks = ["::/0"]
  }
}
"#;
    let table = TO_INTERNET.replace("cidr_block = \"0.0.0.0/0\"", "ipv6_cidr_block = \"::/0\"");
    let into = |table: &str, port| ask_of(&[&base, web, table], "outside", "aws_instance.web", 6, Some(port));
    is(&into(&table, 443), Verdict::Allowed);
    is(&into(&table, 80), Verdict::Denied);
    is(&into(TO_INTERNET, 443), Verdict::Denied);
    let gateway = "egress_only_gateway_id = aws_egress_only_internet_gateway.e.id";
    let egress_only = table.replace("gateway_id = aws_internet_gateway.g.id", gateway)
        + "resource \"aws_egress_only_internet_gateway\" \"e\" { vpc_id = aws_vpc.v.id }\n";
    is(&into(&egress_only, 443), Verdict::Denied);
}

#[test]
fn the_main_table_of_a_vpc_that_terraform_makes_leads_nowhere_else() {
    let answer = ask_of(&[BASE, OPEN, PUBLIC], "aws_instance.web", "8.8.8.8", 6, Some(443));
    is(&answer, Verdict::Denied);
    assert!(
        fixes(&answer).contains("route_table_id = aws_vpc.v.main_route_table_id\n"),
        "{}",
        fixes(&answer)
    );
}

#[test]
fn lint_tells_unused_groups_black_holes_and_acls_that_let_no_answers_through() {
    let listing = r#"{"Vpcs":[{"VpcId":"vpc-1","CidrBlock":"10.0.0.0/16"}],
      "Subnets":[{"SubnetId":"subnet-1","VpcId":"vpc-1","CidrBlock":"10.0.0.0/24"}],
      "SecurityGroups":[{"GroupId":"sg-1","GroupName":"old","VpcId":"vpc-1","IpPermissions":[
        {"IpProtocol":"tcp","FromPort":22,"ToPort":22,"UserIdGroupPairs":[{"GroupId":"sg-gone"}]}],"IpPermissionsEgress":[]},
        {"GroupId":"sg-2","GroupName":"default","VpcId":"vpc-1"}],
      "NetworkAcls":[{"NetworkAclId":"acl-1","VpcId":"vpc-1","Associations":[{"SubnetId":"subnet-1"}],"Entries":[
        {"RuleNumber":100,"Protocol":"6","PortRange":{"From":443,"To":443},"CidrBlock":"0.0.0.0/0","RuleAction":"allow","Egress":false},
        {"RuleNumber":110,"Protocol":"6","PortRange":{"From":22,"To":22},"CidrBlock":"10.0.0.0/8","RuleAction":"allow","Egress":false},
        {"RuleNumber":100,"Protocol":"6","PortRange":{"From":1024,"To":65535},"CidrBlock":"10.0.0.0/8","RuleAction":"allow","Egress":true}]}],
      "RouteTables":[{"RouteTableId":"rtb-1","VpcId":"vpc-1","Routes":[{"DestinationCidrBlock":"0.0.0.0/0","NatGatewayId":"nat-1","State":"blackhole"}]}],
      "NetworkInterfaces":[]}"#;
    let found = Aws::read(&[("any.json".into(), listing)]).findings();
    let told: Vec<(&str, &str, Option<u32>)> =
        found.iter().map(|one| (one.kind, one.within.as_str(), one.rule)).collect();
    // Of the entry for anywhere only a part of the answers, those to 10.0.0.0/8, comes back: that is not none.
    assert_eq!(
        told,
        [("unused", "sg-1", None), ("dangling", "rtb-1", None), ("dangling", "sg-1 inbound", Some(0))]
    );
    let narrow = listing.replace("\"From\":1024,\"To\":65535", "\"From\":443,\"To\":443");
    let found = Aws::read(&[("any.json".into(), narrow.as_str())]).findings();
    let one_way: Vec<Option<u32>> =
        found.iter().filter(|one| one.kind == "one-way").map(|one| one.rule).collect();
    assert_eq!(one_way, [Some(100), Some(110), Some(100)]);
}

/// A listing with a bit of everything, to be broken.
const LISTING: &str = r#"{"Vpcs":[{"VpcId":"v","CidrBlock":"10.0.0.0/16"}],"Subnets":[{"SubnetId":"s","VpcId":"v","CidrBlock":"10.0.0.0/24"}],
"NetworkAcls":[{"NetworkAclId":"a","VpcId":"v","Associations":[{"SubnetId":"s"}],"Entries":[{"RuleNumber":1,"Protocol":"6","PortRange":{"From":1,"To":2},"CidrBlock":"10.0.0.0/8","RuleAction":"allow","Egress":true}]}],
"RouteTables":[{"RouteTableId":"r","VpcId":"v","Associations":[{"Main":true}],"Routes":[{"DestinationCidrBlock":"0.0.0.0/0","GatewayId":"igw-1"}]}],
"SecurityGroups":[{"GroupId":"g","IpPermissions":[{"IpProtocol":"tcp","FromPort":1,"ToPort":9,"IpRanges":[{"CidrIp":"0.0.0.0/0"}],"UserIdGroupPairs":[{"GroupId":"g"}]}]}],
"NetworkInterfaces":[{"NetworkInterfaceId":"e","SubnetId":"s","VpcId":"v","PrivateIpAddress":"10.0.0.4","Groups":[{"GroupId":"g"}],"Association":{"PublicIp":"1.2.3.4"}}],
"NatGateways":[{"NatGatewayId":"n","SubnetId":"s","NatGatewayAddresses":[{"PrivateIp":"10.0.0.9"}]}],
"TransitGatewayAttachments":[{"TransitGatewayAttachmentId":"t","TransitGatewayId":"w","ResourceType":"vpc","ResourceId":"v"}]}"#;

fn ask_all(files: &[(std::sync::Arc<str>, &str)]) {
    let aws = Aws::read(files);
    let ends: Vec<End> =
        ["10.0.0.4", "8.8.8.8", "e", "n", "aws_instance.web", "outside", "::1"].map(end).to_vec();
    for from in &ends {
        for to in &ends {
            aws.way(&Ask { from: from.clone(), to: to.clone(), protocol: 6, port: Some(443) });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_mutation_of_a_listing_makes_it_panic(at in 0..LISTING.len(), cut in 0..30usize, with in "[\\PC]{0,5}") {
        let mut text = LISTING.to_owned();
        text.replace_range(at..(at + cut).min(LISTING.len()), &with);
        ask_all(&[("x.json".into(), text.as_str())]);
    }

    #[test]
    fn no_mutation_of_terraform_makes_it_panic(at in 0..2_000usize, cut in 0..30usize, with in "[\\PC\n]{0,5}") {
        let mut text = [BASE, OPEN, BALANCER, PEER].concat();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &with);
        ask_all(&[("x.tf".into(), text.as_str())]);
    }
}
