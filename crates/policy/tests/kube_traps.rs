//! What Kubernetes' policies and services mean, trap by trap.
#![allow(clippy::expect_used)]

use netwhy_policy::can::{Answer, Verdict, can};
use netwhy_policy::estate::{Ask, End, Estate};
use netwhy_policy::kube::{Kube, Options};

/// Two namespaces, three workloads, a client elsewhere.
const WORLD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Namespace
metadata: {name: ops, labels: {team: ops}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: a, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: a, ports: [{name: http, containerPort: 5432}, {name: sig, containerPort: 99, protocol: SCTP}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: tool, namespace: ops, labels: {app: web}}
spec: {containers: [{name: a}]}
---
";
const WEB: &str = "shop/web[Deployment]";
const DB: &str = "shop/db[Deployment]";
const TOOL: &str = "ops/tool[Pod]";

fn read(more: &str, options: Options) -> Kube {
    let text = format!("{WORLD}{more}");
    let kube = Kube::read(&[("all.yaml".into(), &text)], options);
    assert_eq!(kube.unread(), []);
    kube
}

fn policy(kind_and_spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {kind_and_spec}\n---\n"
    )
}

fn asked(kube: Kube, from: End, to: End, protocol: u8, port: Option<u16>) -> Answer {
    can(&[Box::new(kube)], &Ask { from, to, protocol, port, request: None })
}

fn known(id: &str) -> End {
    match id.parse() {
        Ok(address) => End::Addresses(address, address),
        Err(_) if id == "outside" => End::Outside,
        Err(_) => End::Known(id.to_owned()),
    }
}

fn answer(more: &str, from: &str, to: &str, port: u16) -> Answer {
    asked(read(more, Options::default()), known(from), known(to), 6, Some(port))
}

fn verdict(more: &str, from: &str, to: &str, port: u16) -> Verdict {
    answer(more, from, to, port).verdict
}

#[test]
fn a_pod_is_isolated_once_a_policy_selects_it_and_only_in_the_directions_it_speaks_of() {
    assert_eq!(verdict("", TOOL, DB, 5432), Verdict::Allowed);
    let ingress = policy("{podSelector: {matchLabels: {app: db}}}");
    assert_eq!(verdict(&ingress, TOOL, DB, 5432), Verdict::Denied);
    assert_eq!(verdict(&ingress, TOOL, WEB, 8080), Verdict::Allowed);
    assert_eq!(verdict(&ingress, DB, WEB, 8080), Verdict::Allowed);
    // Without policyTypes, egress rules make it speak of egress, too.
    let both = policy("{podSelector: {matchLabels: {app: db}}, egress: [{}]}");
    assert_eq!(verdict(&both, TOOL, DB, 5432), Verdict::Denied);
    assert_eq!(verdict(&both, DB, WEB, 8080), Verdict::Allowed);
    let egress = policy("{podSelector: {}, policyTypes: [Egress]}");
    assert_eq!(verdict(&egress, TOOL, DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&egress, DB, WEB, 8080), Verdict::Denied);
    // Rules of a direction that policyTypes leaves out do nothing.
    let unused = policy("{podSelector: {}, policyTypes: [Egress], ingress: [], egress: [{}]}");
    assert_eq!(verdict(&unused, TOOL, DB, 5432), Verdict::Allowed);
}

#[test]
fn every_policy_that_isolates_is_a_blocker_with_the_line_of_its_selector() {
    let more = policy("{podSelector: {}}")
        + &policy("{podSelector: {matchLabels: {app: db}}}").replace("name: p,", "name: q,");
    let answer = answer(&more, TOOL, DB, 5432);
    let seen: Vec<&str> = answer.blockers.iter().map(|one| one.within.as_str()).collect();
    assert_eq!(seen, ["NetworkPolicy shop/p", "NetworkPolicy shop/q"]);
    let lines: Vec<u32> = answer.blockers.iter().map(|one| one.place.line).collect();
    let first = WORLD.lines().count() as u32 + 4;
    assert_eq!(lines, [first, first + 5]);
}

