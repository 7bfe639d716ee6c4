//! Terraform's files, plans and states become resources that know each other.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

use netwhy_policy::doc::{Node, Value};
use netwhy_policy::terraform::{File, Resource, Resources, identities, resources};
use proptest::prelude::*;

fn read(files: &[(&str, &str)]) -> Resources {
    let files: Vec<File<'_>> = files.iter().map(|(name, text)| ((*name).into(), *text)).collect();
    resources(&files)
}

fn find<'a>(read: &'a Resources, address: &str) -> &'a Resource {
    let found = read.resources.iter().find(|resource| resource.address == address);
    found.unwrap_or_else(|| panic!("{address} is not among {:?}", addresses(read)))
}

fn addresses(read: &Resources) -> Vec<&str> {
    read.resources.iter().map(|resource| resource.address.as_str()).collect()
}

fn texts(node: &Node) -> Vec<&str> {
    node.list().iter().filter_map(Node::text).collect()
}

const MAIN: &str = r#"
variable "cidr" { default = "10.0.0.0/16" }
variable "ports" { default = [80, 443] }
variable "unset" {}
locals {
  name   = "${var.env}-web"
  office = ["203.0.113.0/24", local.extra]
  extra  = "198.51.100.7/32"
  loop_a = local.loop_b
  loop_b = local.loop_a
}
variable "env" { default = "dev" }
resource "aws_vpc" "main" {
  cidr_block = var.cidr
  tags = { Name = local.name }
}
resource "aws_subnet" "each" {
  for_each   = { a = 1, b = 2 }
  vpc_id     = aws_vpc.main.id
  cidr_block = cidrsubnet(aws_vpc.main.cidr_block, 8, each.value)
}
resource "aws_instance" "web" {
  count     = length(var.ports)
  subnet_id = aws_subnet.each["b"].id
  private_ip = cidrhost(aws_subnet.each["b"].cidr_block, 10 + count.index)
  vpc_security_group_ids = [aws_security_group.web.id, var.unset]
}
resource "aws_security_group" "web" {
  name = format("%s-%d", local.name, 7)
  dynamic "ingress" {
    for_each = var.ports
    content {
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = var.ports[0] == 80 ? "tcp" : "udp"
      cidr_blocks = local.office
    }
  }
  ingress {
    self = true
    protocol = -1
  }
  dynamic "egress" {
    for_each = var.unset
    content {}
  }
}
resource "aws_lb" "all" {
  subnets = [for s in aws_subnet.each : s.id]
  targets = aws_instance.web[*].id
  loop    = local.loop_a
}
"#;

#[test]
fn variables_locals_references_counts_and_dynamic_blocks_are_worked_out() {
    let read = read(&[("m/main.tf", MAIN), ("m/terraform.tfvars", "env = \"prod\"\n")]);
    let vpc = find(&read, "aws_vpc.main");
    assert_eq!(vpc.node.word("cidr_block"), Some("10.0.0.0/16"));
    assert_eq!(vpc.node.at(&["tags", "Name"]).and_then(Node::text), Some("prod-web"));
    let subnet = find(&read, "aws_subnet.each[\"b\"]");
    assert_eq!(subnet.node.word("vpc_id"), Some("aws_vpc.main"));
    assert_eq!(subnet.node.word("cidr_block"), Some("10.0.2.0/24"));
    let web = find(&read, "aws_instance.web[1]");
    assert_eq!(web.node.word("private_ip"), Some("10.0.2.11"));
    assert_eq!(web.node.word("subnet_id"), Some("aws_subnet.each[\"b\"]"));
    assert_eq!(identities(&web.node, "vpc_security_group_ids"), ["aws_security_group.web", "var.unset"]);
    let group = find(&read, "aws_security_group.web");
    assert_eq!(group.node.word("name"), Some("prod-web-7"));
    let ingress = group.node.each("ingress");
    assert_eq!(ingress.len(), 3);
    assert_eq!(ingress[1].word("from_port"), Some("443"));
    assert_eq!(ingress[1].word("protocol"), Some("tcp"));
    assert_eq!(texts(ingress[0].get("cidr_blocks").expect("blocks")), ["203.0.113.0/24", "198.51.100.7/32"]);
    assert!(matches!(group.node.each("egress")[0].value, Value::Expression(_)));
    let balancer = find(&read, "aws_lb.all");
    assert_eq!(
        texts(balancer.node.get("subnets").expect("subnets")),
        ["aws_subnet.each[\"a\"]", "aws_subnet.each[\"b\"]"]
    );
    assert_eq!(
        texts(balancer.node.get("targets").expect("targets")),
        ["aws_instance.web[0]", "aws_instance.web[1]"]
    );
    assert!(read.unread.iter().any(|unread| unread.why.en.contains("refers to itself")));
    assert_eq!(subnet.node.place.line, 17);
}

