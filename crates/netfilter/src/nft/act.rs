//! What a rule does: verdicts, translations, statements on sets, and extensions of iptables.

use super::compare;
use super::decode::Decoder;
use super::operand::Content;
use super::payload::{ETHER_IP, ETHER_IP6};
use super::statement;
use super::value::Kind;
use super::verdict::Verdict;
use crate::fields::Fields;
use crate::xt;
use netwhy_model::host::RuleVerdict;
use netwhy_netlink::{attributes, be64};

/// NFPROTO_IPV6.
const NFPROTO_IP6: u32 = 10;
/// Expressions beside one element.
const ELEMENT_EXPRESSION_COUNT_MAX: usize = 4;

impl Decoder<'_> {
    /// Reads an expression that acts rather than loads or compares.
    pub(super) fn act(&mut self, name: &str, fields: &Fields<'_>) {
        match name {
            "immediate" => self.immediate(fields),
            "counter" => self.decoded.counter = Some((fields.be64(2), fields.be64(1))),
            "reject" => self.reject(fields),
            "nat" => self.nat(fields),
            "masq" => self.port_translation("masquerade", fields, (2, 3), fields.be32(1)),
            "redir" => self.port_translation("redirect", fields, (1, 2), fields.be32(3)),
            "tproxy" => self.tproxy(fields),
            "log" => self.say(statement::log(fields)),
            "notrack" => self.end("notrack".to_owned(), RuleVerdict::NoTrack),
            "queue" => {
                let from = fields.find(4).map(|_| self.loaded_text(fields.be32(4)));
                self.end(statement::queue(fields, from), RuleVerdict::Queue);
            }
            "synproxy" => self.end(statement::synproxy(fields), RuleVerdict::SynProxy),
            "objref" => self.object(fields),
            "dynset" => self.dynamic_set(fields),
            "dup" => self.duplicate(fields),
            "fwd" => {
                let device = self.target_text(fields.be32(1), Kind::InterfaceIndex);
                self.say(format!("fwd to {device}"));
            }
            "flow_offload" => self.say(format!("flow add @{}", fields.text(1))),
            "match" => self.extension_match(fields),
            "target" => self.extension_target(fields),
            _ => {
                if !self.stateful(name, fields) {
                    self.unknown(name);
                }
            }
        }
    }

    fn end(&mut self, text: String, verdict: RuleVerdict) {
        self.say(text);
        self.decoded.verdict = Some(verdict);
    }

    fn immediate(&mut self, fields: &Fields<'_>) {
        let data = fields.inside(2);
        if let Some(nest) = data.find(2) {
            let verdict = Verdict::parse(nest);
            return self.end(verdict.text, verdict.verdict);
        }
        self.registers.set(fields.be32(1), Content::Bytes(data.get(1).to_vec()));
    }

    fn is_ip6(&self) -> Option<bool> {
        match self.protocols.network {
            Some(ETHER_IP) => Some(false),
            Some(ETHER_IP6) => Some(true),
            _ => None,
        }
    }

    fn reject(&mut self, fields: &Fields<'_>) {
        let reject = statement::reject(fields, self.context.family, self.is_ip6());
        self.end(reject.text, RuleVerdict::Reject(reject.answer));
    }

    fn nat(&mut self, fields: &Fields<'_>) {
        let way = if fields.be32(1) == 1 { "dnat" } else { "snat" };
        let is_ip6 = fields.be32(2) == NFPROTO_IP6;
        let kind = if is_ip6 { Kind::Ip6 } else { Kind::Ip4 };
        let address = self.span(fields.be32(3), fields.be32(4), kind);
        let port = self.span(fields.be32(5), fields.be32(6), Kind::Service);
        // A map that gives both says of which family.
        let both = fields.has(5) && port.is_none();
        let named = match (self.context.family == "inet" || both, is_ip6) {
            (true, true) => " ip6",
            (true, false) => " ip",
            _ => "",
        };
        let to = endpoint(address, port, is_ip6);
        let flags = statement::nat_flags(fields.be32(7));
        let text = format!("{way}{named} to {to}{flags}");
        self.end(text.clone(), RuleVerdict::Nat(text));
    }

    fn port_translation(&mut self, word: &str, fields: &Fields<'_>, ports: (usize, usize), flags: u32) {
        let ports = self.span(fields.be32(ports.0), fields.be32(ports.1), Kind::Service);
        let to = ports.map_or_else(String::new, |ports| format!(" to :{ports}"));
        let text = format!("{word}{to}{}", statement::nat_flags(flags));
        self.end(text.clone(), RuleVerdict::Nat(text));
    }

    fn tproxy(&mut self, fields: &Fields<'_>) {
        let is_ip6 = fields.be32(1) == NFPROTO_IP6;
        let kind = if is_ip6 { Kind::Ip6 } else { Kind::Ip4 };
        let address = self.span(fields.be32(2), fields.be32(2), kind);
        let port = self.span(fields.be32(3), fields.be32(3), Kind::Service);
        let named = match (self.context.family, &address, is_ip6) {
            ("inet", Some(_), true) => " ip6",
            ("inet", Some(_), false) => " ip",
            _ => "",
        };
        let text = format!("tproxy{named} to {}", endpoint(address, port, is_ip6));
        self.end(text.clone(), RuleVerdict::Nat(text));
    }

    /// The addresses or ports two registers span; `None` when the first is not used.
    fn span(&self, first: u32, last: u32, kind: Kind) -> Option<String> {
        match (self.registers.get(first)?, self.registers.get(last)) {
            (Content::Loaded(operand), _) => Some(compare::combined(operand, self.context.interfaces)),
            (Content::Bytes(first), Some(Content::Bytes(last))) => {
                Some(compare::address_span(kind, first, last, self.context.interfaces))
            }
            (Content::Bytes(first), _) => {
                Some(compare::address_span(kind, first, first, self.context.interfaces))
            }
        }
    }

    fn target_text(&self, register: u32, kind: Kind) -> String {
        match self.registers.get(register) {
            Some(Content::Loaded(operand)) => compare::combined(operand, self.context.interfaces),
            Some(Content::Bytes(bytes)) => {
                super::value::show(kind, bytes, kind.order(), self.context.interfaces)
            }
            None => "<register>".to_owned(),
        }
    }

    fn duplicate(&mut self, fields: &Fields<'_>) {
        let kind = if self.context.family == "ip6" { Kind::Ip6 } else { Kind::Ip4 };
        let device = fields.find(2).map(|_| self.target_text(fields.be32(2), Kind::InterfaceIndex));
        let text = match (fields.has(1), device) {
            (true, Some(device)) => {
                format!("dup to {} device {device}", self.target_text(fields.be32(1), kind))
            }
            (true, None) => format!("dup to {}", self.target_text(fields.be32(1), kind)),
            (false, device) => format!("dup to {}", device.unwrap_or_default()),
        };
        self.say(text);
    }

    fn object(&mut self, fields: &Fields<'_>) {
        const SYNPROXY: u32 = 10;
        let (kind, name) = if fields.has(4) {
            let set = self.context.sets.get(&fields.text(4));
            let right = set.map_or_else(|| format!("@{}", fields.text(4)), super::set::Set::text);
            let kind = set.map_or(0, |set| set.object);
            (kind, format!("{} map {right}", self.key_text(set, fields.be32(3))))
        } else {
            (fields.be32(1), format!("\"{}\"", fields.text(2)))
        };
        let Some(statement) = statement::object(kind, &name) else { return self.unknown("objref") };
        self.note(statement.kind);
        if kind == SYNPROXY {
            return self.end(statement.text, RuleVerdict::SynProxy);
        }
        self.say(statement.text);
    }

    fn dynamic_set(&mut self, fields: &Fields<'_>) {
        let name = fields.text(1);
        let set = self.context.sets.get(&name);
        let word = ["add", "update", "delete"].get(fields.be32(3) as usize).copied().unwrap_or("add");
        let mut inside = vec![self.key_text(set, fields.be32(4))];
        if let Some(timeout) = fields.find(6).map(be64).filter(|timeout| *timeout > 0) {
            inside.push(format!("timeout {}", super::value::duration(timeout)));
        }
        let single = fields.find(7).into_iter();
        let list = attributes(fields.get(10)).map(|(_, expression)| expression);
        for expression in single.chain(list).take(ELEMENT_EXPRESSION_COUNT_MAX) {
            let expression = Fields::of(expression);
            match statement::stateful(&expression.text(1), &expression.inside(2)) {
                Some(statement) => {
                    self.note(statement.kind);
                    inside.push(statement.text);
                }
                None => {
                    self.decoded.unknown.push(expression.text(1));
                    inside.push(format!("<{}>", expression.text(1)));
                }
            }
        }
        if fields.has(5) {
            inside.push(format!(": {}", self.target_text(fields.be32(5), Kind::Hex)));
        }
        self.say(format!("{word} @{name} {{ {} }}", inside.join(" ")));
    }

    fn extension_match(&mut self, fields: &Fields<'_>) {
        let (name, revision) = (fields.text(1), fields.be32(2));
        let place = self.place();
        let fragment = xt::match_fragment(&name, revision, fields.get(3), &place);
        self.extension(&name, fragment);
    }

    fn extension_target(&mut self, fields: &Fields<'_>) {
        let (name, revision) = (fields.text(1), fields.be32(2));
        let place = self.place();
        let fragment = xt::target_fragment(&name, revision, fields.get(3), &place);
        self.extension(&name, fragment);
    }

    fn place(&self) -> xt::Place<'_> {
        xt::Place { is_ip6: self.is_ip6().unwrap_or(false), ipsets: self.context.ipsets }
    }

    fn extension(&mut self, name: &str, fragment: Option<xt::Fragment>) {
        let Some(fragment) = fragment else { return self.unknown(name) };
        if !fragment.comment.is_empty() {
            self.decoded.comment = fragment.comment;
        }
        self.sources.extend(fragment.source);
        for kind in fragment.matches {
            self.note(Some(kind));
        }
        if !fragment.text.is_empty() {
            self.say(fragment.text);
        }
        if fragment.verdict.is_some() {
            self.decoded.verdict = fragment.verdict;
        }
    }
}

/// `10.0.0.2:8080`, `[2001:db8::1]:80`, `:3128`.
fn endpoint(address: Option<String>, port: Option<String>, is_ip6: bool) -> String {
    match (address, port) {
        (Some(address), Some(port)) if is_ip6 && address.contains(':') => format!("[{address}]:{port}"),
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (Some(address), None) => address,
        (None, Some(port)) => format!(":{port}"),
        (None, None) => String::new(),
    }
}
