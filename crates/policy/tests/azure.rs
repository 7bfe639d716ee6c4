//! Azure: conformance cases for its traps, the generated lists, and the snapshot of real resources.
#![allow(clippy::expect_used, reason = "a test fails with the place")]

#[path = "clouds/verdict.rs"]
mod clouds;

use clouds::{Verdict, ask, documents, verdict};
use netwhy_policy::azure;
use netwhy_policy::cloud::Cloud;
use netwhy_policy::estate::{End, Estate, Look};

/// A network of two subnets, a machine in each; `web` has a public address. Rules come in.
fn estate(subnet_rules: &str, nic_rules: &str) -> Cloud {
    let text = format!(
        r#"[
 {{"id": "/s/networkSecurityGroups/subnet-nsg", "name": "subnet-nsg", "resourceGroup": "rg",
   "type": "Microsoft.Network/networkSecurityGroups", "securityRules": [{subnet_rules}]}},
 {{"id": "/s/networkSecurityGroups/nic-nsg", "name": "nic-nsg", "type": "Microsoft.Network/networkSecurityGroups",
   "properties": {{"securityRules": [{nic_rules}]}}}},
 {{"id": "/s/virtualNetworks/v", "name": "v", "type": "Microsoft.Network/virtualNetworks",
   "addressSpace": {{"addressPrefixes": ["10.0.0.0/16"]}}, "subnets": [
   {{"id": "/s/virtualNetworks/v/subnets/web", "name": "web", "addressPrefix": "10.0.1.0/24",
     "networkSecurityGroup": {{"id": "/S/networkSecurityGroups/SUBNET-NSG"}}}},
   {{"id": "/s/virtualNetworks/v/subnets/db", "name": "db", "addressPrefix": "10.0.2.0/24"}}]}},
 {{"id": "/s/publicIPAddresses/p", "name": "p", "type": "Microsoft.Network/publicIPAddresses",
   "ipAddress": "20.1.2.3", "sku": {{"name": "Standard"}}}},
 {{"id": "/s/networkInterfaces/web-nic", "name": "web-nic", "type": "Microsoft.Network/networkInterfaces",
   "virtualMachine": {{"id": "/s/virtualMachines/web"}}, "networkSecurityGroup": {{"id": "/s/networkSecurityGroups/nic-nsg"}},
   "ipConfigurations": [{{"privateIPAddress": "10.0.1.4", "subnet": {{"id": "/s/virtualNetworks/v/subnets/web"}},
     "applicationSecurityGroups": [{{"id": "/s/applicationSecurityGroups/asg-web"}}],
     "publicIPAddress": {{"id": "/s/publicIPAddresses/p"}}}}]}},
 {{"id": "/s/networkInterfaces/db-nic", "name": "db-nic", "type": "Microsoft.Network/networkInterfaces",
   "virtualMachine": {{"id": "/s/virtualMachines/db"}},
   "ipConfigurations": [{{"privateIPAddress": "10.0.2.4", "subnet": {{"id": "/s/virtualNetworks/v/subnets/db"}}}}]}}
]"#
    );
    azure::read(&documents("azure.json", &text), Vec::new())
}

fn rule(name: &str, priority: u32, inbound: bool, allow: bool, rest: &str) -> String {
    let (direction, access) =
        (if inbound { "Inbound" } else { "Outbound" }, if allow { "Allow" } else { "Deny" });
    format!(
        r#"{{"name": "{name}", "priority": {priority}, "direction": "{direction}", "access": "{access}", {rest}}}"#
    )
}

const HTTPS: &str = r#""protocol": "Tcp", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "443""#;
const ALL: &str = r#""protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*""#;

fn outside(cloud: &Cloud, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(End::Outside, End::Known(to.to_owned()), 6, port))
}

fn between(cloud: &Cloud, from: &str, to: &str, port: u16) -> Verdict {
    verdict(cloud, &ask(End::Known(from.to_owned()), End::Known(to.to_owned()), 6, port))
}

#[test]
fn inbound_both_the_group_of_the_subnet_and_that_of_the_interface_must_allow() {
    let allow = rule("https", 100, true, true, HTTPS);
    assert!(outside(&estate(&allow, &allow), "web", 443).allowed());
    let verdict = outside(&estate(&allow, ""), "web", 443);
    assert_eq!(verdict.denied_by(), ["default of nic-nsg inbound"]);
    let verdict = outside(&estate("", ""), "web", 443);
    assert_eq!(verdict.denied_by(), ["default of subnet-nsg inbound", "default of nic-nsg inbound"]);
}