#[test]
fn two_selectors_in_one_peer_must_both_fit_and_two_peers_need_not() {
    let one = policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}, podSelector: {matchLabels: {app: other}}}]}]}",
    );
    assert_eq!(verdict(&one, TOOL, DB, 5432), Verdict::Denied);
    let two = policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}, {podSelector: {matchLabels: {app: other}}}]}]}",
    );
    assert_eq!(verdict(&two, TOOL, DB, 5432), Verdict::Allowed);
    // A podSelector alone means the policy's own namespace.
    let own = policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
    );
    assert_eq!(verdict(&own, WEB, DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&own, TOOL, DB, 5432), Verdict::Denied);
    let outside = asked(read(&own, Options::default()), End::Outside, known(DB), 6, Some(5432));
    assert_eq!(outside.verdict, Verdict::Denied);
}

#[test]
fn empty_rules_lists_and_selectors_mean_different_things() {
    let db = |rest: &str| policy(&format!("{{podSelector: {{matchLabels: {{app: db}}}}, ingress: {rest}}}"));
    assert_eq!(verdict(&db("[]"), TOOL, DB, 5432), Verdict::Denied);
    assert_eq!(verdict(&db("[{}]"), "198.51.100.7", DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&db("[{from: []}]"), "198.51.100.7", DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&db("[{from: [{podSelector: {}}]}]"), WEB, DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&db("[{from: [{podSelector: {}}]}]"), TOOL, DB, 5432), Verdict::Denied);
    let all = db("[{from: [{namespaceSelector: {}}]}]");
    assert_eq!(verdict(&all, TOOL, DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&all, "198.51.100.7", DB, 5432), Verdict::Denied);
    let by_name = db("[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}}]}]");
    assert_eq!(verdict(&by_name, TOOL, DB, 5432), Verdict::Allowed);
}

#[test]
fn expressions_follow_the_rules_of_label_selectors() {
    let db = |expression: &str| {
        policy(&format!(
            "{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{podSelector: {{matchExpressions: [{expression}]}}}}]}}]}}"
        ))
    };
    assert_eq!(verdict(&db("{key: app, operator: In, values: [web, x]}"), WEB, DB, 1), Verdict::Allowed);
    assert_eq!(verdict(&db("{key: app, operator: NotIn, values: [web]}"), WEB, DB, 1), Verdict::Denied);
    // A label that is absent is not in any list.
    assert_eq!(verdict(&db("{key: zone, operator: NotIn, values: [a]}"), WEB, DB, 1), Verdict::Allowed);
    assert_eq!(verdict(&db("{key: tier, operator: Exists}"), WEB, DB, 1), Verdict::Allowed);
    assert_eq!(verdict(&db("{key: tier, operator: DoesNotExist}"), WEB, DB, 1), Verdict::Denied);
}

#[test]
fn named_ports_are_those_of_the_pod_that_is_reached() {
    let egress = policy(
        "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}",
    );
    assert_eq!(verdict(&egress, WEB, DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&egress, WEB, DB, 8080), Verdict::Denied);
    assert_eq!(verdict(&egress, WEB, "198.51.100.7", 8080), Verdict::Denied);
    let ingress = policy("{podSelector: {}, ingress: [{ports: [{port: http}]}]}");
    assert_eq!(verdict(&ingress, TOOL, DB, 5432), Verdict::Allowed);
    assert_eq!(verdict(&ingress, TOOL, WEB, 8080), Verdict::Allowed);
    // The protocol must fit as well.
    let sctp = policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: sig}]}]}");
    assert_eq!(
        asked(read(&sctp, Options::default()), known(TOOL), known(DB), 132, Some(99)).verdict,
        Verdict::Denied
    );
    let sctp =
        policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: sig, protocol: SCTP}]}]}");
    assert_eq!(
        asked(read(&sctp, Options::default()), known(TOOL), known(DB), 132, Some(99)).verdict,
        Verdict::Allowed
    );
}

#[test]
fn ports_without_a_protocol_are_tcp_and_ranges_include_their_ends() {
    let ports =
        policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 100, endPort: 200}]}]}");
    for (port, wanted) in
        [(99, Verdict::Denied), (100, Verdict::Allowed), (200, Verdict::Allowed), (201, Verdict::Denied)]
    {
        assert_eq!(verdict(&ports, TOOL, DB, port), wanted, "{port}");
    }
    assert_eq!(
        asked(read(&ports, Options::default()), known(TOOL), known(DB), 17, Some(150)).verdict,
        Verdict::Denied
    );
    // What policies make of ICMP is left to the plugin.
    assert_eq!(
        asked(read(&ports, Options::default()), known(TOOL), known(DB), 1, None).verdict,
        Verdict::Depends
    );
}

