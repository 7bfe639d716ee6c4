//! Services and what leads to them.

use super::finding;
use crate::finding::{Finding, Level};
use crate::kube::Kube;
use crate::kube::service::{Backend, Ingress, Service, Target, Type};
use crate::read::protocol_name;
use std::collections::BTreeMap;

fn title(service: &Service) -> String {
    format!("Service {}", service.path())
}

/// Two services of one node port, and node ports outside of the range.
pub(super) fn node_ports(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut owners: BTreeMap<(u16, u8), Vec<(&Service, &crate::Place)>> = BTreeMap::new();
    let (first, last) = kube.options.node_ports;
    for service in &kube.services {
        for port in &service.ports {
            let Some(number) = port.node_port else { continue };
            owners.entry((number, port.protocol)).or_default().push((service, &port.place));
            if !(first..=last).contains(&number) {
                let en = format!("nodePort {number} is outside of {first}-{last}: the API server refuses it");
                let zh = format!("nodePort {number} 不在 {first}-{last} 之内，API 服务器会拒绝");
                found.push(finding("node-port-range", Level::Error, &port.place, &title(service), en, zh));
            }
        }
    }
    for ((number, protocol), owners) in owners {
        let Some(((first, first_place), others)) = owners.split_first() else { continue };
        for (service, place) in others {
            let name = protocol_name(protocol).to_uppercase();
            let en = format!("nodePort {number}/{name} is {}'s already", title(first));
            let zh = format!("nodePort {number}/{name} 已被 {} 占用", title(first));
            let mut one = finding("conflict", Level::Error, place, &title(service), en, zh);
            one.by_places.push((*first_place).clone());
            found.push(one);
        }
    }
    found
}

/// Selectors that select nothing, or that cannot be read.
pub(super) fn selectors(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    for service in &kube.services {
        if let Some((place, en, zh)) = &service.refused {
            found.push(finding("invalid-selector", Level::Error, place, &title(service), *en, *zh));
        }
        let Some(selector) = service.selector.as_ref().filter(|_| service.kind != Type::ExternalName) else {
            continue;
        };
        if !kube.pods.is_empty() && !kube.pods.iter().any(|pod| service.selects(pod)) {
            let en = format!(
                "no pod of namespace {} has the labels {selector}: nothing is behind the service",
                service.namespace
            );
            let zh = format!(
                "命名空间 {} 中没有带标签 {selector} 的 Pod：该 Service 之后没有后端",
                service.namespace
            );
            found.push(finding("dangling", Level::Error, &selector.place, &title(service), en, zh));
        }
    }
    found
}

/// Ports of services that their pods do not have.
pub(super) fn target_ports(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    for service in kube.services.iter().filter(|service| service.kind != Type::ExternalName) {
        let pods: Vec<_> = kube.pods.iter().filter(|pod| service.selects(pod)).collect();
        for port in &service.ports {
            let protocol = protocol_name(port.protocol).to_uppercase();
            for pod in &pods {
                let declares = |number: u16| {
                    pod.ports.iter().any(|own| own.number == number && own.protocol == port.protocol)
                };
                let (level, en, zh) = match &port.target {
                    Target::Name(name) if port.on(pod).is_none() => (
                        Level::Error,
                        format!("no container of {} has a {protocol} port named {name}", pod.id),
                        format!("{} 的容器没有名为 {name} 的 {protocol} 端口", pod.id),
                    ),
                    // A declaration is only a note of the author's: pods without any say nothing.
                    Target::Number(number) if !pod.ports.is_empty() && !declares(*number) => (
                        Level::Warning,
                        format!("no container of {} declares port {number}/{protocol}", pod.id),
                        format!("{} 的容器未声明端口 {number}/{protocol}", pod.id),
                    ),
                    _ => continue,
                };
                found.push(finding("dangling", level, &port.place, &title(service), en, zh));
            }
        }
    }
    found
}

