//! What will not work as it is written, in services, ingresses and policies.

mod policies;
mod services;

use super::Kube;
use crate::finding::{Finding, Level};
use crate::place::Place;

/// How many findings of one sort are told.
const FINDING_COUNT_MAX: usize = 1_000;
/// How many pairs of a pod and a policy are looked at.
const WORK_COUNT_MAX: usize = 20_000_000;

impl Kube {
    /// Everything that is wrong with the objects themselves; what is wrong within lists of rules, lint finds.
    pub fn faults(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let checks: [fn(&Kube) -> Vec<Finding>; 13] = [
            services::node_ports,
            services::selectors,
            services::target_ports,
            services::endpoints,
            services::external_addresses,
            services::ingresses,
            policies::idle,
            policies::peers,
            policies::ties,
            policies::covered,
            policies::controllers,
            policies::probes,
            policies::names,
        ];
        let work = self.policies.len().saturating_mul(self.pods.len());
        if work > WORK_COUNT_MAX {
            let (en, zh) = (
                "too many pods and policies to check them all against each other",
                "Pod 与策略过多，未逐一核对",
            );
            let place = self.policies.first().map_or(Place::whole(&"".into()), |policy| policy.place.clone());
            return vec![finding("unchecked", Level::Note, &place, "", en, zh)];
        }
        for check in checks {
            found.extend(check(self).into_iter().take(FINDING_COUNT_MAX));
        }
        found.extend(self.networks.missing.iter().map(|(network, place)| {
            let en = format!("no NetworkAttachmentDefinition {network} is in the files");
            let zh = format!("文件中没有 NetworkAttachmentDefinition {network}");
            finding("dangling", Level::Warning, place, network, en, zh)
        }));
        found.extend(self.twice.iter().map(|(title, before, after)| {
            let en = format!("defined again at {after}, which takes its place");
            let zh = format!("在 {after} 再次定义，并取代此处");
            finding("conflict", Level::Error, before, title, en, zh)
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
