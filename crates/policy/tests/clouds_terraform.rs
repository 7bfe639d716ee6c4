//! The other clouds than AWS from Terraform: what their own answers would say, the files say too.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;
#[path = "clouds/routes.rs"]
mod routes;

use clouds::{Verdict, addresses, ask, verdict};
use netwhy_policy::cloud::{Cloud, READERS};
use netwhy_policy::estate::{End, Estate};
use netwhy_policy::terraform::resources;
use std::sync::Arc;

fn read(vendor: &str, text: &str) -> Cloud {
    let found = resources(&[(Arc::from("main.tf"), text)]);
    assert!(found.unread.is_empty(), "{:?}", found.unread);
    let reader = READERS.iter().find(|reader| reader.name == vendor).expect("vendor");
    (reader.read)(&(reader.terraform)(&found.resources), Vec::new())
}

fn from(cloud: &Cloud, address: &str, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(addresses(address), End::Known(to.to_owned()), 6, port))
}

fn between(cloud: &Cloud, from: &str, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(End::Known(from.to_owned()), End::Known(to.to_owned()), 6, port))
}

const AZURE: &str = r#"
variable "office" {}
resource "azurerm_virtual_network" "v" {
  name = "v"
  resource_group_name = "rg"
  address_space = ["10.0.0.0/16"]
}
resource "azurerm_subnet" "web" {
  name = "web"
  resource_group_name = "rg"
  virtual_network_name = azurerm_virtual_network.v.name
  address_prefixes = ["10.0.1.0/24"]
}
resource "azurerm_network_security_group" "web" {
  name = "web-nsg"
  resource_group_name = "rg"
  security_rule {
    name = "https"
    priority = 100
    direction = "Inbound"
    access = "Allow"
    protocol = "Tcp"
    source_port_range = "*"
    destination_port_range = "443"
    source_address_prefix = "Internet"
    destination_address_prefix = "*"
  }
}
resource "azurerm_network_security_rule" "ssh" {
  name = "ssh"
  priority = 110
  direction = "Inbound"
  access = "Allow"
  protocol = "Tcp"
  source_port_range = "*"
  destination_port_range = "22"
  source_address_prefix = var.office
  destination_address_prefix = "*"
  resource_group_name = "rg"
  network_security_group_name = azurerm_network_security_group.web.name
}
resource "azurerm_subnet_network_security_group_association" "web" {
  subnet_id = azurerm_subnet.web.id
  network_security_group_id = azurerm_network_security_group.web.id
}
resource "azurerm_public_ip" "p" {
  name = "p"
  sku = "Standard"
  allocation_method = "Static"
}
resource "azurerm_network_interface" "n" {
  name = "web-nic"
  ip_configuration {
    name = "internal"
    subnet_id = azurerm_subnet.web.id
    private_ip_address_allocation = "Dynamic"
    public_ip_address_id = azurerm_public_ip.p.id
  }
}
resource "azurerm_linux_virtual_machine" "m" {
  name = "web"
  network_interface_ids = [azurerm_network_interface.n.id]
}
"#;

#[test]
fn azurerm_is_read_with_its_associations_and_unknown_values_are_not_guessed() {
    let cloud = read("azure", AZURE);
    assert!(from(&cloud, "8.8.8.8", "web", 443).allowed(), "{:?}", from(&cloud, "8.8.8.8", "web", 443));
    assert_eq!(from(&cloud, "8.8.8.8", "web", 80).denied_by(), ["default of web-nsg inbound"]);
    let ssh = from(&cloud, "8.8.8.8", "web", 22);
    assert!(ssh.depends() && !ssh.allowed(), "{ssh:?}");
    let gate = cloud.gates().into_iter().find(|gate| gate.name == "web-nsg inbound").expect("gate");
    assert_eq!((gate.rules[0].place.file.as_ref(), gate.rules[0].place.line), ("main.tf", 17));
}