#[test]
fn blocks_are_for_what_is_outside_and_the_plugin_decides_about_pods() {
    let block = policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [198.51.100.0/24]}}]}]}",
    );
    assert_eq!(verdict(&block, "198.51.100.7", DB, 1), Verdict::Denied);
    assert_eq!(verdict(&block, "198.51.101.7", DB, 1), Verdict::Allowed);
    assert_eq!(verdict(&block, "2001:db8::1", DB, 1), Verdict::Denied);
    assert_eq!(verdict(&block, TOOL, DB, 1), Verdict::Depends);
    for (matches, wanted) in [(true, Verdict::Allowed), (false, Verdict::Denied)] {
        let options = Options { blocks_match_pods: Some(matches), ..Options::default() };
        assert_eq!(asked(read(&block, options), known(TOOL), known(DB), 6, Some(1)).verdict, wanted);
    }
    let narrow = policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}",
    );
    assert_eq!(verdict(&narrow, TOOL, DB, 1), Verdict::Denied);
}

const ADMIN: &str = "
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: first}
spec:
  priority: 5
  subject: {namespaces: {matchLabels: {team: shop}}}
  ingress:
  - {action: Allow, from: [{namespaces: {matchLabels: {team: ops}}}], ports: [{portNumber: {protocol: TCP, port: 22}}]}
  - {action: Pass, from: [{namespaces: {matchLabels: {team: ops}}}], ports: [{portRange: {protocol: TCP, start: 80, end: 90}}]}
  - {action: Deny, from: [{namespaces: {}}], ports: [{portNumber: {protocol: TCP, port: 23}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: second}
spec:
  priority: 6
  subject: {namespaces: {}}
  ingress:
  - {action: Deny, from: [{namespaces: {}}], ports: [{portRange: {protocol: TCP, start: 1, end: 100}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec:
  subject: {namespaces: {}}
  ingress:
  - {action: Deny, from: [{namespaces: {}}], ports: [{portNumber: {protocol: TCP, port: 85}}]}
---
";

#[test]
fn administrators_policies_come_by_priority_pass_to_network_policies_and_end_in_the_baseline() {
    for (port, wanted) in [
        (22, Verdict::Allowed),
        (23, Verdict::Denied),
        (50, Verdict::Denied),
        (80, Verdict::Allowed),
        (85, Verdict::Denied),
        (5432, Verdict::Allowed),
    ] {
        assert_eq!(verdict(ADMIN, TOOL, DB, port), wanted, "{port}");
    }
    // A NetworkPolicy that selects the pod takes the place of the baseline, with isolation.
    let more = format!("{ADMIN}{}", policy("{podSelector: {}, ingress: [{ports: [{port: 85}]}]}"));
    for (port, wanted) in
        [(22, Verdict::Allowed), (80, Verdict::Denied), (85, Verdict::Allowed), (5432, Verdict::Denied)]
    {
        assert_eq!(verdict(&more, TOOL, DB, port), wanted, "{port}");
    }
    let denied = answer(ADMIN, TOOL, DB, 50);
    assert_eq!(denied.blockers.first().map(|one| one.within.as_str()), Some("AdminNetworkPolicy second"));
    assert!(denied.fix[0].change.contains("/spec/ingress/0"), "{:?}", denied.fix);
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec:
  type: NodePort
  clusterIP: 10.96.0.7
  selector: {app: db}
  ports: [{port: 80, targetPort: http, nodePort: 30080}]
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
";

#[test]
fn policies_see_the_port_of_the_pod_behind_a_service() {
    let open = policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]}");
    let shut = policy("{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 80}]}]}");
    for (more, wanted) in [(open, Verdict::Allowed), (shut, Verdict::Denied)] {
        let more = format!("{SERVICE}{more}");
        assert_eq!(verdict(&more, TOOL, "shop/db[Service]", 80), wanted);
        assert_eq!(verdict(&more, TOOL, "10.96.0.7", 80), wanted);
        assert_eq!(verdict(&more, "198.51.100.7", "192.0.2.1", 30080), wanted);
    }
    assert_eq!(verdict(SERVICE, TOOL, "10.96.0.7", 81), Verdict::Denied);
    let empty = SERVICE.replace("app: db", "app: gone");
    assert_eq!(verdict(&empty, TOOL, "10.96.0.7", 80), Verdict::Denied);
}

#[test]
fn behind_a_node_port_the_source_is_the_node_unless_the_policy_is_local() {
    let block = |cidr: &str| {
        policy(&format!(
            "{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{ipBlock: {{cidr: {cidr}}}}}]}}]}}"
        ))
    };
    let (client, node) = (block("198.51.100.0/24"), block("192.0.2.0/24"));
    let ask = |service: &str, policy: &str| {
        verdict(&format!("{service}{policy}"), "198.51.100.7", "192.0.2.1", 30080)
    };
    assert_eq!(ask(SERVICE, &client), Verdict::Denied);
    assert_eq!(ask(SERVICE, &node), Verdict::Allowed);
    // Whether a pod runs on that node is not in the files.
    let local = SERVICE
        .replace("type: NodePort", "type: NodePort, externalTrafficPolicy: Local")
        .replace("  type: NodePort, e", "  type: NodePort\n  e");
    assert_eq!(ask(&local, &client), Verdict::Depends);
    assert_eq!(
        verdict(&format!("{local}{client}"), "198.51.100.7", "shop/db[Service]", 80),
        Verdict::Allowed
    );
}

#[test]
fn pods_behind_one_service_that_fare_differently_make_the_answer_depend() {
    let both = SERVICE.replace("selector: {app: db}", "selector: {}").replace("{}", "{kind: any}");
    let more =
        WORLD.replace("app: db}", "app: db, kind: any}").replace("tier: front}", "tier: front, kind: any}");
    let text = format!("{more}{both}{}", policy("{podSelector: {matchLabels: {app: db}}}"));
    let kube = Kube::read(&[("all.yaml".into(), &text)], Options::default());
    assert_eq!(asked(kube, known(TOOL), known("10.96.0.7"), 6, Some(80)).verdict, Verdict::Depends);
}

#[test]
fn endpoints_that_are_not_ready_answer_nothing_and_those_made_by_hand_are_elsewhere() {
    let slice = |ready: bool| {
        format!(
            "kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\nmetadata: {{name: db-1, namespace: shop, labels: {{kubernetes.io/service-name: db}}}}\nendpoints: [{{addresses: [203.0.113.9], conditions: {{ready: {ready}}}}}]\n---\n"
        )
    };
    let ask = |more: &str| verdict(more, TOOL, "10.96.0.7", 80);
    assert_eq!(ask(&format!("{SERVICE}{}", slice(false))), Verdict::Denied);
    assert_eq!(ask(&format!("{SERVICE}{}", slice(true))), Verdict::Allowed);
    let by_hand = SERVICE.replace("  selector: {app: db}\n", "");
    assert_eq!(ask(&format!("{by_hand}{}", slice(true))), Verdict::Depends);
}

#[test]
fn what_an_ingress_leads_to_is_asked_from_the_controller() {
    let ingress = "kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {name: i, namespace: shop}\nspec:\n  rules: [{host: shop.example, http: {paths: [{path: /, backend: {service: {name: db, port: {number: 80}}}}]}}]\n---\n";
    let ask =
        |more: &str| verdict(&format!("{SERVICE}{ingress}{more}"), "outside", "{ingress-controller}", 443);
    assert_eq!(ask(""), Verdict::Allowed);
    assert_eq!(ask(&policy("{podSelector: {}}")), Verdict::Denied);
    let labelled =
        policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kind: ingress}}}]}]}");
    assert_eq!(ask(&labelled), Verdict::Depends);
    let controller = "kind: Namespace\napiVersion: v1\nmetadata: {name: ingress-nginx, labels: {kind: ingress}}\n---\nkind: Pod\napiVersion: v1\nmetadata: {name: c, namespace: ingress-nginx, labels: {app.kubernetes.io/name: ingress-nginx}}\nspec: {}\n---\n";
    assert_eq!(ask(&format!("{labelled}{controller}")), Verdict::Allowed);
}

