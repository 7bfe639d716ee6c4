//! One nf_tables rule: its expressions walked with their registers, and written as nft(8) writes them.

use super::compare::{self, Comparison};
use super::operand::{Content, Operand, Registers, Subject};
use super::payload::{
    self, Base, ETHER_ARP, ETHER_IP, ETHER_IP6, ETHER_VLAN, Protocols, TRANSPORT_ICMP, TRANSPORT_ICMP6,
};
use super::set::Set;
use super::value::{InterfaceNames, Kind, Order, number};
use super::{key, statement};
use crate::fields::Fields;
use crate::source::{SourceCondition, source_kind};
use crate::xt::NamedSet;
use netwhy_model::host::{Match, RuleVerdict};
use netwhy_netlink::attributes;
use std::collections::HashMap;

/// The kernel takes no more expressions in a rule (NFT_RULE_MAXEXPRS).
const EXPRESSION_COUNT_MAX: usize = 128;

/// What a rule's text depends on beside its own bytes.
pub(super) struct Context<'a> {
    /// `ip`, `ip6`, `inet`, …
    pub(super) family: &'a str,
    /// The sets of the rule's table.
    pub(super) sets: &'a HashMap<String, Set>,
    pub(super) interfaces: InterfaceNames<'a>,
    /// Finds an ipset by its index.
    pub(super) ipsets: &'a dyn Fn(u16) -> Option<NamedSet>,
}

/// What the expressions of a rule say.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) verdict: Option<RuleVerdict>,
    pub(super) matches: Vec<Match>,
    pub(super) counter: Option<(u64, u64)>,
    pub(super) comment: String,
    /// Names of expressions that could not be read.
    pub(super) unknown: Vec<String>,
}

/// A condition on a header that another condition implies, and nft then leaves unsaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Link,
    Network,
    Transport,
}

struct Piece {
    text: String,
    implied: Option<Layer>,
}

/// The walk over one rule.
pub(super) struct Decoder<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) registers: Registers,
    pub(super) protocols: Protocols,
    pub(super) decoded: Decoded,
    pieces: Vec<Piece>,
    pub(super) sources: Vec<(SourceCondition, bool)>,
    /// A lower bound that waits for its upper one: the register and the bytes.
    lower: Option<(u32, Vec<u8>)>,
}

/// Reads the list of expressions of one rule (NFTA_RULE_EXPRESSIONS).
pub(super) fn decode(expressions: &[u8], context: &Context<'_>) -> Decoded {
    let network = match context.family {
        "ip" => Some(ETHER_IP),
        "ip6" => Some(ETHER_IP6),
        "arp" => Some(ETHER_ARP),
        _ => None,
    };
    let mut decoder = Decoder {
        context,
        registers: Registers::default(),
        protocols: Protocols { network, ..Protocols::default() },
        decoded: Decoded::default(),
        pieces: Vec::new(),
        sources: Vec::new(),
        lower: None,
    };
    for (_, expression) in attributes(expressions).take(EXPRESSION_COUNT_MAX) {
        let expression = Fields::of(expression);
        decoder.expression(&expression.text(1), &expression.inside(2));
    }
    decoder.finish()
}