const GCP: &str = r#"
resource "google_compute_network" "net" {
  name = "prod"
  auto_create_subnetworks = false
}
resource "google_compute_subnetwork" "sub" {
  name = "sub"
  network = google_compute_network.net.id
  ip_cidr_range = "10.0.0.0/24"
  region = "r1"
}
resource "google_compute_firewall" "web" {
  name = "web"
  network = google_compute_network.net.name
  allow {
    protocol = "tcp"
    ports = ["80", "443"]
  }
  source_ranges = ["0.0.0.0/0"]
  target_tags = ["web"]
}
resource "google_compute_firewall" "db" {
  name = "db"
  network = google_compute_network.net.self_link
  direction = "INGRESS"
  allow {
    protocol = "tcp"
    ports = ["5432"]
  }
  source_tags = ["web"]
  target_tags = ["db"]
}
resource "google_compute_instance" "web" {
  name = "web-1"
  zone = "r1-a"
  tags = ["web"]
  network_interface {
    subnetwork = google_compute_subnetwork.sub.id
    network = google_compute_network.net.id
    network_ip = "10.0.0.2"
    access_config {}
  }
}
resource "google_compute_instance" "db" {
  name = "db-1"
  zone = "r1-a"
  tags = ["db"]
  network_interface {
    network = google_compute_network.net.id
    network_ip = "10.0.0.3"
  }
}
resource "google_compute_network_firewall_policy" "p" {
  name = "guard"
}
resource "google_compute_network_firewall_policy_association" "p" {
  name = "a"
  firewall_policy = google_compute_network_firewall_policy.p.name
  attachment_target = google_compute_network.net.id
}
resource "google_compute_network_firewall_policy_rule" "ssh" {
  firewall_policy = google_compute_network_firewall_policy.p.name
  priority = 10
  direction = "INGRESS"
  action = "allow"
  match {
    src_ip_ranges = ["8.8.8.0/24"]
    layer4_configs {
      ip_protocol = "tcp"
      ports = ["22"]
    }
  }
}
"#;