#[test]
fn the_lower_priority_number_decides_wherever_it_stands_in_the_file() {
    let rules = [rule("late", 200, true, false, ALL), rule("early", 100, true, true, HTTPS)].join(",");
    let allow = rule("https", 100, true, true, HTTPS);
    assert!(outside(&estate(&rules, &allow), "web", 443).allowed());
    let rules = [rule("early", 100, true, false, ALL), rule("late", 200, true, true, HTTPS)].join(",");
    let verdict = outside(&estate(&rules, &allow), "web", 443);
    assert_eq!(verdict.denied_by(), ["0 of subnet-nsg"]);
}

#[test]
fn machines_of_one_network_reach_each_other_by_the_default_rules() {
    let cloud = estate("", "");
    assert!(between(&cloud, "db", "web", 5432).allowed());
    assert!(between(&cloud, "web", "db", 5432).allowed());
    let deny = rule("no", 4096, true, false, ALL);
    assert_eq!(between(&estate(&deny, ""), "db", "web", 5432).denied_by(), ["0 of subnet-nsg"]);
}

#[test]
fn outbound_denials_name_both_groups_the_interface_first() {
    let deny = rule("no-out", 100, false, false, ALL);
    let verdict = between(&estate(&deny, &deny), "web", "db", 5432);
    assert_eq!(verdict.denied_by(), ["0 of nic-nsg", "0 of subnet-nsg"]);
    assert!(between(&estate(&deny, &deny), "db", "web", 443).allowed(), "answers are not asked again");
}

#[test]
fn the_tag_internet_is_everything_outside_of_the_network() {
    let tagged = HTTPS.replacen("\"*\"", "\"Internet\"", 1);
    let allow = rule("https", 100, true, true, &tagged);
    let deny = rule("rest", 200, true, false, ALL);
    let rules = [allow, deny].join(",");
    let cloud = estate(&rules, &rules);
    assert!(outside(&cloud, "web", 443).allowed());
    assert!(!between(&cloud, "db", "web", 443).allowed(), "a neighbour is not the Internet");
}

#[test]
fn an_unknown_service_tag_is_never_allowed() {
    let tagged = HTTPS.replacen("\"*\"", "\"AzureFrontDoor.Backend\"", 1);
    let rules = rule("front-door", 100, true, true, &tagged);
    let cloud = estate(&rules, &rules);
    assert!(outside(&cloud, "web", 443).depends());
    let cloud = estate(&format!("{},{}", rule("no", 90, true, false, ALL), rules), &rules);
    assert!(outside(&cloud, "web", 443).denied());
}

#[test]
fn an_application_security_group_is_its_members() {
    let to_web = r#""protocol": "Tcp", "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationApplicationSecurityGroups": [{"id": "/s/applicationSecurityGroups/asg-web"}], "destinationPortRanges": ["80", "443-444"]"#;
    let rules = rule("asg", 100, true, true, to_web);
    assert!(outside(&estate(&rules, &rules), "web", 444).allowed());
    let other = rules.replace("asg-web", "asg-other");
    assert!(outside(&estate(&other, &other), "web", 444).denied());
}

#[test]
fn a_standard_public_address_without_a_group_is_closed_and_no_public_address_is_no_way_in() {
    let cloud = estate("", "");
    let verdict = outside(&cloud, "db", 5432);
    assert!(verdict.denied() && verdict.ends.iter().any(|why| why.contains("no public address")));
    let text = r#"[{"id": "/v/p", "name": "p", "ipAddress": "20.0.0.9", "publicIPAllocationMethod": "Static", "sku": {"name": "Standard"}},
      {"name": "n", "macAddress": "x", "ipConfigurations": [{"privateIPAddress": "10.0.0.4", "publicIPAddress": {"id": "/v/p"}}]}]"#;
    let cloud = azure::read(&documents("a.json", text), Vec::new());
    let verdict = outside(&cloud, "n", 22);
    assert!(verdict.ends.iter().any(|why| why.contains("Standard")), "{verdict:?}");
}

