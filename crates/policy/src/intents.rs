//! What must and must not be reachable, as a file of TOML: the gate for CI.
//!
//! ```toml
//! [groups]
//! edge = ["10.0.0.5", "10.0.1.0/24"]
//! [[intent]]
//! name = "edge must reach origin"
//! from = "edge"            # a group, an endpoint, a prefix, a range, "outside", "any", or a list of them
//! to = "origin:443"        # the same with a port, ports (80,443) or a range of ports (8000-8010)
//! must = "reach"           # or "not-reach"
//! protocols = ["tcp"]      # tcp is assumed; udp, icmp, sctp …
//! severity = "error"       # or "warning", "note"
//! except = [{ from = "10.0.0.9" }]
//! why = "the shop would be down"
//! ```

mod ends;

use crate::doc::{Node, Value, toml};
use crate::estate::{Ask, End};
use crate::finding::Level;
use crate::place::{Place, Unread};
use crate::suggest::unknown;
use ends::{Groups, Target};
use std::sync::Arc;

/// How many questions one intent may stand for.
const ASK_COUNT_MAX: usize = 4_096;
const TOP_KEYS: [&str; 3] = ["schema", "groups", "intent"];
const INTENT_KEYS: [&str; 11] =
    ["name", "from", "to", "must", "protocol", "protocols", "port", "ports", "severity", "except", "why"];
const EXCEPT_KEYS: [&str; 2] = ["from", "to"];
/// Protocols by name.
const PROTOCOLS: [(&str, u8); 9] = [
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("icmpv6", 58),
    ("sctp", 132),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipip", 4),
];

/// What a file wants. An intent of which anything was not understood is in `unread` alone: whoever gates on the
/// file must fail when that is not empty.
#[derive(Debug, Clone, Default)]
pub struct Intents {
    pub intents: Vec<Intent>,
    pub unread: Vec<Unread>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub name: String,
    pub must: Must,
    pub severity: Level,
    /// Every question it stands for; exceptions among addresses and names are taken out already.
    pub asks: Vec<Ask>,
    /// All exceptions as written, for what `asks` cannot show: addresses within "outside" or of an endpoint.
    pub exceptions: Vec<Exception>,
    pub why: Option<String>,
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Must {
    Reach,
    NotReach,
}

/// Flows that the intent says nothing about; an empty list is every end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    pub from: Vec<End>,
    pub to: Vec<End>,
}

/// Reads a file of intents.
pub fn intents(file: &Arc<str>, text: &str) -> Intents {
    let read = toml(file, text);
    let mut reader = Reader { groups: Groups::default(), unread: read.unread };
    let mut intents = Vec::new();
    for document in &read.documents {
        reader.known(document, &TOP_KEYS);
        if let Some(groups) = document.get("groups") {
            reader.groups = Groups::read(groups, &mut reader.unread);
        }
        for node in document.each("intent") {
            let before = reader.unread.len();
            let intent = reader.intent(node);
            // Half an intent is none.
            intents.extend(intent.filter(|_| reader.unread.len() == before));
        }
        if document.get("intent").is_some_and(|node| !matches!(node.value, Value::List(_))) {
            reader.wrong(document, "write [[intent]] with two brackets", "请写两层方括号 [[intent]]");
        }
    }
    Intents { intents, unread: reader.unread }
}

struct Reader {
    groups: Groups,
    unread: Vec<Unread>,
}

impl Reader {
    fn wrong(&mut self, node: &Node, en: impl Into<String>, zh: impl Into<String>) {
        self.unread.push(Unread::new(node.place.clone(), node.text().unwrap_or_default(), en, zh));
    }

    /// Refuses keys that are not in the list.
    fn known(&mut self, node: &Node, keys: &[&str]) {
        for (key, value) in node.members() {
            if !keys.contains(&key.as_str()) {
                let (en, zh) = unknown(key, keys);
                self.unread.push(Unread::new(value.place.clone(), key, en, zh));
            }
        }
    }

