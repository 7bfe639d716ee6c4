//! Routes, gateways, peering, balancers, and what lint tells of all of it.

use crate::estates::{
    BALANCER, BASE, OPEN, PEER, PUBLIC, TO_INTERNET, WEB_OUT, acl, ask_of, end, fixes, is, table, web_to_db,
};
use netwhy_policy::aws::Aws;
use netwhy_policy::can::{Verdict, can};
use netwhy_policy::estate::{Ask, Estate};

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
"#;
    let nat =
        [nat, table!("b", "    cidr_block = \"0.0.0.0/0\"\n    gateway_id = aws_internet_gateway.g.id\n")]
            .concat();
    let nat = nat.as_str();
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
    let table = table!(
        "a",
        "    cidr_block           = \"10.0.2.0/24\"\n    network_interface_id = aws_network_interface.firewall.id\n"
    );
    let firewall = "resource \"aws_network_interface\" \"firewall\" { subnet_id = aws_subnet.a.id }\n";
    let answer = web_to_db(&[BASE, OPEN, table, firewall]);
    is(&answer, Verdict::Depends);
    assert!(answer.depends[0].why.en.contains("aws_network_interface.firewall"), "{:?}", answer.depends);
}

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
    let answer =
        can(&estates, &Ask { from: end("i-1"), to: end("i-2"), protocol: 6, port: Some(443), request: None });
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
fn names_of_files_bring_no_control_characters_and_no_commands_into_the_answer() {
    let listing = r#"{"Vpcs":[{"VpcId":"v","CidrBlock":"10.0.0.0/16"}],
      "Subnets":[{"SubnetId":"s","VpcId":"v","CidrBlock":"10.0.0.0/24"}],
      "SecurityGroups":[{"GroupId":"sg\u001b[31m; reboot","VpcId":"v","IpPermissions":[],"IpPermissionsEgress":[]}],
      "NetworkInterfaces":[
        {"NetworkInterfaceId":"a","SubnetId":"s","VpcId":"v","PrivateIpAddress":"10.0.0.4",
         "Groups":[{"GroupId":"sg\u001b[31m; reboot"}]},
        {"NetworkInterfaceId":"b","SubnetId":"s","VpcId":"v","PrivateIpAddress":"10.0.0.5","Groups":[]}]}"#;
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(Aws::read(&[("any.json".into(), listing)]))];
    let answer =
        can(&estates, &Ask { from: end("a"), to: end("b"), protocol: 6, port: Some(443), request: None });
    is(&answer, Verdict::Denied);
    let told = serde_json::to_string(&answer).expect("JSON");
    assert!(told.contains("sg [31m; reboot") && !told.contains("\\u001b"), "{told}");
    assert!(answer.fix.iter().all(|fix| fix.syntax != "aws-cli"), "{:?}", answer.fix);
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
    let one_way: Vec<(Option<u32>, &[u32])> =
        found.iter().filter(|one| one.kind == "one-way").map(|one| (one.rule, one.by.as_slice())).collect();
    // Where nothing of the other direction answers anybody, that is one fault and not one for each entry.
    assert_eq!(one_way, [(Some(100), &[110][..]), (Some(100), &[])]);
    assert!(found.iter().any(|one| one.text.en.contains("entry 100 (as does 1 more entry) allows")));
}
