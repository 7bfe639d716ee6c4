//! Whatever the bytes, the readers of manifests end, and say what they did not understand.

use netwhy_policy::doc::yaml;
use netwhy_policy::estate::{Ask, End, Estate};
use netwhy_policy::kube::{Kube, Options};
use proptest::prelude::*;

/// Every kind of object, to be cut and changed.
const MANIFESTS: &str = r#"
kind: Namespace
metadata: {name: a, labels: {k8s.ovn.org/primary-user-defined-network: ""}}
---
kind: Pod
metadata:
  {name: w, namespace: a, labels: {app: w}, annotations: {k8s.v1.cni.cncf.io/networks: '[{"name": "n", "ips": ["10.0.0.1/8"]}]'}}
spec: {containers: [{ports: [{name: http, containerPort: 80}], livenessProbe: {httpGet: {port: http}}}]}
status: {podIP: 10.1.0.1}
---
kind: NetworkPolicy
metadata: {name: p, namespace: a}
spec:
  podSelector: {matchExpressions: [{key: app, operator: In, values: [w]}]}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.2.0.0/16]}}, {namespaceSelector: {}}], ports: [{port: 1, endPort: 9}]}]
  egress: [{to: [{podSelector: {}}], ports: [{port: http, protocol: TCP}]}]
---
kind: AdminNetworkPolicy
metadata: {name: x}
spec:
  priority: 7
  subject: {namespaces: {}}
  egress: [{action: Pass, to: [{networks: [10.0.0.0/8]}, {nodes: {}}], ports: [{namedPort: http}, {portRange: {start: 1, end: 2}}]}]
---
kind: Service
metadata: {name: s, namespace: a}
spec: {type: NodePort, selector: {app: w}, ports: [{port: 80, targetPort: http, nodePort: 30000}], clusterIP: 10.96.0.1}
---
kind: Ingress
metadata: {name: i, namespace: a}
spec: {defaultBackend: {service: {name: s, port: {number: 80}}}, tls: [{secretName: t}]}
---
kind: UserDefinedNetwork
metadata: {name: u, namespace: a}
spec: {topology: Layer2, layer2: {role: Primary}}
"#;

/// Asks everything of what was read.
fn use_all(text: &str) {
    let kube = Kube::read(&[("a.yaml".into(), text)], Options::default());
    let (_, faults, gates) = (kube.connections(), kube.faults(), kube.lint_gates());
    let _ = (faults, gates);
    let ends: Vec<End> =
        kube.endpoints().iter().map(|one| End::Known(one.id.clone())).chain([End::Outside]).collect();
    for from in &ends {
        for to in &ends {
            for step in kube.way(&Ask {
                from: from.clone(),
                to: to.clone(),
                protocol: 6,
                port: Some(80),
                request: None,
            }) {
                if let netwhy_policy::estate::Look::Gate { gate, packets } = step.look {
                    kube.allow(&gate, &packets);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_yaml_reader_panic(text in "[ \\-a-z:{}\\[\\],&*'\"|>#%!?\n\t<0-9]{0,200}") {
        yaml(&"a.yaml".into(), &text);
        use_all(&text);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn manifests_that_are_cut_and_changed_are_read_or_refused(
        cuts in prop::collection::vec((0..MANIFESTS.len(), 0..12_usize, "[ a-z:{}\\[\\],0-9\n-]{0,4}"), 1..4)
    ) {
        let mut text = MANIFESTS.to_owned();
        for (at, length, put) in cuts {
            let (start, end) = (at.min(text.len()), (at + length).min(text.len()));
            text.replace_range(start..end, &put);
        }
        use_all(&text);
    }
}

#[test]
fn the_manifests_are_read_as_they_stand() {
    let kube = Kube::read(&[("a.yaml".into(), MANIFESTS)], Options::default());
    assert_eq!(kube.unread(), []);
    assert!(!kube.connections().is_empty());
    use_all(MANIFESTS);
}