#[test]
fn a_route_to_nowhere_drops_and_an_appliance_is_not_guessed() {
    for (hop, denied) in [("None", true), ("VirtualAppliance", false)] {
        let text = format!(
            r#"[{{"name": "t", "id": "/s/routeTables/t", "type": "Microsoft.Network/routeTables", "properties": {{"routes": [
            {{"name": "r", "properties": {{"addressPrefix": "10.0.2.0/24", "nextHopType": "{hop}", "nextHopIpAddress": "10.0.9.9"}}}}]}}}},
          {{"id": "/s/virtualNetworks/v", "name": "v", "addressSpace": {{"addressPrefixes": ["10.0.0.0/16"]}}, "subnets": [
            {{"id": "/s/virtualNetworks/v/subnets/a", "name": "a", "addressPrefix": "10.0.1.0/24", "routeTable": {{"id": "/s/routeTables/t"}}}},
            {{"id": "/s/virtualNetworks/v/subnets/b", "name": "b", "addressPrefix": "10.0.2.0/24"}}]}},
          {{"name": "one", "macAddress": "x", "ipConfigurations": [{{"privateIPAddress": "10.0.1.4", "subnet": {{"id": "/s/virtualNetworks/v/subnets/a"}}}}]}},
          {{"name": "two", "macAddress": "y", "ipConfigurations": [{{"privateIPAddress": "10.0.2.4", "subnet": {{"id": "/s/virtualNetworks/v/subnets/b"}}}}]}}]"#
        );
        let cloud = azure::read(&documents("a.json", &text), Vec::new());
        let there = between(&cloud, "one", "two", 443);
        assert_eq!((there.denied(), there.depends()), (denied, !denied), "{there:?}");
        let back = between(&cloud, "two", "one", 443);
        assert_eq!(back.denied(), denied, "the answers take the route too");
    }
}

#[test]
fn a_peering_must_work_from_both_sides() {
    for (state, allowed) in [("Connected", true), ("Initiated", false)] {
        let network = |name: &str, other: &str, net: &str, state: &str| {
            format!(
                r#"{{"id": "/s/virtualNetworks/{name}", "name": "{name}", "addressSpace": {{"addressPrefixes": ["{net}.0.0/16"]}},
              "subnets": [{{"id": "/s/virtualNetworks/{name}/subnets/s", "name": "s", "addressPrefix": "{net}.0.0/24"}}],
              "virtualNetworkPeerings": [{{"id": "/s/virtualNetworks/{name}/virtualNetworkPeerings/p", "name": "p", "peeringState": "{state}",
                "allowVirtualNetworkAccess": true, "remoteVirtualNetwork": {{"id": "/s/virtualNetworks/{other}"}}}}]}},
             {{"name": "vm-{name}", "macAddress": "x", "ipConfigurations": [{{"privateIPAddress": "{net}.0.4",
                "subnet": {{"id": "/s/virtualNetworks/{name}/subnets/s"}}}}]}}"#
            )
        };
        let text =
            format!("[{},{}]", network("a", "b", "10.1", "Connected"), network("b", "a", "10.2", state));
        let cloud = azure::read(&documents("a.json", &text), Vec::new());
        assert_eq!(between(&cloud, "vm-a", "vm-b", 443).allowed(), allowed);
    }
}

/// Two spokes peered with a hub, whose appliance their route tables name.
fn spokes(forwarded: &str, routes: &str) -> Cloud {
    let spoke = |name: &str, net: &str, to: &str| {
        format!(
            r#"{{"id": "/s/virtualNetworks/{name}", "name": "{name}", "addressSpace": {{"addressPrefixes": ["{net}.0.0/16"]}},
              "subnets": [{{"id": "/s/virtualNetworks/{name}/subnets/s", "name": "s", "addressPrefix": "{net}.0.0/24",
                "routeTable": {{"id": "/s/routeTables/{name}"}}}}],
              "virtualNetworkPeerings": [{{"id": "/s/virtualNetworks/{name}/virtualNetworkPeerings/p", "name": "p", "peeringState": "Connected",
                "allowVirtualNetworkAccess": true, {forwarded} "remoteVirtualNetwork": {{"id": "/s/virtualNetworks/hub"}}}}]}},
             {{"id": "/s/routeTables/{name}", "name": "{name}", "type": "Microsoft.Network/routeTables", "routes": [{}]}},
             {{"name": "vm-{name}", "macAddress": "x", "ipConfigurations": [{{"privateIPAddress": "{net}.0.4",
                "subnet": {{"id": "/s/virtualNetworks/{name}/subnets/s"}}}}]}}"#,
            routes.replace("TO", to)
        )
    };
    let hub = r#"{"id": "/s/virtualNetworks/hub", "name": "hub", "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [],
      "virtualNetworkPeerings": [
       {"id": "/s/virtualNetworks/hub/virtualNetworkPeerings/a", "name": "a", "peeringState": "Connected", "remoteVirtualNetwork": {"id": "/s/virtualNetworks/a"}},
       {"id": "/s/virtualNetworks/hub/virtualNetworkPeerings/b", "name": "b", "peeringState": "Connected", "remoteVirtualNetwork": {"id": "/s/virtualNetworks/b"}}]}"#;
    let text = format!("[{hub},{},{}]", spoke("a", "10.1", "10.2"), spoke("b", "10.2", "10.1"));
    azure::read(&documents("a.json", &text), Vec::new())
}

