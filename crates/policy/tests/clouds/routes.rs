//! Peerings and route tables of Terraform, of the clouds that have both: a way needs them on both sides.

use super::{ALIYUN, HUAWEI, TENCENT, Verdict, between, read};

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
  source_vpc_id = tencentcloud_vpc.v.id
  destination_vpc_id = tencentcloud_vpc.w.id
}
resource "tencentcloud_route_table" "w" {
  name = "w"
  vpc_id = tencentcloud_vpc.w.id
}
resource "tencentcloud_route_table_entry" "there" {
  route_table_id = tencentcloud_vpc.v.default_route_table_id
  destination_cidr_block = "10.9.0.0/16"
  next_type = "PEERCONNECTION"
  next_hub = tencentcloud_vpc_peer_connect_manager.p.id
}
resource "tencentcloud_route_table_entry" "back" {
  route_table_id = tencentcloud_route_table.w.id
  destination_cidr_block = "10.0.0.0/16"
  next_type = "PEERCONNECTION"
  next_hub = tencentcloud_vpc_peer_connect_manager.p.id
}
"#;
const HUAWEI_PEER: &str = r#"
resource "huaweicloud_vpc" "w" {
  name = "w"
  cidr = "10.9.0.0/16"
}
resource "huaweicloud_vpc_subnet" "w" {
  name = "w"
  vpc_id = huaweicloud_vpc.w.id
  cidr = "10.9.1.0/24"
}
resource "huaweicloud_compute_instance" "w" {
  name = "w"
  security_group_ids = [huaweicloud_networking_secgroup.g.id]
  network {
    uuid = huaweicloud_vpc_subnet.w.id
    fixed_ip_v4 = "10.9.1.5"
  }
}
resource "huaweicloud_vpc_peering_connection" "p" {
  vpc_id = huaweicloud_vpc.v.id
  peer_vpc_id = huaweicloud_vpc.w.id
}
resource "huaweicloud_vpc_route" "there" {
  vpc_id = huaweicloud_vpc.v.id
  destination = "10.9.0.0/16"
  type = "peering"
  nexthop = huaweicloud_vpc_peering_connection.p.id
}
resource "huaweicloud_vpc_route_table" "w" {
  name = "w"
  vpc_id = huaweicloud_vpc.w.id
  subnets = [huaweicloud_vpc_subnet.w.id]
  route {
    destination = "10.0.0.0/16"
    type = "peering"
    nexthop = huaweicloud_vpc_peering_connection.p.id
  }
}
"#;

/// From an instance of the vendor's files to the one of the other network.
fn peered(vendor: &str, files: &[&str], [from, to]: [&str; 2]) -> Verdict {
    between(&read(vendor, &files.concat()), from, to, 443)
}

const ALIYUN_ENDS: [&str; 2] = ["alicloud_instance.b", "alicloud_instance.w"];

#[test]
fn peerings_need_routes_on_both_sides() {
    let tencent = ["tencentcloud_instance.b", "tencentcloud_instance.w"];
    for (vendor, base, files, ends, back) in [
        ("aliyun", ALIYUN, &[ALIYUN_PEER, ALIYUN_BACK].concat()[..], ALIYUN_ENDS, "destination_cidrblock"),
        ("tencent", TENCENT, TENCENT_PEER, tencent, "destination_cidr_block"),
        ("huawei", HUAWEI, HUAWEI_PEER, ["a", "w"], "destination"),
    ] {
        let whole = peered(vendor, &[base, files], ends);
        assert!(whole.allowed(), "{vendor}: {whole:?}");
        let back = format!("{back} = \"10.0.0.0/16\"");
        assert_eq!(files.matches(&back).count(), 1, "{vendor}");
        let elsewhere = files.replace(&back, &back.replace("10.0", "10.7"));
        let lost = peered(vendor, &[base, &elsewhere], ends);
        assert!(lost.denied(), "{vendor}: {lost:?}");
    }
}

#[test]
fn a_peering_without_a_table_for_the_way_back_or_with_somebody_else_leads_nowhere() {
    assert!(peered("aliyun", &[ALIYUN, ALIYUN_PEER], ALIYUN_ENDS).denied(), "no route back");
    let apart =
        ALIYUN_PEER.replace("accepting_vpc_id = alicloud_vpc.w.id", "accepting_vpc_id = \"vpc-other\"");
    assert!(peered("aliyun", &[ALIYUN, &apart, ALIYUN_BACK], ALIYUN_ENDS).denied());
}
