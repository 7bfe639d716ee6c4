//! What the proxies behind the watched port are configured to do: read at the first look that finds some.

use crate::files::Gaps;
use crate::upstream;
use netwhy_model::Vantage;
use netwhy_model::host::Record;

/// The configurations, kept for the life of a watch.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    known: Option<upstream::Proxies>,
}

impl Proxies {
    /// Writes them into a record whose listeners are there already.
    ///
    /// A node in front says where it sends requests, an origin what it expects; at other places neither counts.
    pub(super) fn fill(&mut self, record: &mut Record, gaps: &mut Gaps) {
        if self.known.is_none() {
            self.known = read(record);
        }
        if let Some(known) = &self.known {
            record.upstreams.clone_from(&known.upstreams);
            record.frontends.clone_from(&known.frontends);
            gaps.join(known.unread.clone());
        }
    }
}

/// `None` while no proxy runs there.
fn read(record: &Record) -> Option<upstream::Proxies> {
    let onward = record.spec.onward;
    if !onward && record.vantage != Some(Vantage::Origin) {
        return None;
    }
    // The origin is asked on a port of its own, which the asker may not know.
    let meant = record.listeners.iter().filter(|one| !onward || one.address.port() == record.spec.port);
    let mut pids: Vec<u32> = meant.flat_map(|listener| listener.pids.iter().copied()).collect();
    pids.sort_unstable();
    pids.dedup();
    let found = if onward { upstream::proxies(&pids) } else { upstream::frontends(&pids) };
    (found != upstream::Proxies::default()).then_some(found)
}
