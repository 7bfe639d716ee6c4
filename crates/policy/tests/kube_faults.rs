//! What is wrong in manifests is found, and what is right is left alone.

use netwhy_policy::finding::{Finding, Level};
use netwhy_policy::kube::{Kube, Options};

fn faults(text: &str) -> Vec<Finding> {
    Kube::read(&[("a.yaml".into(), text)], Options::default()).faults()
}

/// Line, kind, and a part of the text of each finding.
fn seen(text: &str) -> Vec<(u32, &'static str, String)> {
    faults(text).into_iter().map(|one| (one.place.line, one.kind, one.text.en)).collect()
}

fn has(text: &str, line: u32, kind: &str, part: &str) {
    let all = seen(text);
    let found =
        all.iter().any(|(own, own_kind, words)| *own == line && *own_kind == kind && words.contains(part));
    assert!(found, "{line} {kind} {part}: {all:#?}");
}

const POD: &str = "
kind: Pod
apiVersion: v1
metadata: {name: web, namespace: a, labels: {app: web}}
spec:
  containers:
  - name: c
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {port: http, path: /}}
---
";

fn service(name: &str, spec: &str) -> String {
    format!("kind: Service\napiVersion: v1\nmetadata: {{name: {name}, namespace: a}}\nspec:\n  {spec}\n---\n")
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {{name: {name}, namespace: a}}\nspec:\n  {spec}\n---\n"
    )
}

#[test]
fn what_is_right_is_left_alone() {
    let right = service(
        "s",
        "{type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}",
    ) + &policy("p", "{podSelector: {app: web}, ingress: [{ports: [{port: http}]}]}")
        .replace("{app: web}, ingress", "{matchLabels: {app: web}}, ingress")
        + "kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {name: i, namespace: a}\nspec:\n  rules: [{http: {paths: [{path: /, backend: {service: {name: s, port: {number: 80}}}}]}}]\n---\n";
    assert_eq!(seen(&format!("{POD}{right}")), []);
}

#[test]
fn node_ports_that_clash_or_lie_outside_of_the_range_are_found() {
    let one = service("one", "{type: NodePort, ports: [{port: 1, nodePort: 30080}]}");
    let two = service(
        "two",
        "{type: NodePort, ports: [{port: 2, nodePort: 30080}, {port: 3, nodePort: 30080, protocol: UDP}]}",
    );
    has(&format!("{one}{two}"), 11, "conflict", "30080/TCP");
    assert_eq!(seen(&format!("{one}{two}")).len(), 1, "UDP is another port");
    has(
        &service("one", "{type: NodePort, ports: [{port: 1, nodePort: 8080}]}"),
        5,
        "node-port-range",
        "30000-32767",
    );
}

#[test]
fn services_that_lead_nowhere_are_found() {
    let line = POD.lines().count() as u32;
    has(
        &format!("{POD}{}", service("s", "{selector: {app: wen}, ports: [{port: 80}]}")),
        line + 5,
        "dangling",
        "app=wen",
    );
    has(
        &format!("{POD}{}", service("s", "{selector: {app: web}, ports: [{port: 80, targetPort: https}]}")),
        line + 5,
        "dangling",
        "named https",
    );
    has(
        &format!("{POD}{}", service("s", "{selector: {app: web}, ports: [{port: 80}]}")),
        line + 5,
        "dangling",
        "80/TCP",
    );
    let external = service("one", "{externalIPs: [192.0.2.1], ports: [{port: 80}]}")
        + &service("two", "{externalIPs: [192.0.2.1], ports: [{port: 80}]}");
    has(&external, 11, "conflict", "192.0.2.1");
    let slice = "kind: EndpointSlice\napiVersion: discovery.k8s.io/v1\nmetadata: {name: s-1, namespace: a, labels: {kubernetes.io/service-name: s}}\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]\n";
    has(slice, 1, "no-endpoints", "ready");
    has(&service("s", "{selector: {app: yes}, ports: []}"), 5, "invalid-selector", "quotes");
}

#[test]
fn ingresses_that_lead_nowhere_are_found() {
    let ingress = |name: &str, port: &str| {
        format!(
            "{}kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {{name: i, namespace: a}}\nspec:\n  tls: [{{secretName: cert}}]\n  rules: [{{http: {{paths: [{{path: /x, backend: {{service: {{name: {name}, port: {{{port}}}}}}}}}]}}}}]\n---\n",
            service("s", "{ports: [{port: 80, name: http}]}")
        )
    };
    has(&ingress("gone", "number: 80"), 12, "dangling", "no Service a/gone");
    has(&ingress("s", "number: 81"), 12, "dangling", "no port 81");
    has(&ingress("s", "name: https"), 12, "dangling", "no port https");
    let secret = "kind: Secret\napiVersion: v1\nmetadata: {name: other, namespace: a}\n---\n";
    has(&format!("{}{secret}", ingress("s", "number: 80")), 11, "dangling", "Secret cert");
    assert_eq!(seen(&ingress("s", "number: 80")), []);
}

#[test]
fn policies_that_do_nothing_are_found() {
    let line = POD.lines().count() as u32;
    let open = "ingress: [{}]";
    has(
        &format!(
            "{POD}{}",
            policy("p", &format!("{{podSelector: {{matchLabels: {{app: other}}}}, {open}}}"))
        ),
        line + 5,
        "unused",
        "no pod",
    );
    let from = |peer: &str| {
        format!(
            "{POD}{}",
            policy("p", &format!("{{podSelector: {{}}, ingress: [{{}}, {{from: [{peer}]}}]}}"))
        )
    };
    has(&from("{namespaceSelector: {matchLabels: {team: x}}}"), line + 5, "dangling", "team=x");
    has(&from("{podSelector: {matchLabels: {app: x}}}"), line + 5, "dangling", "app=x");
    let two = policy("p", "{podSelector: {}, ingress: [{}]}")
        + &policy("q", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 1}]}]}");
    has(&format!("{POD}{two}"), line + 7, "redundant", "a/p");
    let twice = policy("p", "{podSelector: {}, ingress: [{}]}").repeat(2);
    has(&format!("{POD}{twice}"), line + 1, "conflict", "again");
}

#[test]
fn policies_that_cut_off_names_probes_and_controllers_are_found() {
    let line = POD.lines().count() as u32;
    let egress = format!(
        "{POD}{}",
        policy("p", "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}")
    );
    has(&egress, line + 5, "blocked-dns", "port 53");
    let with_names = egress.replace("{port: 443}", "{port: 443}, {port: 53, protocol: UDP}");
    assert_eq!(seen(&with_names), []);
    let server = "kind: Pod\napiVersion: v1\nmetadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}}\n---\n";
    let own = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}";
    has(&format!("{POD}{server}{}", policy("p", own)), line + 9, "blocked-dns", "port 53");
    let shut = format!("{POD}{}", policy("p", "{podSelector: {}, ingress: []}"));
    has(&shut, 9, "blocked-probe", "depends on the network plugin");
    assert!(faults(&shut).iter().all(|one| one.level == Level::Note));
    let led = service("s", "{selector: {app: web}, ports: [{port: 80, targetPort: http}]}")
        + "kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {name: i, namespace: a}\nspec: {defaultBackend: {service: {name: s, port: {number: 80}}}}\n---\n";
    has(&format!("{shut}{led}"), line + 13, "blocked-controller", "do not let the ingress controller in");
}
