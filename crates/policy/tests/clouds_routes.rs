//! Peerings and route tables of Terraform, of the clouds that have both: a way needs them on both sides.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{Verdict, ask, verdict};
use netwhy_policy::cloud::READERS;
use netwhy_policy::estate::End;
use netwhy_policy::terraform::resources;
use std::sync::Arc;

fn between(vendor: &str, text: &str, from: &str, to: &str) -> Verdict {
    let found = resources(&[(Arc::from("main.tf"), text)]);
    assert!(found.unread.is_empty(), "{:?}", found.unread);
    let reader = READERS.iter().find(|reader| reader.name == vendor).expect("vendor");
    let cloud = (reader.read)(&(reader.terraform)(&found.resources), Vec::new());
    verdict(&cloud, &ask(End::Known(from.to_owned()), End::Known(to.to_owned()), 6, 443))
}

const ALIYUN: &str = r#"
resource "alicloud_vpc" "v" {
  vpc_name = "v"
  cidr_block = "10.0.0.0/16"
}
resource "alicloud_vswitch" "s" {
  vpc_id = alicloud_vpc.v.id
  cidr_block = "10.0.1.0/24"
}
resource "alicloud_security_group" "g" {
  security_group_name = "g"
  vpc_id = alicloud_vpc.v.id
}
resource "alicloud_security_group_rule" "allow" {
  type = "ingress"
  ip_protocol = "tcp"
  policy = "accept"
  port_range = "443/443"
  priority = 2
  security_group_id = alicloud_security_group.g.id
  cidr_ip = "0.0.0.0/0"
}
resource "alicloud_instance" "b" {
  instance_name = "b"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id = alicloud_vswitch.s.id
  private_ip = "10.0.1.6"
}
"#;

/// A second network of Aliyun, its instance, and a peering with the first.
const ALIYUN_PEER: &str = r#"
resource "alicloud_vpc" "w" {
  vpc_name = "w"
  cidr_block = "10.9.0.0/16"
}
resource "alicloud_vswitch" "w" {
  vpc_id = alicloud_vpc.w.id
  cidr_block = "10.9.1.0/24"
}
resource "alicloud_instance" "w" {
  instance_name = "w"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id = alicloud_vswitch.w.id
  private_ip = "10.9.1.5"
}
resource "alicloud_vpc_peer_connection" "p" {
  vpc_id = alicloud_vpc.v.id
  accepting_vpc_id = alicloud_vpc.w.id
}
resource "alicloud_route_entry" "there" {
  route_table_id = alicloud_vpc.v.route_table_id
  destination_cidrblock = "10.9.0.0/16"
  nexthop_type = "VpcPeer"
  nexthop_id = alicloud_vpc_peer_connection.p.id
}
"#;
const ALIYUN_BACK: &str = r#"
resource "alicloud_route_table" "w" {
  vpc_id = alicloud_vpc.w.id
}
resource "alicloud_route_table_attachment" "w" {
  vswitch_id = alicloud_vswitch.w.id
  route_table_id = alicloud_route_table.w.id
}
resource "alicloud_route_entry" "back" {
  route_table_id = alicloud_route_table.w.id
  destination_cidrblock = "10.0.0.0/16"
  nexthop_type = "VpcPeer"
  nexthop_id = alicloud_vpc_peer_connection.p.id
}
"#;

#[test]
fn alicloud_peerings_need_routes_on_both_sides() {
    let ask = |text: &str| between("aliyun", text, "alicloud_instance.b", "alicloud_instance.w");
    assert!(ask(&[ALIYUN, ALIYUN_PEER, ALIYUN_BACK].concat()).allowed());
    assert!(ask(&[ALIYUN, ALIYUN_PEER].concat()).denied(), "no route back");
    let apart =
        ALIYUN_PEER.replace("accepting_vpc_id = alicloud_vpc.w.id", "accepting_vpc_id = \"vpc-other\"");
    assert!(ask(&[ALIYUN, &apart, ALIYUN_BACK].concat()).denied());
}