#[test]
fn user_defined_networks_are_isolated_from_each_other() {
    let udn = "kind: UserDefinedNetwork\napiVersion: k8s.ovn.org/v1\nmetadata: {name: u, namespace: shop}\nspec: {topology: Layer2, layer2: {role: Primary}}\n---\n";
    assert_eq!(verdict(udn, TOOL, DB, 1), Verdict::Allowed, "the namespace lacks the label");
    let text = format!(
        "{}{udn}",
        WORLD.replace("team: shop}", "team: shop, k8s.ovn.org/primary-user-defined-network: ''}")
    );
    let kube = || Kube::read(&[("all.yaml".into(), &text)], Options::default());
    assert_eq!(asked(kube(), known(TOOL), known(DB), 6, Some(1)).verdict, Verdict::Denied);
    assert_eq!(asked(kube(), known(WEB), known(DB), 6, Some(1)).verdict, Verdict::Allowed);
}

#[test]
fn balancers_admit_only_the_ranges_they_name() {
    let service = SERVICE
        .replace("type: NodePort", "type: LoadBalancer\n  loadBalancerSourceRanges: [198.51.100.0/24]");
    assert_eq!(verdict(&service, "198.51.100.7", "shop/db[Service]", 80), Verdict::Allowed);
    let denied = answer(&service, "203.0.113.7", "shop/db[Service]", 80);
    assert_eq!(denied.verdict, Verdict::Denied);
    assert!(denied.fix[0].change.contains("203.0.113.7/32"), "{:?}", denied.fix);
}

