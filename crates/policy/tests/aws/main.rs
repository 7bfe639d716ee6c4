//! AWS's semantics, one case for each trap.
#![allow(clippy::expect_used)]

mod estates;
mod fronts;
mod hostile;
mod ways;

use estates::{BASE, OPEN, WEB_OUT, acl, ask_of, fixes, is, web_to_db};
use netwhy_policy::can::Verdict;

#[test]
fn open_groups_in_one_vpc_let_everything_through() {
    is(&web_to_db(&[BASE, OPEN]), Verdict::Allowed);
}

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