const TENCENT_PEER: &str = r#"
resource "tencentcloud_vpc" "w" {
  name = "w"
  cidr_block = "10.9.0.0/16"
}
resource "tencentcloud_subnet" "w" {
  name = "w"
  vpc_id = tencentcloud_vpc.w.id
  cidr_block = "10.9.1.0/24"
  route_table_id = tencentcloud_route_table.w.id
}
resource "tencentcloud_instance" "w" {
  instance_name = "w"
  vpc_id = tencentcloud_vpc.w.id
  subnet_id = tencentcloud_subnet.w.id
  private_ip = "10.9.1.5"
  orderly_security_groups = ["sg-w"]
}
resource "tencentcloud_security_group_rule_set" "w" {
  security_group_id = "sg-w"
  ingress {
    action = "ACCEPT"
    cidr_block = "0.0.0.0/0"
    protocol = "ALL"
    port = "ALL"
  }
  egress {
    action = "ACCEPT"
    cidr_block = "0.0.0.0/0"
    protocol = "ALL"
    port = "ALL"
  }
}
resource "tencentcloud_vpc_peer_connect_manager" "p" {
  source_vpc_id = tencentcloud_vpc.x.id
  destination_vpc_id = tencentcloud_vpc.w.id
}
resource "tencentcloud_route_table" "w" {
  name = "w"
  vpc_id = tencentcloud_vpc.w.id
}
resource "tencentcloud_vpc" "x" {
  name = "x"
  cidr_block = "10.8.0.0/16"
}
resource "tencentcloud_subnet" "x" {
  name = "x"
  vpc_id = tencentcloud_vpc.x.id
  cidr_block = "10.8.1.0/24"
}
resource "tencentcloud_instance" "x" {
  instance_name = "x"
  vpc_id = tencentcloud_vpc.x.id
  subnet_id = tencentcloud_subnet.x.id
  private_ip = "10.8.1.5"
  orderly_security_groups = ["sg-w"]
}
resource "tencentcloud_route_table_entry" "there" {
  route_table_id = tencentcloud_vpc.x.default_route_table_id
  destination_cidr_block = "10.9.0.0/16"
  next_type = "PEERCONNECTION"
  next_hub = tencentcloud_vpc_peer_connect_manager.p.id
}
resource "tencentcloud_route_table_entry" "back" {
  route_table_id = tencentcloud_route_table.w.id
  destination_cidr_block = "10.8.0.0/16"
  next_type = "PEERCONNECTION"
  next_hub = tencentcloud_vpc_peer_connect_manager.p.id
}
"#;

#[test]
fn tencentcloud_peerings_need_routes_on_both_sides() {
    let ask = |text: &str| between("tencent", text, "tencentcloud_instance.x", "tencentcloud_instance.w");
    assert!(ask(TENCENT_PEER).allowed(), "{:?}", ask(TENCENT_PEER));
    assert!(
        ask(&TENCENT_PEER
            .replace("destination_cidr_block = \"10.8.0.0/16\"", "destination_cidr_block = \"10.7.0.0/16\""))
        .denied()
    );
}

const HUAWEI_PEER: &str = r#"
resource "huaweicloud_vpc" "w" {
  name = "w"
  cidr = "10.9.0.0/16"
}
resource "huaweicloud_vpc" "x" {
  name = "x"
  cidr = "10.8.0.0/16"
}
resource "huaweicloud_vpc_subnet" "w" {
  name = "w"
  vpc_id = huaweicloud_vpc.w.id
  cidr = "10.9.1.0/24"
}
resource "huaweicloud_vpc_subnet" "x" {
  name = "x"
  vpc_id = huaweicloud_vpc.x.id
  cidr = "10.8.1.0/24"
}
resource "huaweicloud_networking_secgroup" "g" { name = "g" }
resource "huaweicloud_networking_secgroup_rule" "in" {
  security_group_id = huaweicloud_networking_secgroup.g.id
  direction = "ingress"
  ethertype = "IPv4"
  protocol = "tcp"
  ports = "443"
  remote_ip_prefix = "0.0.0.0/0"
}
resource "huaweicloud_compute_instance" "w" {
  name = "w"
  security_group_ids = [huaweicloud_networking_secgroup.g.id]
  network {
    uuid = huaweicloud_vpc_subnet.w.id
    fixed_ip_v4 = "10.9.1.5"
  }
}
resource "huaweicloud_compute_instance" "x" {
  name = "x"
  security_group_ids = [huaweicloud_networking_secgroup.g.id]
  network {
    uuid = huaweicloud_vpc_subnet.x.id
    fixed_ip_v4 = "10.8.1.5"
  }
}
resource "huaweicloud_vpc_peering_connection" "p" {
  vpc_id = huaweicloud_vpc.x.id
  peer_vpc_id = huaweicloud_vpc.w.id
}
resource "huaweicloud_vpc_route" "there" {
  vpc_id = huaweicloud_vpc.x.id
  destination = "10.9.0.0/16"
  type = "peering"
  nexthop = huaweicloud_vpc_peering_connection.p.id
}
resource "huaweicloud_vpc_route_table" "w" {
  name = "w"
  vpc_id = huaweicloud_vpc.w.id
  subnets = [huaweicloud_vpc_subnet.w.id]
  route {
    destination = "10.8.0.0/16"
    type = "peering"
    nexthop = huaweicloud_vpc_peering_connection.p.id
  }
}
"#;

#[test]
fn huaweicloud_peerings_need_routes_on_both_sides() {
    let ask = |text: &str| between("huawei", text, "x", "w");
    assert!(ask(HUAWEI_PEER).allowed(), "{:?}", ask(HUAWEI_PEER));
    assert!(
        ask(&HUAWEI_PEER.replace("destination = \"10.8.0.0/16\"", "destination = \"10.7.0.0/16\"")).denied()
    );
}