/// Endpoints without an address that is ready.
pub(super) fn endpoints(kube: &Kube) -> Vec<Finding> {
    let mut by_service: BTreeMap<(&str, &str), Vec<&crate::kube::service::Endpoints>> = BTreeMap::new();
    for one in &kube.slices {
        by_service.entry((&one.namespace, &one.service)).or_default().push(one);
    }
    let mut found = Vec::new();
    for ((namespace, service), slices) in by_service {
        let Some(first) = slices.first().filter(|_| slices.iter().all(|one| one.ready.is_empty())) else {
            continue;
        };
        let waiting: usize = slices.iter().map(|one| one.not_ready.len()).sum();
        let (en, zh) = if waiting > 0 {
            (format!("none of the {waiting} endpoints is ready"), format!("{waiting} 个端点均未就绪"))
        } else {
            ("there are no endpoints".to_owned(), "没有任何端点".to_owned())
        };
        let within = format!("Service {namespace}/{service}");
        found.push(finding("no-endpoints", Level::Error, &first.place, &within, en, zh));
    }
    found
}

/// Two services of one external address and port.
pub(super) fn external_addresses(kube: &Kube) -> Vec<Finding> {
    let mut owners: BTreeMap<_, &Service> = BTreeMap::new();
    let mut found = Vec::new();
    for service in &kube.services {
        for (address, place) in &service.external_addresses {
            for port in &service.ports {
                let owner = owners.entry((*address, port.number, port.protocol)).or_insert(service);
                if std::ptr::eq(*owner, service) {
                    continue;
                }
                let en = format!("{address} port {} is {}'s already", port.number, title(owner));
                let zh = format!("{address} 端口 {} 已被 {} 占用", port.number, title(owner));
                let mut one = finding("conflict", Level::Error, place, &title(service), en, zh);
                one.by_places.push(owner.place.clone());
                found.push(one);
            }
        }
    }
    found
}

/// Ingresses and routes that lead nowhere.
pub(super) fn ingresses(kube: &Kube) -> Vec<Finding> {
    let mut found = Vec::new();
    for ingress in &kube.ingresses {
        found.extend(ingress.backends.iter().filter_map(|backend| backend_fault(kube, ingress, backend)));
        for (secret, place) in &ingress.secrets {
            let known = kube
                .secrets
                .as_ref()
                .is_none_or(|all| all.contains(&(ingress.namespace.clone(), secret.clone())));
            if !known {
                let en = format!("no Secret {secret} is in namespace {}", ingress.namespace);
                let zh = format!("命名空间 {} 中没有 Secret {secret}", ingress.namespace);
                found.push(finding("dangling", Level::Warning, place, &ingress.title(), en, zh));
            }
        }
    }
    found
}

fn backend_fault(kube: &Kube, ingress: &Ingress, backend: &Backend) -> Option<Finding> {
    let path = format!("{}/{}", backend.namespace, backend.service);
    let fault = |en: String, zh: String| {
        Some(finding("dangling", Level::Error, &backend.place, &ingress.title(), en, zh))
    };
    let Some(service) = kube.services.iter().find(|service| service.path() == path) else {
        let (en, zh) = (format!("no Service {path} is in the files"), format!("文件中没有 Service {path}"));
        return fault(format!("path {}: {en}", backend.path), format!("路径 {}：{zh}", backend.path));
    };
    let port = backend.port.as_ref()?;
    let of_pod = backend.of_pod && service.ports.iter().any(|own| own.target == *port);
    if service.port(port).is_some() || of_pod || service.kind == Type::ExternalName {
        return None;
    }
    let has: Vec<String> = service.ports.iter().map(|own| own.number.to_string()).collect();
    let has = has.join(", ");
    fault(
        format!("path {}: Service {path} has no port {port}; it has {has}", backend.path),
        format!("路径 {}：Service {path} 没有端口 {port}，只有 {has}", backend.path),
    )
}