    /// A word of a closed list.
    fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let written = node.text().unwrap_or_default();
        if let Some((_, value)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(written)) {
            return Some(*value);
        }
        let (en, zh) = unknown(written, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>());
        self.wrong(node, en, zh);
        None
    }

    fn intent(&mut self, node: &Node) -> Option<Intent> {
        self.known(node, &INTENT_KEYS);
        let mut need = |key: &str| {
            let found = node.get(key);
            if found.is_none() {
                self.wrong(node, format!("{key:?} is missing"), format!("缺少 {key:?}"));
            }
            found
        };
        let (from, to, must) = (need("from"), need("to"), need("must"));
        let must = self.word(must?, &[("reach", Must::Reach), ("not-reach", Must::NotReach)])?;
        let levels = [("error", Level::Error), ("warning", Level::Warning), ("note", Level::Note)];
        let severity = node.get("severity").map_or(Some(Level::Error), |node| self.word(node, &levels))?;
        let sources = self.ends(from?);
        let targets = self.targets(to?, node.get("ports").or_else(|| node.get("port")));
        let protocols = self.protocols(node)?;
        let exceptions = self.exceptions(node);
        let mut asks = Vec::new();
        for source in &sources {
            for target in &targets {
                for protocol in &protocols {
                    let port = target.port.filter(|_| has_ports(*protocol));
                    let to = target.end.clone();
                    asks.push(Ask { from: source.clone(), to, protocol: *protocol, port, request: None });
                }
            }
            if asks.len() > ASK_COUNT_MAX {
                self.wrong(node, "stands for more than 4096 questions", "对应的问题超过 4096 个");
                return None;
            }
        }
        asks.retain(|ask| {
            !(of_family(&ask.from) && of_family(&ask.to)) || ends::same_family(&ask.from, &ask.to)
        });
        ends::take_out(&mut asks, &exceptions);
        asks.dedup();
        let text = |key| node.word(key).map(str::to_owned);
        let name = text("name").unwrap_or_else(|| node.place.to_string());
        Some(Intent { name, must, severity, asks, exceptions, why: text("why"), place: node.place.clone() })
    }

    fn protocols(&mut self, node: &Node) -> Option<Vec<u8>> {
        let Some(written) = node.get("protocols").or_else(|| node.get("protocol")) else {
            return Some(vec![6]);
        };
        let words = one_or_many(written);
        words.iter().map(|word| self.word(word, &PROTOCOLS)).collect()
    }

    fn ends(&mut self, node: &Node) -> Vec<End> {
        let mut ends = Vec::new();
        for node in one_or_many(node) {
            match self.groups.ends(node.text().unwrap_or_default()) {
                Ok(found) => ends.extend(found),
                Err((en, zh)) => self.wrong(node, en, zh),
            }
        }
        ends
    }

    fn targets(&mut self, node: &Node, ports: Option<&Node>) -> Vec<Target> {
        let mut listed = Vec::new();
        for node in ports.map_or(&[][..], one_or_many) {
            match ends::ports(node.text().unwrap_or_default()) {
                Some(found) => listed.extend(found),
                None => self.wrong(node, "this is no port and no range of ports", "这不是端口或端口范围"),
            }
        }
        let mut targets = Vec::new();
        for node in one_or_many(node) {
            match self.groups.targets(node.text().unwrap_or_default(), &listed) {
                Ok(found) => targets.extend(found),
                Err((en, zh)) => self.wrong(node, en, zh),
            }
        }
        targets
    }

    fn exceptions(&mut self, node: &Node) -> Vec<Exception> {
        let mut exceptions = Vec::new();
        for node in node.get("except").map_or(&[][..], one_or_many) {
            // A lone name is an exception among the sources.
            let (from, to) = if node.text().is_some() {
                (self.ends(node), Vec::new())
            } else {
                self.known(node, &EXCEPT_KEYS);
                let mut side = |key| node.get(key).map_or(Vec::new(), |node| self.ends(node));
                (side("from"), side("to"))
            };
            if from.is_empty() && to.is_empty() {
                self.wrong(node, "an exception needs from or to", "例外需要 from 或 to");
            }
            exceptions.push(Exception { from, to });
        }
        exceptions
    }
}

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

fn of_family(end: &End) -> bool {
    matches!(end, End::Addresses(..))
}

/// The elements of a list, or the one value.
fn one_or_many(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(nodes) => nodes,
        _ => std::slice::from_ref(node),
    }
}