#[test]
fn policies_that_are_not_modelled_make_the_answer_depend() {
    let cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {}\n---\n";
    assert_eq!(verdict(cilium, TOOL, DB, 1), Verdict::Depends);
    assert_eq!(verdict(cilium, TOOL, TOOL, 1), Verdict::Allowed);
    let calico =
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: c}\nspec: {}\n---\n";
    assert_eq!(verdict(calico, TOOL, TOOL, 1), Verdict::Depends);
}

#[test]
fn a_policy_the_api_server_refuses_is_named_and_makes_the_answer_depend() {
    let bad = policy(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
    );
    let text = format!("{WORLD}{bad}");
    let kube = Kube::read(&[("all.yaml".into(), &text)], Options::default());
    assert_eq!(kube.unread().len(), 1);
    assert_eq!(asked(kube, known(TOOL), known(DB), 6, Some(1)).verdict, Verdict::Depends);
}

#[test]
fn the_change_that_is_proposed_mends_and_no_more() {
    let shut = policy("{podSelector: {matchLabels: {app: db}}}");
    for (from, other) in [(TOOL, "ops"), ("198.51.100.7", "198.51.100.7/32"), (WEB, "app")] {
        let denied = answer(&shut, from, DB, 5432);
        assert_eq!(denied.verdict, Verdict::Denied);
        let fix = denied.fix.iter().find(|fix| fix.syntax == "kubectl").expect("a fix");
        assert!(fix.change.contains(other), "{}", fix.change);
        let mended = format!("{shut}{}\n---\n", fix.change);
        assert_eq!(verdict(&mended, from, DB, 5432), Verdict::Allowed, "{}", fix.change);
        assert_eq!(verdict(&mended, from, DB, 5433), Verdict::Denied);
        assert!(
            denied.fix.iter().any(|fix| fix.syntax == "terraform" && fix.change.contains("pod_selector"))
        );
    }
    let egress = policy("{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}");
    let fix = answer(&egress, WEB, DB, 5432).fix;
    let mended = format!("{egress}{}\n---\n", fix[0].change);
    assert_eq!(verdict(&mended, WEB, DB, 5432), Verdict::Allowed, "{}", fix[0].change);
    assert_eq!(verdict(&mended, WEB, TOOL, 5432), Verdict::Denied);
}

#[test]
fn the_labels_of_a_namespace_that_is_not_in_the_files_are_not_known() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: stray, namespace: far}\nspec: {}\n---\n";
    let by_label =
        policy("{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: far}}}]}]}");
    assert_eq!(verdict(&format!("{pod}{by_label}"), "far/stray[Pod]", DB, 1), Verdict::Depends);
    let by_name = policy(
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: near}}}]}]}",
    );
    assert_eq!(verdict(&format!("{pod}{by_name}"), "far/stray[Pod]", DB, 1), Verdict::Denied);
}