#[test]
fn a_local_module_is_instantiated_with_its_arguments_and_gives_its_outputs() {
    let root = "module \"net\" {\n  source = \"./modules/net\"\n  cidr = \"10.9.0.0/16\"\n}\n\
                resource \"aws_instance\" \"a\" {\n  subnet_id = module.net.subnet\n}\n\
                module \"far\" { source = \"terraform-aws-modules/vpc/aws\" }\n";
    let net = "variable \"cidr\" {}\nresource \"aws_subnet\" \"s\" { cidr_block = var.cidr }\n\
               output \"subnet\" { value = aws_subnet.s.id }\n";
    let read = read(&[("env/main.tf", root), ("env/modules/net/main.tf", net)]);
    assert_eq!(addresses(&read), ["aws_instance.a", "module.net.aws_subnet.s"]);
    assert_eq!(find(&read, "aws_instance.a").node.word("subnet_id"), Some("module.net.aws_subnet.s"));
    assert_eq!(find(&read, "module.net.aws_subnet.s").node.word("cidr_block"), Some("10.9.0.0/16"));
    assert_eq!(read.unread.len(), 1);
}

#[test]
fn a_plan_gives_values_and_the_references_of_what_is_not_known_yet() {
    let plan = r#"{"format_version":"1.2","terraform_version":"1.7.0","planned_values":{"root_module":{
      "resources":[
        {"address":"aws_vpc.a","mode":"managed","type":"aws_vpc","name":"a","values":{"cidr_block":"10.0.0.0/16"}},
        {"address":"aws_security_group.g","mode":"managed","type":"aws_security_group","name":"g","values":{
          "ingress":[{"from_port":22,"protocol":"tcp","security_groups":[]},{"from_port":80,"protocol":"tcp"}]}}],
      "child_modules":[{"address":"module.n","resources":[
        {"address":"module.n.aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"id":"subnet-1"}},
        {"address":"module.n.aws_instance.i","mode":"managed","type":"aws_instance","name":"i","values":{}}]}]}},
     "configuration":{"root_module":{
      "resources":[
        {"address":"aws_security_group.g","mode":"managed","type":"aws_security_group","name":"g","expressions":{
          "vpc_id":{"references":["aws_vpc.a.id","aws_vpc.a"]},
          "ingress":[{"from_port":{"constant_value":80},"security_groups":{"references":["aws_security_group.o.id","aws_security_group.o"]}},
                     {"from_port":{"constant_value":22}}]}}],
      "module_calls":{"n":{"module":{"resources":[
        {"mode":"managed","type":"aws_instance","name":"i","expressions":{"subnet_id":{"references":["aws_subnet.s.id","aws_subnet.s"]}}}]}}}}}}"#;
    let read = read(&[("plan.json", plan)]);
    assert!(read.unread.is_empty());
    let group = find(&read, "aws_security_group.g");
    assert_eq!(group.node.word("vpc_id"), Some("aws_vpc.a"));
    assert!(identities(&group.node.each("ingress")[0], "security_groups").is_empty());
    assert_eq!(identities(&group.node.each("ingress")[1], "security_groups"), ["aws_security_group.o"]);
    assert_eq!(find(&read, "module.n.aws_subnet.s").id(), "subnet-1");
    assert_eq!(find(&read, "module.n.aws_instance.i").node.word("subnet_id"), Some("module.n.aws_subnet.s"));
}

