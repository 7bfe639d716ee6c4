//! Small networks of AWS as Terraform, and how they are asked.

use netwhy_policy::aws::Aws;
use netwhy_policy::can::{Answer, Verdict, can};
use netwhy_policy::estate::{Ask, End, Estate};

/// A security group of the VPC with these rules.
macro_rules! group {
    ($name:literal, $($rule:expr),*) => {
        concat!("resource \"aws_security_group\" \"", $name, "\" {\n  vpc_id = aws_vpc.v.id\n", $($rule,)* "}\n")
    };
}

/// A rule of a group: which way, protocol, ports, addresses.
macro_rules! rule {
    ($way:literal, $protocol:literal, $from:literal, $to:literal, $cidr:literal) => {
        concat!(
            "  ",
            $way,
            " {\n    protocol    = \"",
            $protocol,
            "\"\n    from_port   = ",
            $from,
            "\n    to_port     = ",
            $to,
            "\n    cidr_blocks = [\"",
            $cidr,
            "\"]\n  }\n"
        )
    };
}

/// A group that lets everything through.
macro_rules! open {
    ($name:literal) => {
        group!($name, rule!("ingress", "-1", 0, 0, "0.0.0.0/0"), rule!("egress", "-1", 0, 0, "0.0.0.0/0"))
    };
}

/// The route table of a subnet, with one route.
macro_rules! table {
    ($subnet:literal, $route:literal) => {
        concat!(
            "resource \"aws_route_table\" \"",
            $subnet,
            "\" {\n  vpc_id = aws_vpc.v.id\n  route {\n",
            $route,
            "  }\n}\nresource \"aws_route_table_association\" \"",
            $subnet,
            "\" {\n  subnet_id      = aws_subnet.",
            $subnet,
            ".id\n  route_table_id = aws_route_table.",
            $subnet,
            ".id\n}\n"
        )
    };
}
pub(crate) use table;

/// Two subnets of one VPC, an instance in each, an internet gateway; what a case is about is added.
pub const BASE: &str = r#"
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
pub const OPEN: &str = concat!(open!("web"), open!("db"));

pub fn end(text: &str) -> End {
    match text.parse() {
        Ok(address) => End::Addresses(address, address),
        Err(_) if text == "outside" => End::Outside,
        Err(_) => End::Known(text.to_owned()),
    }
}

pub fn ask_of(parts: &[&str], from: &str, to: &str, protocol: u8, port: Option<u16>) -> Answer {
    let text = parts.concat();
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(Aws::read(&[("main.tf".into(), text.as_str())]))];
    can(&estates, &Ask { from: end(from), to: end(to), protocol, port, request: None })
}

/// Web to database, TCP 5432.
pub fn web_to_db(parts: &[&str]) -> Answer {
    ask_of(parts, "aws_instance.web", "aws_instance.db", 6, Some(5432))
}

pub fn fixes(answer: &Answer) -> String {
    answer.fix.iter().map(|fix| format!("{}: {}\n", fix.syntax, fix.change)).collect()
}

#[track_caller]
pub fn is(answer: &Answer, verdict: Verdict) {
    assert_eq!(answer.verdict, verdict, "{:#?}", answer.steps);
}

pub const WEB_OUT: &str = group!("web", rule!("egress", "tcp", 5432, 5432, "10.0.0.0/16"));

pub const PUBLIC: &str = r#"
resource "aws_eip" "e" {
  instance  = aws_instance.web.id
  public_ip = "198.51.100.7"
}
"#;

pub const TO_INTERNET: &str =
    table!("a", "    cidr_block = \"0.0.0.0/0\"\n    gateway_id = aws_internet_gateway.g.id\n");

pub const PEER: &str = concat!(
    r#"
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
"#,
    table!(
        "a",
        "    cidr_block                = \"10.9.0.0/16\"\n    vpc_peering_connection_id = aws_vpc_peering_connection.p.id\n"
    ),
    r#"resource "aws_default_route_table" "w" {
  default_route_table_id = aws_vpc.w.default_route_table_id
  route {
    cidr_block                = "10.0.0.0/16"
    vpc_peering_connection_id = aws_vpc_peering_connection.p.id
  }
}
"#
);

pub const BALANCER: &str = concat!(
    r#"
resource "aws_lb" "l" {
  name               = "front"
  load_balancer_type = "application"
  security_groups    = [aws_security_group.lb.id]
  subnets            = [aws_subnet.a.id]
}
"#,
    group!(
        "lb",
        rule!("ingress", "tcp", 443, 443, "0.0.0.0/0"),
        rule!("egress", "tcp", 5432, 5432, "10.0.2.0/24")
    ),
    r#"resource "aws_lb_target_group" "t" {
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
"#
);

/// A network ACL of the database's subnet with these entries.
pub fn acl(entries: &[(&str, u32, &str, &str, &str, u16, u16)]) -> String {
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
