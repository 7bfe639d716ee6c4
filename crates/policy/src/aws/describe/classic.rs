//! Classic load balancers, as `aws elb describe-load-balancers` prints them.

use super::{texts, words};
use crate::aws::model::{Balancer, ClassicPorts, Model, classic_check_port};
use crate::doc::Node;

pub fn balancer(model: &mut Model, node: &Node) -> Option<()> {
    let name = node.word("LoadBalancerName")?;
    let made = Balancer {
        id: name.to_owned(),
        name: name.to_owned(),
        dns: node.word("DNSName").map(str::to_owned),
        kind: "classic".to_owned(),
        internal: node.word("Scheme") == Some("internal"),
        vpc: node.word("VPCId").unwrap_or_default().to_owned(),
        subnets: texts(node, "Subnets"),
        groups: texts(node, "SecurityGroups"),
        // Whether it is off is not in this listing; on, more ways are asked.
        cross_zone: true,
        place: node.place.clone(),
    };
    model.balancers.add(name, made);
    let instances = words(node, "Instances", "InstanceId");
    let check = node.at(&["HealthCheck", "Target"]).and_then(Node::text).and_then(classic_check_port);
    for described in node.each("ListenerDescriptions") {
        let listener = described.get("Listener")?;
        let port = |key: &str| u16::try_from(listener.get(key)?.integer()?).ok();
        let ports =
            ClassicPorts { listener: port("LoadBalancerPort")?, instance: port("InstancePort")?, check };
        model.classic_listener(name, ports, &instances, true, &described.place);
    }
    Some(())
}
