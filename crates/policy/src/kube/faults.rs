//! What will not work as it is written, in services, ingresses and policies.

mod policies;
mod services;

use super::Kube;
use crate::finding::{Finding, Level};
use crate::place::{Place, both};

/// How many findings of one sort are told.
const FINDING_COUNT_MAX: usize = 1_000;

impl Kube {
    /// Everything that is wrong with the objects themselves; what is wrong within lists of rules, lint finds.
    pub fn faults(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let checks: [fn(&Kube) -> Vec<Finding>; 12] = [
            services::node_ports,
            services::selectors,
            services::target_ports,
            services::endpoints,
            services::external_addresses,
            services::ingresses,
            policies::idle,
            policies::peers,
            policies::same,
            policies::controllers,
            policies::probes,
            policies::names,
        ];
        for check in checks {
            found.extend(check(self).into_iter().take(FINDING_COUNT_MAX));
        }
        found.extend(self.networks.missing.iter().map(|(network, place)| {
            let en = format!("no NetworkAttachmentDefinition {network} is in the files");
            let zh = format!("文件中没有 NetworkAttachmentDefinition {network}");
            finding("dangling", Level::Warning, place, network, en, zh)
        }));
        found.sort_by(|a, b| (&a.place, a.kind, &a.within).cmp(&(&b.place, b.kind, &b.within)));
        found
    }
}

fn finding(
    kind: &'static str,
    level: Level,
    place: &Place,
    within: &str,
    en: impl Into<String>,
    zh: impl Into<String>,
) -> Finding {
    Finding::new(kind, level, place, en, zh).within(within, None)
}