#[test]
fn google_resources_are_read_by_name_link_and_tag() {
    let cloud = read("gcp", GCP);
    assert!(from(&cloud, "8.8.8.8", "web-1", 443).allowed(), "{:?}", from(&cloud, "8.8.8.8", "web-1", 443));
    assert!(from(&cloud, "8.8.8.8", "web-1", 22).allowed(), "by the policy");
    assert!(from(&cloud, "9.9.9.9", "web-1", 22).denied());
    assert!(between(&cloud, "web-1", "db-1", 5432).allowed());
    assert!(between(&cloud, "db-1", "web-1", 5432).denied());
    assert!(from(&cloud, "8.8.8.8", "db-1", 5432).denied());
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
resource "alicloud_security_group_rule" "deny" {
  type = "ingress"
  ip_protocol = "tcp"
  policy = "drop"
  port_range = "443/443"
  priority = 1
  security_group_id = alicloud_security_group.g.id
  cidr_ip = "9.9.9.0/24"
}
resource "alicloud_instance" "a" {
  instance_name = "a"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id = alicloud_vswitch.s.id
  private_ip = "10.0.1.5"
}
resource "alicloud_instance" "b" {
  instance_name = "b"
  security_groups = [alicloud_security_group.g.id]
  vswitch_id = alicloud_vswitch.s.id
  private_ip = "10.0.1.6"
}
resource "alicloud_eip_address" "e" {
  ip_address = "47.0.0.1"
}
resource "alicloud_eip_association" "e" {
  allocation_id = alicloud_eip_address.e.id
  instance_id = alicloud_instance.a.id
}
"#;

#[test]
fn alicloud_groups_are_read_with_the_defaults_of_the_provider() {
    let cloud = read("aliyun", ALIYUN);
    let id = "alicloud_instance.a";
    assert!(from(&cloud, "8.8.8.8", id, 443).allowed(), "{:?}", from(&cloud, "8.8.8.8", id, 443));
    assert!(from(&cloud, "9.9.9.9", id, 443).denied());
    assert!(between(&cloud, "alicloud_instance.b", id, 80).allowed(), "members reach each other");
}

const TENCENT: &str = r#"
resource "tencentcloud_vpc" "v" {
  name = "v"
  cidr_block = "10.0.0.0/16"
}
resource "tencentcloud_subnet" "s" {
  name = "s"
  vpc_id = tencentcloud_vpc.v.id
  cidr_block = "10.0.1.0/24"
}
resource "tencentcloud_security_group" "g" {
  name = "g"
}
resource "tencentcloud_security_group" "h" {
  name = "h"
}
resource "tencentcloud_security_group_rule_set" "g" {
  security_group_id = tencentcloud_security_group.g.id
  ingress {
    action = "DROP"
    cidr_block = "9.9.9.0/24"
    protocol = "ALL"
    port = "ALL"
  }
  ingress {
    action = "ACCEPT"
    cidr_block = "0.0.0.0/0"
    protocol = "TCP"
    port = "443"
  }
}
resource "tencentcloud_security_group_lite_rule" "h" {
  security_group_id = tencentcloud_security_group.h.id
  ingress = ["ACCEPT#10.0.0.0/8#80,8000-8010#TCP", "DROP#0.0.0.0/0#ALL#ALL"]
  egress = ["ACCEPT#0.0.0.0/0#ALL#ALL"]
}
resource "tencentcloud_instance" "a" {
  instance_name = "a"
  vpc_id = tencentcloud_vpc.v.id
  subnet_id = tencentcloud_subnet.s.id
  private_ip = "10.0.1.5"
  public_ip = "1.2.3.4"
  orderly_security_groups = [tencentcloud_security_group.g.id, tencentcloud_security_group.h.id]
}
resource "tencentcloud_instance" "b" {
  instance_name = "b"
  vpc_id = tencentcloud_vpc.v.id
  subnet_id = tencentcloud_subnet.s.id
  private_ip = "10.0.1.6"
  orderly_security_groups = [tencentcloud_security_group.h.id]
}
"#;

#[test]
fn tencentcloud_rule_sets_and_lite_rules_keep_their_order() {
    let cloud = read("tencent", TENCENT);
    let (a, b) = ("tencentcloud_instance.a", "tencentcloud_instance.b");
    assert!(from(&cloud, "8.8.8.8", a, 443).allowed(), "{:?}", from(&cloud, "8.8.8.8", a, 443));
    assert!(from(&cloud, "9.9.9.9", a, 443).denied());
    assert!(between(&cloud, b, a, 8005).allowed(), "{:?}", between(&cloud, b, a, 8005));
    assert!(between(&cloud, b, a, 81).denied());
}

const HUAWEI: &str = r#"
resource "huaweicloud_vpc" "v" {
  name = "v"
  cidr = "10.0.0.0/16"
}
resource "huaweicloud_vpc_subnet" "s" {
  name = "s"
  vpc_id = huaweicloud_vpc.v.id
  cidr = "10.0.1.0/24"
  gateway_ip = "10.0.1.1"
}
resource "huaweicloud_networking_secgroup" "g" {
  name = "g"
}
resource "huaweicloud_networking_secgroup_rule" "allow" {
  security_group_id = huaweicloud_networking_secgroup.g.id
  direction = "ingress"
  ethertype = "IPv4"
  protocol = "tcp"
  ports = "22,443"
  remote_ip_prefix = "0.0.0.0/0"
  priority = 10
}
resource "huaweicloud_networking_secgroup_rule" "deny" {
  security_group_id = huaweicloud_networking_secgroup.g.id
  direction = "ingress"
  ethertype = "IPv4"
  action = "deny"
  remote_ip_prefix = "10.9.0.0/16"
  priority = 1
}
resource "huaweicloud_compute_instance" "a" {
  name = "a"
  security_group_ids = [huaweicloud_networking_secgroup.g.id]
  network {
    uuid = huaweicloud_vpc_subnet.s.id
    fixed_ip_v4 = "10.0.1.5"
  }
}
resource "huaweicloud_compute_instance" "b" {
  name = "b"
  security_group_ids = [huaweicloud_networking_secgroup.g.id]
  network {
    uuid = huaweicloud_vpc_subnet.s.id
    fixed_ip_v4 = "10.0.1.6"
  }
}
"#;

#[test]
fn huaweicloud_groups_have_the_rules_of_a_new_group() {
    let cloud = read("huawei", HUAWEI);
    assert!(between(&cloud, "b", "a", 9999).allowed(), "{:?}", between(&cloud, "b", "a", 9999));
    assert!(from(&cloud, "10.8.0.1", "a", 22).allowed());
    assert_eq!(from(&cloud, "10.9.0.1", "a", 22).denied_by().len(), 1);
}

#[test]
fn a_plan_says_what_its_files_say() {
    let rule = |access: &str| {
        format!(
            r#"{{"format_version": "1.2", "terraform_version": "1.9.0", "planned_values": {{"root_module": {{"resources": [
            {{"address": "azurerm_network_security_group.n", "mode": "managed", "type": "azurerm_network_security_group", "name": "n",
              "values": {{"name": "n", "resource_group_name": "rg", "security_rule": [{{"name": "r", "priority": 100, "direction": "Inbound",
                "access": "{access}", "protocol": "Tcp", "source_port_range": "*", "destination_port_range": "443", "source_port_ranges": [],
                "destination_port_ranges": [], "source_address_prefix": "*", "source_address_prefixes": [], "destination_address_prefix": "*",
                "destination_address_prefixes": [], "source_application_security_group_ids": [], "destination_application_security_group_ids": []}}]}}}}]}}}}}}"#
        )
    };
    for (access, allowed) in [("Allow", true), ("Deny", false)] {
        let found = resources(&[(Arc::from("plan.json"), rule(access).as_str())]);
        let reader = &READERS[0];
        let cloud = (reader.read)(&(reader.terraform)(&found.resources), Vec::new());
        let verdict = verdict(&cloud, &ask(addresses("8.8.8.8"), addresses("9.9.9.9"), 6, 443));
        assert_eq!((verdict.allowed(), verdict.denied()), (allowed, !allowed), "{verdict:?}");
    }
}