#[test]
fn spokes_meet_over_an_appliance_only_where_their_peerings_take_what_it_sends_on() {
    let route = r#"{"name": "r", "addressPrefix": "TO.0.0/16", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.9"}"#;
    let ask = |forwarded: &str, route: &str| between(&spokes(forwarded, route), "vm-a", "vm-b", 443);
    let open = ask(r#""allowForwardedTraffic": true,"#, route);
    assert!(!open.allowed() && !open.denied(), "it depends on the appliance: {open:?}");
    assert!(ask(r#""allowForwardedTraffic": false,"#, route).denied());
    assert!(ask(r#""allowForwardedTraffic": true,"#, "").denied(), "peering is not transitive");
}

#[test]
fn a_fix_takes_a_free_priority_before_the_rule_that_denies() {
    let rules = [rule("taken", 199, true, true, HTTPS), rule("no", 200, true, false, ALL)].join(",");
    let cloud = estate(&rules, &rule("ok", 100, true, true, ALL));
    let question = ask(End::Outside, End::Known("web".to_owned()), 6, 8443);
    let steps = cloud.way(&question);
    let fixes: Vec<String> = steps
        .iter()
        .filter_map(|step| match &step.look {
            Look::Gate { gate, packets } if gate.name == "subnet-nsg inbound" => {
                Some(cloud.allow(gate, packets))
            }
            _ => None,
        })
        .flatten()
        .map(|fix| fix.change)
        .collect();
    assert!(
        fixes[0].starts_with("az network nsg rule create --resource-group rg --nsg-name subnet-nsg"),
        "{fixes:?}"
    );
    assert!(
        fixes[0].contains("--priority 198 --direction Inbound") && fixes[0].contains("'8443'"),
        "{fixes:?}"
    );
    assert!(fixes[1].starts_with("resource \"azurerm_network_security_rule\""));
}

#[test]
fn every_rule_knows_its_place_and_what_is_not_understood_is_said() {
    let cloud = estate(&rule("odd", 100, true, true, &HTTPS.replace("Tcp", "Quic")), "");
    let gate = cloud.gates().into_iter().find(|gate| gate.name == "subnet-nsg inbound").expect("gate");
    assert_eq!((gate.rules[0].place.line, gate.rules[0].part_of.as_ref()), (3, "subnet-nsg"));
    assert!(!gate.rules[0].unmodelled.is_empty());
    assert_eq!(cloud.unread()[0].text, "Quic");
}

#[test]
fn a_generated_group_answers_like_the_list_it_was_made_from() {
    let Some((text, packets)) = clouds::generated("azure_nsg.json") else { return };
    let cloud = azure::read(&documents("azure_nsg.json", &text), Vec::new());
    let mut wrong = 0;
    for packet in &packets {
        let verdict = clouds::asked(&cloud, packet);
        let right = verdict.allowed() == packet.allow && verdict.denied() != packet.allow;
        wrong += usize::from(!right);
    }
    assert_eq!(wrong, 0, "of {}", packets.len());
}

#[test]
fn the_snapshot_of_real_resources_is_read_whole() {
    let Some(texts) = clouds::folder("batfish/cloud-azure/azure_configs") else { return };
    let nodes: Vec<_> = texts.iter().flat_map(|(name, text)| documents(name, text)).collect();
    let cloud = azure::read(&nodes, Vec::new());
    let names: Vec<&str> = cloud.endpoints().iter().map(|endpoint| endpoint.id.as_str()).collect();
    assert_eq!(names, ["VM1", "VM2"]);
    assert!(cloud.unread().is_empty(), "{:?}", cloud.unread());
    assert!(between(&cloud, "VM1", "VM2", 22).allowed());
    assert!(between(&cloud, "VM1", "VM2", 8080).allowed());
    assert_eq!(between(&cloud, "VM1", "VM2", 443).denied_by(), ["1 of subnet-nsg"]);
    assert!(outside(&cloud, "VM2", 22).denied());
}

#[test]
fn rules_listed_without_their_group_still_answer() {
    let rule = rule("https", 100, true, true, HTTPS).replacen(
        '{',
        r#"{"id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups/web/securityRules/https","#,
        1,
    );
    let cloud = azure::read(&documents("rules.json", &format!("[{rule}]")), Vec::new());
    let gate = cloud.gates().remove(0);
    assert_eq!((gate.name.as_str(), gate.rules[0].text.split(' ').next()), ("web inbound", Some("https")));
    let question = ask(clouds::addresses("8.8.8.8"), clouds::addresses("10.0.0.4"), 6, 443);
    assert!(verdict(&cloud, &question).allowed());
}

#[test]
fn the_dead_rules_of_a_generated_group_are_found_and_no_others() {
    let Some((text, _)) = clouds::generated("azure_nsg.json") else { return };
    let Some(dead) = clouds::dead() else { return };
    let cloud = azure::read(&documents("azure_nsg.json", &text), Vec::new());
    let gate = cloud.gates().remove(0);
    let found = netwhy_policy::lint::gate(&gate);
    let mut numbers: Vec<u32> =
        found.iter().filter(|one| one.kind == "dead").filter_map(|one| one.rule).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, dead);
}

#[test]
fn a_group_of_an_unknown_network_does_not_guess_what_is_in_it() {
    let cloud = azure::read(&documents("n.json", r#"{"name": "n", "securityRules": []}"#), Vec::new());
    let asked =
        |from: &str| verdict(&cloud, &ask(clouds::addresses(from), clouds::addresses("10.0.0.4"), 6, 443));
    assert!(asked("8.8.8.8").denied());
    assert!(
        !asked("10.0.0.9").allowed() && !asked("10.0.0.9").on.is_empty(),
        "AllowVnetInBound may let it in"
    );
    assert!(asked("168.63.129.16").allowed(), "AllowAzureLoadBalancerInBound");
}

#[test]
fn a_load_balancer_leads_to_its_own_targets_and_to_nobody_else() {
    let text = |pool: &str| {
        format!(
            r#"[{{"id": "/s/virtualNetworks/v", "name": "v", "type": "Microsoft.Network/virtualNetworks", "addressSpace": {{"addressPrefixes": ["10.0.0.0/16"]}},
              "subnets": [{{"id": "/s/virtualNetworks/v/subnets/s", "name": "s", "addressPrefix": "10.0.1.0/24"}}]}},
             {{"id": "/s/networkInterfaces/a", "name": "a", "macAddress": "x", "ipConfigurations": [{{"privateIPAddress": "10.0.1.4", "subnet": {{"id": "/s/virtualNetworks/v/subnets/s"}}}}]}},
             {{"id": "/s/networkInterfaces/b", "name": "b", "macAddress": "y", "ipConfigurations": [{{"privateIPAddress": "10.0.1.5", "subnet": {{"id": "/s/virtualNetworks/v/subnets/s"}}}}]}},
             {{"id": "/s/loadBalancers/l", "name": "l", "type": "Microsoft.Network/loadBalancers",
               "frontendIPConfigurations": [{{"publicIPAddress": {{"id": "/s/publicIPAddresses/p"}}}}] {pool}}}]"#
        )
    };
    let read = |pool: &str| azure::read(&documents("a.json", &text(pool)), Vec::new());
    let told = read(
        r#", "backendAddressPools": [{"backendIPConfigurations": [{"id": "/s/networkInterfaces/a/ipConfigurations/c"}]}]"#,
    );
    assert!(outside(&told, "a", 443).allowed(), "{:?}", outside(&told, "a", 443));
    assert!(outside(&told, "b", 443).denied(), "no balancer leads there");
    let untold = read("");
    assert!(!outside(&untold, "b", 443).denied() && !outside(&untold, "b", 443).allowed());
}