#[test]
fn a_plan_leads_through_variables_and_outputs_of_modules() {
    let plan = r#"{"format_version":"1.2","terraform_version":"1.7.0","planned_values":{"root_module":{"resources":[
        {"address":"aws_lb.l","mode":"managed","type":"aws_lb","name":"l","values":{}}],
      "child_modules":[{"address":"module.net","resources":[
        {"address":"module.net.aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{}}]},
        {"address":"module.app","resources":[
        {"address":"module.app.aws_security_group.g","mode":"managed","type":"aws_security_group","name":"g","values":{}}]}]}},
     "configuration":{"root_module":{
      "resources":[{"mode":"managed","type":"aws_lb","name":"l","expressions":{"subnets":{"references":["aws_subnet.many"]}}}],
      "module_calls":{
       "net":{"module":{"outputs":{"vpc":{"expression":{"references":["aws_vpc.v.id","aws_vpc.v"]}}},
         "resources":[{"mode":"managed","type":"aws_vpc","name":"v","expressions":{}}]}},
       "app":{"expressions":{"vpc_id":{"references":["module.net.vpc","module.net"]}},
         "module":{"resources":[{"mode":"managed","type":"aws_security_group","name":"g",
           "expressions":{"vpc_id":{"references":["var.vpc_id"]}}}]}}}}}}"#;
    let read = read(&[("plan.json", plan)]);
    let group = find(&read, "module.app.aws_security_group.g");
    assert_eq!(group.node.word("vpc_id"), Some("module.net.aws_vpc.v"));
    assert_eq!(find(&read, "aws_lb.l").node.word("subnets"), Some("aws_subnet.many"));
}

#[test]
fn a_state_gives_its_instances() {
    let state = r#"{"version":4,"terraform_version":"1.5.0","resources":[{"mode":"managed","type":"aws_vpc","name":"a",
      "instances":[{"index_key":0,"attributes":{"id":"vpc-1"}},{"index_key":"x","attributes":{"id":"vpc-2"}}]}]}"#;
    assert_eq!(addresses(&read(&[("terraform.tfstate", state)])), ["aws_vpc.a[0]", "aws_vpc.a[\"x\"]"]);
}

#[test]
fn a_value_that_doubles_itself_ends_with_a_word_and_not_with_the_memory() {
    let mut text = String::from("locals {\n  v0 = [\"aaaaaaaaaaaaaaaa\"]\n");
    for at in 1..60 {
        text.push_str(&format!("  v{at} = concat(local.v{0}, local.v{0})\n", at - 1));
    }
    text.push_str("}\nresource \"aws_vpc\" \"a\" {\n  x = local.v59\n  cidr_block = \"10.0.0.0/8\"\n}\n");
    let read = read(&[("a.tf", &text)]);
    assert!(!read.unread.is_empty());
    assert_eq!(find(&read, "aws_vpc.a").node.word("cidr_block"), Some("10.0.0.0/8"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_the_reader_panic(at in 0..MAIN.len(), with in "[\\PC\n]{0,6}", cut in 0..40usize) {
        let mut text = MAIN.to_owned();
        text.replace_range(at..(at + cut).min(MAIN.len()), &with);
        read(&[("a.tf", &text)]);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\PC\n{}\"$=\\[\\]<]{0,200}") {
        read(&[("a.tf", &text), ("b.tfvars", &text), ("plan.json", &text)]);
    }
}
