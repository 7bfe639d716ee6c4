//! Service tags and application security groups as addresses: those that are certain, and those that may be.

use super::{Files, Kind};
use crate::cloud::Cloud;
use crate::cloud::fields::{each, field, reference, word, words};
use crate::doc::Node;
use crate::place::both;
use crate::read::{Span, private, without};
use netwhy_model::Text;

/// From where probes of Azure's load balancers and its platform come.
pub(super) const PLATFORM: &str = "168.63.129.16/32";

/// The addresses one side of a rule means.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    pub certain: Vec<Span>,
    /// It may be these too.
    pub perhaps: Vec<Span>,
    pub why: Vec<Text>,
    /// Words that mean nothing known.
    pub strange: Vec<String>,
}

/// What the tag `VirtualNetwork` means where a group is used.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// "The virtual network address space, all connected on-premises address spaces, peered virtual networks …
    /// and address prefixes used on user-defined routes."
    pub certain: Vec<Span>,
    pub perhaps: Vec<Span>,
}

impl Scope {
    /// Of one network; of none, when no file tells where the group is used.
    pub(super) fn of(cloud: &Cloud, network: Option<usize>, files: &Files<'_>) -> Scope {
        let Some(own) = network.map(|at| &cloud.networks[at]).filter(|network| network.known) else {
            return Scope { certain: Vec::new(), perhaps: private() };
        };
        let peers = own.peers.iter().filter(|peer| peer.works);
        let reached = peers.clone().filter_map(|peer| peer.network).map(|at| &cloud.networks[at]);
        let mut certain: Vec<Span> = own.spans.clone();
        certain.extend(reached.clone().flat_map(|network| network.spans.iter().copied()));
        for gateway in files.each(Kind::LocalGateway) {
            let space = field(gateway.node, "localNetworkAddressSpace").unwrap_or(gateway.node);
            certain.extend(words(space, "addressPrefixes").into_iter().filter_map(Span::read));
        }
        let routed = cloud.subnets.iter().filter(|subnet| Some(subnet.network) == network);
        let (defaults, routes): (Vec<Span>, Vec<Span>) = routed
            .flat_map(|subnet| subnet.routes.iter().map(|route| route.to))
            .partition(|to| to.prefix_length() == Some(0));
        certain.extend(routes);
        // "This tag might also contain default routes." Other premises need a gateway, and that its subnet.
        let mut perhaps = defaults;
        let gateway = |at: usize| {
            cloud
                .subnets
                .iter()
                .any(|subnet| subnet.network == at && subnet.name.eq_ignore_ascii_case("GatewaySubnet"))
        };
        let strange = peers.clone().any(|peer| peer.network.is_none_or(|at| !cloud.networks[at].known));
        let reaches = network.into_iter().chain(peers.filter_map(|peer| peer.network)).any(gateway);
        if strange || reaches {
            perhaps.extend(private());
        }
        Scope { certain, perhaps }
    }
}

/// One side of a rule: prefixes, tags, application groups.
pub(super) fn side(rule: &Node, end: &str, scope: &Scope, files: &Files<'_>) -> Side {
    let mut side = Side::default();
    let mut texts = words(rule, &format!("{end}AddressPrefix"));
    texts.extend(words(rule, &format!("{end}AddressPrefixes")));
    texts.iter().for_each(|text| side.add(text, scope));
    let groups = format!("{end}ApplicationSecurityGroups");
    let ids = each(rule, &groups).iter().filter_map(|group| group.text().or_else(|| word(group, "id")));
    let more = words(rule, &format!("{end}ApplicationSecurityGroupIds"));
    let ids: Vec<&str> = ids.chain(more).collect();
    for id in &ids {
        side.group(id, files);
    }
    if texts.is_empty() && ids.is_empty() {
        side.certain = Span::anywhere();
    }
    side
}

impl Side {
    pub(super) fn all(&self) -> Vec<Span> {
        self.certain.iter().chain(&self.perhaps).copied().collect()
    }

    pub(super) fn add(&mut self, text: &str, scope: &Scope) {
        let internet = || crate::cloud::internet();
        match text.to_ascii_lowercase().as_str() {
            "*" | "any" => self.certain.extend(Span::anywhere()),
            "virtualnetwork" => {
                self.certain.extend(&scope.certain);
                self.perhaps.extend(&scope.perhaps);
                self.why.extend((!scope.perhaps.is_empty()).then(|| {
                    both(
                        "whether the address is a part of VirtualNetwork: connected premises are not in the files",
                        "该地址是否属于 VirtualNetwork：文件中没有互联的本地网络",
                    )
                }));
            }
            "internet" => self.certain.extend(without(&internet(), &scope.certain)),
            "azureloadbalancer" => self.certain.extend(Span::read(PLATFORM)),
            _ => match Span::read(text) {
                Some(span) => self.certain.push(span),
                None if text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) => {
                    self.perhaps.extend(internet());
                    self.why.push(both(
                        format!("which addresses the service tag {text} has: no file tells"),
                        format!("服务标记 {text} 包含哪些地址：文件中没有说明"),
                    ));
                }
                None => {
                    self.strange.push(text.to_owned());
                    self.perhaps.extend(Span::anywhere());
                }
            },
        }
    }

    /// The addresses of the interfaces that are in an application security group.
    fn group(&mut self, id: &str, files: &Files<'_>) {
        let interfaces = files.each(Kind::Interface);
        let name = super::last(id).to_lowercase();
        for one in interfaces.iter().flat_map(|one| each(one.node, "ipConfigurations")) {
            let same = |group: &Node| {
                let id = group.text().or_else(|| word(group, "id")).unwrap_or_default();
                super::key(super::last(id)) == super::key(&name)
            };
            if each(one, "applicationSecurityGroups").iter().any(same) {
                self.certain.extend(reference(one, "privateIPAddress").and_then(Span::read));
            }
        }
        if interfaces.is_empty() {
            self.perhaps.extend(private());
            self.why.push(both(
                format!("who is in the application security group {name}: no file tells"),
                format!("应用安全组 {name} 包含哪些成员：文件中没有说明"),
            ));
        }
    }
}
