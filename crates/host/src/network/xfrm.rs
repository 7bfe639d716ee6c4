//! IPsec policies in one line each.

use crate::files::{Gaps, chain};
use netwhy_netlink::xfrm::{self, PolicyAction};

/// Policies shown.
const POLICY_COUNT_MAX: usize = 64;

/// One policy that asks for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyLine {
    pub(crate) text: String,
    /// The kernel refuses what it covers.
    pub(crate) blocks: bool,
}

/// The policies that restrict traffic, and how many security associations there are to satisfy them.
pub(crate) fn policies(gaps: &mut Gaps) -> (Vec<PolicyLine>, u32) {
    let listed = match xfrm::policies() {
        Ok(listed) => listed.items,
        Err(error) => {
            let refused = matches!(error.errno(), Some(libc::EPERM | libc::EACCES));
            gaps.note("IPsec policies", chain(&error), refused);
            return (Vec::new(), 0);
        }
    };
    let lines: Vec<PolicyLine> = listed
        .iter()
        .filter(|policy| policy.restricts())
        .take(POLICY_COUNT_MAX)
        .map(|policy| PolicyLine { text: policy.to_string(), blocks: policy.action == PolicyAction::Block })
        .collect();
    let count = if lines.is_empty() { 0 } else { xfrm::association_count().unwrap_or(0) };
    (lines, count)
}
