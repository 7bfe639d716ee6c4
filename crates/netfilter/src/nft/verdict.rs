//! Verdicts of rules, maps and traces (NFTA_VERDICT_*).

use crate::fields::Fields;
use netwhy_model::host::RuleVerdict;

const NF_VERDICT_MASK: i32 = 0xff;
/// The queue's number sits above the verdict.
const QUEUE_SHIFT: u32 = 16;

/// A verdict with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) text: String,
    pub(crate) verdict: RuleVerdict,
}

impl Verdict {
    /// Reads the attributes inside an NFTA_DATA_VERDICT or NFTA_TRACE_VERDICT.
    pub(crate) fn parse(nest: &[u8]) -> Verdict {
        let fields = Fields::of(nest);
        // Negative codes are nf_tables' own, the others netfilter's.
        let code = fields.be32(1).cast_signed();
        let chain = || fields.text(2);
        let (text, verdict) = match code {
            -1 => ("continue".to_owned(), RuleVerdict::Continue),
            -2 => ("break".to_owned(), RuleVerdict::Continue),
            -3 => (format!("jump {}", chain()), RuleVerdict::Jump(chain())),
            -4 => (format!("goto {}", chain()), RuleVerdict::Goto(chain())),
            -5 => ("return".to_owned(), RuleVerdict::Return),
            code => return Verdict::of_netfilter(code),
        };
        Verdict { text, verdict }
    }

    /// A verdict of netfilter itself (NF_DROP and so on), as policies have it.
    pub(crate) fn of_netfilter(code: i32) -> Verdict {
        let (text, verdict) = match code & NF_VERDICT_MASK {
            0 => ("drop".to_owned(), RuleVerdict::Drop),
            1 => ("accept".to_owned(), RuleVerdict::Accept),
            // Taken over by whoever said so, as SYNPROXY does: neither let through nor dropped.
            2 => ("stolen".to_owned(), RuleVerdict::Continue),
            3 => (format!("queue to {}", code.cast_unsigned() >> QUEUE_SHIFT), RuleVerdict::Queue),
            other => (format!("<verdict {other}>"), RuleVerdict::Continue),
        };
        Verdict { text, verdict }
    }
}