impl Decoder<'_> {
    fn expression(&mut self, name: &str, fields: &Fields<'_>) {
        match name {
            "payload" => self.payload(fields),
            "cmp" => self.compare(fields),
            "range" => self.range(fields),
            "bitwise" => self.bitwise(fields),
            "byteorder" => self.byteorder(fields),
            "lookup" => self.lookup(fields),
            "meta" => self.load_or_set(fields, fields.be32(1), 3, key::meta(fields.be32(2))),
            "ct" => {
                let direction = fields.find(3).and_then(|value| value.first().copied());
                self.load_or_set(fields, fields.be32(1), 4, key::ct(fields.be32(2), direction));
            }
            "rt" => self.load(fields.be32(1), key::rt(fields.be32(2)), name),
            "socket" => self.load(fields.be32(2), key::socket(fields.be32(1), fields.be32(3)), name),
            "fib" => self.load(fields.be32(1), key::fib(fields), name),
            "xfrm" => self.load(fields.be32(1), key::xfrm(fields), name),
            "numgen" => self.load(fields.be32(1), Some(key::numgen(fields)), name),
            "hash" => {
                let of = self.run_text(fields.be32(1), fields.be32(3));
                self.load(fields.be32(2), Some(key::hash(fields, &of)), name);
            }
            "osf" => {
                let operand = Operand::new("osf name", Kind::Text, Subject::Other);
                self.load(fields.be32(1), Some(operand), name);
            }
            "exthdr" => {
                // Only IPv6 has extension headers, only IPv4 has options.
                if matches!(fields.be32(6), 0 | 2) {
                    self.imply(Layer::Network);
                }
                self.load_or_set(fields, fields.be32(1), 7, Some(key::extension(fields)));
            }
            _ => self.act(name, fields),
        }
    }

    /// Appends a piece of text that stands by itself.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.pieces.push(Piece { text: text.into(), implied: None });
    }

    pub(super) fn note(&mut self, kind: Option<Match>) {
        if let Some(kind) = kind
            && !self.decoded.matches.contains(&kind)
        {
            self.decoded.matches.push(kind);
        }
    }

    pub(super) fn unknown(&mut self, name: &str) {
        self.decoded.unknown.push(name.to_owned());
        self.say(format!("<{name}>"));
    }

    /// Drops the condition that what follows implies.
    fn imply(&mut self, layer: Layer) {
        if let Some(place) = self.pieces.iter().rposition(|piece| piece.implied == Some(layer)) {
            self.pieces.remove(place);
        }
    }

    fn load(&mut self, register: u32, operand: Option<Operand>, name: &str) {
        match operand {
            Some(operand) => self.registers.set(register, Content::Loaded(operand)),
            None => {
                self.decoded.unknown.push(name.to_owned());
                let operand = Operand::new(format!("<{name}>"), Kind::Hex, Subject::Other);
                self.registers.set(register, Content::Loaded(operand));
            }
        }
    }

    /// Meta, ct and options are read into a register, or written from one: attribute `from` says which.
    fn load_or_set(&mut self, fields: &Fields<'_>, into: u32, from: usize, operand: Option<Operand>) {
        let Some(operand) = operand else { return self.unknown("key") };
        if !fields.has(from) {
            return self.registers.set(into, Content::Loaded(operand));
        }
        let value = self.value_of(fields.be32(from), &operand);
        self.say(format!("{} set {value}", operand.text));
    }

    /// What a register holds, written as a value of that operand.
    fn value_of(&self, register: u32, target: &Operand) -> String {
        match self.registers.get(register) {
            Some(Content::Bytes(bytes)) => compare::value(target, bytes, self.context.interfaces),
            Some(Content::Loaded(operand)) => compare::combined(operand, self.context.interfaces),
            None => "<register>".to_owned(),
        }
    }

    pub(super) fn loaded_text(&self, register: u32) -> String {
        let operand = self.registers.loaded(register);
        operand.map_or_else(
            || "<register>".to_owned(),
            |operand| compare::combined(operand, self.context.interfaces),
        )
    }

    /// The operands a hash is over.
    fn run_text(&self, register: u32, len: u32) -> String {
        let operands = self.registers.run(register, len as usize);
        let parts: Vec<String> =
            operands.iter().map(|operand| compare::combined(operand, self.context.interfaces)).collect();
        parts.join(" . ")
    }

    fn payload(&mut self, fields: &Fields<'_>) {
        let Some(base) = Base::of(fields.be32(2)) else { return self.unknown("payload") };
        let (offset, len) = (fields.be32(3) as usize, fields.be32(4) as usize);
        let operand = payload::operand(base, offset, len, self.protocols);
        if !operand.text.starts_with('@') || !operand.parts.is_empty() {
            self.imply_header(base, &operand);
        }
        if fields.has(5) {
            return self.payload_write(fields.be32(5), &operand);
        }
        self.registers.set(fields.be32(1), Content::Loaded(operand));
    }

    /// A field says what its header is, so that no condition on that needs to be written.
    fn imply_header(&mut self, base: Base, operand: &Operand) {
        let any =
            operand.text.starts_with("th ") || operand.parts.iter().any(|part| part.name.starts_with("th "));
        match base {
            Base::Link => {
                self.imply(Layer::Link);
                if self.protocols.vlan {
                    self.imply(Layer::Link);
                }
            }
            Base::Network => self.imply(Layer::Network),
            Base::Transport if !any => {
                self.imply(Layer::Transport);
                if matches!(self.protocols.transport, Some(TRANSPORT_ICMP | TRANSPORT_ICMP6)) {
                    self.imply(Layer::Network);
                }
            }
            _ => {}
        }
    }

    /// Writing some bits keeps the others: the mask says which were kept, the exclusive-or what is written.
    fn payload_write(&mut self, register: u32, target: &Operand) {
        let kept = self.registers.loaded(register).and_then(|operand| operand.mask.clone());
        let text = match kept {
            Some((mask, xor)) => {
                let written: Vec<u8> = mask.iter().map(|byte| !byte).collect();
                let field = compare::picked(target, &written).unwrap_or_else(|| target.clone());
                format!("{} set {}", field.text, compare::value(&field, &xor, self.context.interfaces))
            }
            None => format!("{} set {}", target.text, self.value_of(register, target)),
        };
        self.say(text);
    }

    fn compare(&mut self, fields: &Fields<'_>) {
        let register = fields.be32(1);
        let value = fields.inside(3).get(1);
        let (Some(operand), Some(how)) =
            (self.registers.loaded(register).cloned(), Comparison::of(fields.be32(2)))
        else {
            return self.unknown("cmp");
        };
        if let Some((of, first)) = self.lower.take()
            && of == register
            && how == Comparison::LessOrEqual
        {
            self.pieces.pop();
            self.say(compare::range(&operand, false, &first, value, self.context.interfaces));
            return self.source(&operand, SourceCondition::Range, false);
        }
        if how == Comparison::GreaterOrEqual {
            self.lower = Some((register, value.to_vec()));
        }
        self.condition(&operand, how, value);
    }

    fn condition(&mut self, operand: &Operand, how: Comparison, value: &[u8]) {
        if !operand.parts.is_empty() && operand.mask.is_none() && how == Comparison::Equal {
            for (part, own) in compare::split(operand, value) {
                self.condition(&part, how, &own);
            }
            return;
        }
        let implied = if how == Comparison::Equal { self.learn(operand, value) } else { None };
        let text = compare::condition(operand, how, value, self.context.interfaces);
        self.pieces.push(Piece { text, implied });
        let whole = operand.prefix.is_none() && operand.mask.is_none();
        let single = whole && matches!(how, Comparison::Equal | Comparison::NotEqual);
        let source = if single { SourceCondition::Single } else { SourceCondition::Range };
        self.source(operand, source, how == Comparison::NotEqual);
        self.note(operand.subject.kind());
    }

    fn source(&mut self, operand: &Operand, condition: SourceCondition, negated: bool) {
        if operand.subject == Subject::Source {
            self.sources.push((condition, negated));
        }
        self.note(operand.subject.kind());
    }

    /// Learns the packet's protocols from a condition on them.
    fn learn(&mut self, operand: &Operand, value: &[u8]) -> Option<Layer> {
        let small = number(value, operand.order) as u16;
        match operand.text.as_str() {
            "meta nfproto" => {
                self.protocols.network = Some(if small == 2 { ETHER_IP } else { ETHER_IP6 });
                Some(Layer::Network)
            }
            "meta protocol" | "vlan type" => {
                self.protocols.network = Some(small);
                Some(Layer::Network)
            }
            "ether type" if small == ETHER_VLAN => {
                self.protocols.vlan = true;
                Some(Layer::Link)
            }
            "ether type" => {
                self.protocols.network = Some(small);
                Some(Layer::Network)
            }
            "meta l4proto" | "ip protocol" | "ip6 nexthdr" => {
                self.protocols.transport = u8::try_from(small).ok();
                Some(Layer::Transport)
            }
            "meta iiftype" | "meta oiftype" => Some(Layer::Link),
            _ => None,
        }
    }

    fn range(&mut self, fields: &Fields<'_>) {
        let Some(operand) = self.registers.loaded(fields.be32(1)).cloned() else {
            return self.unknown("range");
        };
        let negated = fields.be32(2) == 1;
        let (first, last) = (fields.inside(3).get(1), fields.inside(4).get(1));
        self.say(compare::range(&operand, negated, first, last, self.context.interfaces));
        self.source(&operand, SourceCondition::Range, negated);
    }

    fn bitwise(&mut self, fields: &Fields<'_>) {
        const LEFT_SHIFT: u32 = 1;
        const RIGHT_SHIFT: u32 = 2;
        let Some(mut operand) = self.registers.loaded(fields.be32(1)).cloned() else {
            return self.registers.set(fields.be32(2), Content::Bytes(Vec::new()));
        };
        let (mask, xor) = (fields.inside(4).get(1).to_vec(), fields.inside(5).get(1).to_vec());
        let by = number(fields.inside(7).get(1), Order::Host);
        match fields.be32(6) {
            0 => match compare::picked(&operand, &mask).filter(|_| number(&xor, Order::Big) == 0) {
                Some(field) => {
                    if let Some((base, ..)) = operand.place {
                        self.imply_header(base, &field);
                    }
                    operand = field;
                }
                None => operand.mask = Some((mask, xor)),
            },
            LEFT_SHIFT => operand.text = format!("{} << {by}", operand.text),
            RIGHT_SHIFT => operand.text = format!("{} >> {by}", operand.text),
            _ => {
                self.decoded.unknown.push("bitwise".to_owned());
                operand.text = format!("<bitwise> {}", operand.text);
            }
        }
        self.registers.set(fields.be32(2), Content::Loaded(operand));
    }

    fn byteorder(&mut self, fields: &Fields<'_>) {
        const TO_NETWORK: u32 = 1;
        let Some(mut operand) = self.registers.loaded(fields.be32(1)).cloned() else { return };
        operand.order = if fields.be32(3) == TO_NETWORK { Order::Big } else { Order::Host };
        self.registers.set(fields.be32(2), Content::Loaded(operand));
    }

    fn lookup(&mut self, fields: &Fields<'_>) {
        let name = fields.text(1);
        let set = self.context.sets.get(&name);
        let lengths = set.map_or(&[4][..], Set::key_lengths);
        let operands: Vec<Operand> =
            self.registers.concatenation(fields.be32(2), lengths).into_iter().cloned().collect();
        let parts: Vec<String> =
            operands.iter().map(|operand| compare::combined(operand, self.context.interfaces)).collect();
        let left = parts.join(" . ");
        let shift = operands.first().map_or(0, |operand| operand.shift);
        let right =
            set.map_or_else(|| format!("@{name}"), |set| set.text_moved(shift, self.context.interfaces));
        let negated = fields.be32(5) & 1 != 0;
        for operand in &operands {
            self.source(operand, source_condition(set), negated);
        }
        match fields.find(3).map(netwhy_netlink::be32) {
            None => self.say(format!("{left} {}{right}", if negated { "!= " } else { "" })),
            Some(0) => {
                self.say(format!("{left} vmap {right}"));
                self.decoded.verdict = Some(set.map_or(RuleVerdict::Continue, Set::verdict));
            }
            Some(register) => {
                let kind = set.and_then(|set| set.data_kinds().first().copied()).unwrap_or(Kind::Hex);
                let operand = Operand::new(format!("{left} map {right}"), kind, Subject::Other);
                self.registers.set(register, Content::Loaded(operand));
            }
        }
    }

    /// The text of the concatenation a set's key begins with in that register.
    pub(super) fn key_text(&self, set: Option<&Set>, register: u32) -> String {
        let lengths = set.map_or(&[4][..], Set::key_lengths);
        let operands = self.registers.concatenation(register, lengths);
        let parts: Vec<String> =
            operands.iter().map(|operand| compare::combined(operand, self.context.interfaces)).collect();
        parts.join(" . ")
    }

    pub(super) fn stateful(&mut self, name: &str, fields: &Fields<'_>) -> bool {
        let Some(statement) = statement::stateful(name, fields) else { return false };
        self.note(statement.kind);
        self.say(statement.text);
        true
    }

    fn finish(mut self) -> Decoded {
        for (condition, negated) in std::mem::take(&mut self.sources) {
            self.note(Some(source_kind(condition, negated, self.decoded.verdict.as_ref())));
        }
        let texts: Vec<&str> = self.pieces.iter().map(|piece| piece.text.as_str()).collect();
        self.decoded.text = texts.join(" ");
        self.decoded
    }
}

fn source_condition(set: Option<&Set>) -> SourceCondition {
    match set {
        Some(set) if set.dynamic() || !set.has_ranges => SourceCondition::Single,
        _ => SourceCondition::Range,
    }
}
