//! What a reader of rules did not understand, or cannot model: said, and kept with the rule.

use crate::doc::Node;
use crate::place::{Unread, both, excerpt};
use crate::read::{ALL_PORTS, Span, ports, protocols};
use crate::space::Protocols;
use netwhy_model::Text;

/// The notes on one rule.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Words that mean nothing known.
    pub strange: Vec<String>,
    pub unmodelled: Vec<Text>,
}

impl Notes {
    /// An address, prefix or range; anything else is everywhere, and noted.
    pub(crate) fn span(&mut self, text: &str) -> Vec<Span> {
        Span::read(text).map_or_else(
            || {
                self.strange.push(text.to_owned());
                Span::anywhere()
            },
            |span| vec![span],
        )
    }

    /// Adds the addresses that something may have of which no file tells.
    pub(crate) fn open(&mut self, spans: &mut Vec<Span>, perhaps: &[Span], name: &str) {
        spans.extend(perhaps);
        let name = excerpt(name);
        self.unmodelled
            .push(both(format!("who is in {name}: no file tells"), format!("{name} 的成员：文件中没有说明")));
    }

    /// Ports and ranges of them, parted by commas.
    pub(crate) fn ports(&mut self, text: Option<&str>) -> Vec<(u16, u16)> {
        let text = text.unwrap_or_default();
        text.split(',').map(|part| ports(part).unwrap_or_else(|| self.all_ports(part))).collect()
    }

    fn all_ports(&mut self, text: &str) -> (u16, u16) {
        self.strange.push(text.to_owned());
        ALL_PORTS
    }

    /// A protocol; every one when nothing is said.
    pub(crate) fn protocols(&mut self, text: Option<&str>) -> Protocols {
        let text = text.filter(|text| !text.is_empty()).unwrap_or("all");
        protocols(text).unwrap_or_else(|| {
            self.strange.push(text.to_owned());
            Protocols::ALL
        })
    }

    /// A whole number; the default when nothing is said.
    pub(crate) fn number(&mut self, text: Option<&str>, default: i64) -> i64 {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.strange.push(text.to_owned());
            default
        })
    }

    /// The conditions of the rule that are not modelled; what was not understood is told.
    pub(crate) fn finish(mut self, rule: &Node, unread: &mut Vec<Unread>) -> Vec<Text> {
        for word in &self.strange {
            unread.push(Unread::new(
                rule.place.clone(),
                word,
                "not understood in a rule",
                "规则中无法理解的内容",
            ));
            let word = excerpt(word);
            self.unmodelled.push(both(format!("“{word}” was not understood"), format!("无法理解“{word}”")));
        }
        self.unmodelled
    }
}
