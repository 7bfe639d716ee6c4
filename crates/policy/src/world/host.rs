//! A host's or router's packet filter as an estate: the way through its chains is traced exactly, there and back.

use crate::can::Class;
use crate::estate::{Ask, Because, Decision, End, Endpoint, Estate, Fix, Look, Outcome, Step, Way};
use crate::gate::{Action, Direction, Gate};
use crate::netfilter::ast::{Backend, Chain, Hook, Ruleset};
use crate::netfilter::faults;
use crate::netfilter::lower::{ChainGate, gates};
use crate::netfilter::trace::{self, Role, RuleRef, Tracer, Verdict};
use crate::place::{Place, Unread, both};
use crate::read::{ALL_PORTS, EPHEMERAL_PORTS, Span, protocol_name, without};
use crate::space::{Cube, Family, Names, Protocols, State, join, number, range};
use netwhy_model::Text;
use std::sync::Arc;

/// Into how many pieces the packets of one question may fall.
const PIECE_COUNT_MAX: usize = 1 << 14;

/// The rules of one host or router.
pub(super) struct HostFilter {
    pub name: String,
    pub ruleset: Ruleset,
    /// What the user says it is; else what its chains suggest.
    pub role: Option<Role>,
    /// The host itself, when its addresses are known.
    endpoints: Vec<Endpoint>,
    chains: Vec<ChainGate>,
    gates: Vec<Arc<Gate>>,
    /// Names of the interfaces a packet comes in and leaves by, when the user says so.
    pub interfaces: (Option<String>, Option<String>),
}

impl HostFilter {
    pub fn new(name: String, ruleset: Ruleset, role: Option<Role>) -> HostFilter {
        let chains = gates(&ruleset);
        let gates = chains.iter().map(|chain| Arc::new(chain.gate.clone())).collect();
        HostFilter { name, ruleset, role, endpoints: Vec::new(), chains, gates, interfaces: (None, None) }
    }

    /// A router has rules for what it forwards and none of weight for itself.
    fn role(&self) -> Role {
        let weight = |hook: Hook| {
            let chains = self.ruleset.tables.iter().flat_map(|table| &table.chains);
            chains.filter(|chain| decides(chain, hook)).count()
        };
        self.role.unwrap_or(match (weight(Hook::Input), weight(Hook::Forward), weight(Hook::Output)) {
            (0, 0, output) if output > 0 => Role::Output,
            (0, forward, _) if forward > 0 => Role::Forward,
            _ => Role::Input,
        })
    }

    /// Every chain.
    pub fn chains(&self) -> &[ChainGate] {
        &self.chains
    }

    /// The base chains that let through and stop at input, forward and output.
    pub fn filter_chains(&self) -> impl Iterator<Item = &Gate> {
        self.chains.iter().filter_map(|one| {
            let chain = self.ruleset.tables.get(one.table)?.chains.get(one.chain)?;
            let hooked = [Hook::Input, Hook::Forward, Hook::Output].iter().any(|hook| decides(chain, *hook));
            hooked.then_some(&one.gate)
        })
    }

    /// What becomes of packets on a way.
    pub fn decisions(&self, tracer: &Tracer<'_>, role: Role, packets: &[Cube]) -> Vec<Decision> {
        tracer.path(role, packets, PIECE_COUNT_MAX).iter().map(|one| self.decision(one)).collect()
    }

    /// The answers to those of some packets that come through.
    pub fn answers_to(&self, tracer: &Tracer<'_>, role: Role, packets: &[Cube]) -> Vec<Cube> {
        answers(&tracer.path(role, packets, PIECE_COUNT_MAX))
    }

    /// Something that was not understood and stands in no rule that was read: it may be a rule itself.
    fn lost(&self) -> Option<Step> {
        let lost = faults::lost(&self.ruleset)?;
        let on = both(
            format!("what was not understood may be a rule: {}: {}", lost.why.en, lost.text),
            format!("未能理解的内容可能是一条规则：{}：{}", lost.why.zh, lost.text),
        );
        let what = both(
            format!("what of {} was not understood", self.name),
            format!("{} 中未能理解的内容", self.name),
        );
        Some(Step { what, way: Way::There, look: Look::Depends { on, place: lost.place.clone() } })
    }

    fn step(
        &self,
        tracer: &Tracer<'_>,
        role: Role,
        way: Way,
        packets: &[Cube],
    ) -> (Step, Vec<trace::Outcome>) {
        let outcomes = tracer.path(role, packets, PIECE_COUNT_MAX);
        let decisions = outcomes.iter().map(|one| self.decision(one)).collect();
        let (direction, en, zh) = match role {
            Role::Input => (Direction::Inbound, "what it lets in", "入站"),
            Role::Output => (Direction::Outbound, "what it lets out", "出站"),
            Role::Forward => (Direction::Through, "what it forwards", "转发"),
        };
        let what =
            both(format!("packet filter of {}, {en}", self.name), format!("{} 的包过滤，{zh}", self.name));
        (
            Step { what, way, look: Look::Decided { class: Class::HostFirewall, direction, decisions } },
            outcomes,
        )
    }

    fn decision(&self, one: &trace::Outcome) -> Decision {
        let outcome = match &one.verdict {
            Verdict::Accept => Outcome::Allowed,
            Verdict::Drop => Outcome::Denied,
            Verdict::Reject => Outcome::Rejected,
            Verdict::Depends(_) => Outcome::Depends,
        };
        let ended = matches!(outcome, Outcome::Denied | Outcome::Rejected);
        // Where packets are stopped, only the rule that stops them is to blame.
        let from = if ended { one.rules.len().saturating_sub(1) } else { 0 };
        let mut by: Vec<Because> =
            one.rules[from..].iter().filter_map(|rule| self.because(*rule, outcome)).collect();
        if let Verdict::Depends(reasons) = &one.verdict {
            let place = by.first().map_or_else(|| Place::whole(&"".into()), |first| first.place.clone());
            by = reasons
                .iter()
                .map(|why| Because {
                    place: place.clone(),
                    within: self.name.clone(),
                    rule: None,
                    text: String::new(),
                    why: why.clone(),
                })
                .collect();
        }
        Decision { packets: one.packets, outcome, by }
    }

    fn because(&self, at: RuleRef, outcome: Outcome) -> Option<Because> {
        let table = self.ruleset.tables.get(at.table)?;
        let chain = table.chains.get(at.chain)?;
        let within = format!("{} {}", table.name, chain.name);
        let Some(rule) = at.rule else {
            let accepts = outcome == Outcome::Allowed;
            return Some(Because {
                place: chain.place.clone(),
                within,
                rule: None,
                text: String::new(),
                why: if accepts {
                    both("the chain's policy lets it through", "链的默认策略放行")
                } else {
                    both(
                        "no rule accepts it, and the chain's policy drops it",
                        "没有规则放行，链的默认策略丢弃",
                    )
                },
            });
        };
        let rule = chain.rules.get(rule)?;
        Some(Because {
            place: rule.place.clone(),
            within,
            rule: Some(rule.number),
            text: rule.text.clone(),
            why: match outcome {
                Outcome::Denied => both("this rule drops it", "该规则丢弃"),
                Outcome::Rejected => both("this rule rejects it", "该规则拒绝"),
                _ => both("this rule accepts it", "该规则放行"),
            },
        })
    }

    /// The packets of a question, of both families where an end is anywhere.
    fn packets(&self, tracer: &Tracer<'_>, ask: &Ask) -> Vec<Cube> {
        let bits = |name: &Option<String>| match (name, tracer.names()) {
            (Some(name), Some(names)) => names.bits(name, false),
            _ => u64::MAX,
        };
        // What comes from another host does not come in by the loopback, nor does what goes to one leave by it.
        let beyond = |end: &End| if is_loopback(end) { u64::MAX } else { !loopback(tracer.names()) };
        let from = bits(&self.interfaces.0) & beyond(&ask.from);
        let to = bits(&self.interfaces.1) & beyond(&ask.to);
        let mut packets = Vec::new();
        for family in [Family::V4, Family::V6] {
            let ports = matches!(ask.protocol, 6 | 17 | 33 | 132 | 136);
            let (sources, destinations) =
                (self.addresses(&ask.from, family), self.addresses(&ask.to, family));
            for (source, destination) in sources
                .iter()
                .flat_map(|source| destinations.iter().map(move |destination| (*source, *destination)))
            {
                let cube = Cube {
                    source,
                    destination,
                    source_ports: if ports { EPHEMERAL_PORTS } else { ALL_PORTS },
                    destination_ports: ask.port.map_or(ALL_PORTS, |port| (port, port)),
                    from,
                    to,
                    ..Cube::all(family).protocols(Protocols::of(&[ask.protocol]))
                };
                packets.push(ping(cube, ask.protocol).opening());
            }
        }
        packets
    }

    fn addresses(&self, end: &End, family: Family) -> Vec<(u128, u128)> {
        match end {
            End::Addresses(first, last) if Family::of(*first) == family => {
                vec![(number(*first), number(*last))]
            }
            End::Addresses(..) => Vec::new(),
            End::Known(id) => {
                let own = self.endpoints.iter().find(|one| one.id == *id);
                let addresses = own.map_or(&[][..], |own| &own.addresses).iter();
                let first = addresses.copied().find(|address| Family::of(*address) == family);
                first.map(|address| (number(address), number(address))).into_iter().collect()
            }
            End::Outside => vec![(0, family.last())],
            End::OutsideBut(but) => {
                without(&[Span::all(family)], but).into_iter().map(|span| (span.first, span.last)).collect()
            }
        }
    }
}

/// The bit of the loopback interface; none when no rule mentions it.
fn loopback(names: Option<&Names>) -> u64 {
    names.map_or(0, |names| names.exactly("lo"))
}

fn is_loopback(end: &End) -> bool {
    matches!(end, End::Addresses(first, _) if first.is_loopback())
}

/// Of ICMP, what is asked is the echo request.
fn ping(cube: Cube, protocol: u8) -> Cube {
    match protocol {
        1 => cube.source_ports(8..=8).destination_ports(0..=0),
        58 => cube.source_ports(128..=128).destination_ports(0..=0),
        _ => cube,
    }
}

/// Whether a chain hangs in a hook and may stop packets there.
fn decides(chain: &Chain, hook: Hook) -> bool {
    use crate::netfilter::ast::{ChainKind, Policy};
    chain.base.as_ref().is_some_and(|base| {
        base.hook == hook
            && base.kind == ChainKind::Filter
            && (base.policy == Policy::Drop || !chain.rules.is_empty())
    })
}

/// The answers to what was let through: as they come back, before NAT is undone for them.
fn answers(outcomes: &[trace::Outcome]) -> Vec<Cube> {
    let let_through = outcomes.iter().filter(|one| one.verdict == Verdict::Accept);
    join(let_through.map(answer).collect())
}

fn answer(one: &trace::Outcome) -> Cube {
    let arrived = one.rewritten.unwrap_or(one.packets);
    // NAT of the source is undone at prerouting, that of the destination after the filters.
    let back = Cube {
        source: arrived.destination,
        source_ports: arrived.destination_ports,
        destination: one.packets.source,
        destination_ports: one.packets.source_ports,
        from: one.packets.to,
        to: one.packets.from,
        ..one.packets
    };
    let tcp = back.protocols == Protocols::TCP;
    let state = match (one.untracked, tcp) {
        // A SYN-ACK to a SYN that tracking never saw belongs to nothing.
        (true, true) => State::INVALID,
        (true, false) => State::NEW,
        (false, _) => State::ESTABLISHED,
    };
    // SYN-ACK, with and without the bits of ECN.
    let flags = if tcp { Protocols::of(&[0x12, 0x52, 0x92, 0xd2]).0 } else { back.flags };
    match () {
        () if back.protocols == Protocols::ICMP => {
            Cube { flags, state, source_ports: (0, 0), destination_ports: (0, 0), ..back }
        }
        () if back.protocols == Protocols::ICMPV6 => {
            Cube { flags, state, source_ports: (129, 129), destination_ports: (0, 0), ..back }
        }
        () => Cube { flags, state, ..back },
    }
}

impl Estate for HostFilter {
    fn title(&self) -> Text {
        both(format!("packet filter of {}", self.name), format!("{} 的包过滤", self.name))
    }

    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn unread(&self) -> &[Unread] {
        &self.ruleset.unread
    }

    fn gates(&self) -> Vec<Arc<Gate>> {
        self.gates.clone()
    }

    fn filter(&self) -> Option<(&str, &Ruleset)> {
        Some((&self.name, &self.ruleset))
    }

    /// The rules of each chain, cut to the packets that can come to it.
    fn lint_gates(&self) -> Vec<Arc<Gate>> {
        let loopback = loopback(Tracer::new(&self.ruleset).names());
        self.chains.iter().map(|chain| Arc::new(reached(chain, loopback))).collect()
    }

    fn way(&self, ask: &Ask) -> Vec<Step> {
        let tracer = Tracer::new(&self.ruleset);
        let packets = self.packets(&tracer, ask);
        if packets.is_empty() {
            return Vec::new();
        }
        let (role, back) = match self.role() {
            Role::Input => (Role::Input, Role::Output),
            Role::Output => (Role::Output, Role::Input),
            Role::Forward => (Role::Forward, Role::Forward),
        };
        let (there, outcomes) = self.step(&tracer, role, Way::There, &packets);
        let answers = answers(&outcomes);
        let mut steps = vec![there];
        if !answers.is_empty() {
            steps.push(self.step(&tracer, back, Way::Back, &answers).0);
        }
        steps.extend(self.lost());
        steps
    }

    fn allow(&self, _gate: &Gate, _packets: &[Cube]) -> Vec<Fix> {
        Vec::new()
    }

    fn through(&mut self, from: Option<&str>, to: Option<&str>) {
        self.interfaces = (from.map(str::to_owned), to.map(str::to_owned));
    }

    /// One rule for each chain that stops something, before the first rule there that does.
    fn allow_decided(&self, decisions: &[Decision]) -> Vec<Fix> {
        let mut chains: Vec<(&Because, Cube)> = Vec::new();
        for decision in
            decisions.iter().filter(|one| matches!(one.outcome, Outcome::Denied | Outcome::Rejected))
        {
            for by in &decision.by {
                let same = |one: &&mut (&Because, Cube)| {
                    one.0.within == by.within && one.1.family == decision.packets.family
                };
                match chains.iter_mut().find(same) {
                    Some((first, packets)) => {
                        if by.rule.unwrap_or(u32::MAX) < first.rule.unwrap_or(u32::MAX) {
                            *first = by;
                        }
                        *packets = around(packets, &decision.packets);
                    }
                    None => chains.push((by, decision.packets)),
                }
            }
        }
        chains.into_iter().filter_map(|(by, packets)| self.insert(by, &packets)).collect()
    }
}

/// The smallest cube around two of one question: both are wanted whole.
fn around(one: &Cube, other: &Cube) -> Cube {
    let wide = |a: (u128, u128), b: (u128, u128)| (a.0.min(b.0), a.1.max(b.1));
    let ports = |a: (u16, u16), b: (u16, u16)| (a.0.min(b.0), a.1.max(b.1));
    Cube {
        source: wide(one.source, other.source),
        destination: wide(one.destination, other.destination),
        source_ports: ports(one.source_ports, other.source_ports),
        destination_ports: ports(one.destination_ports, other.destination_ports),
        protocols: one.protocols.or(&other.protocols),
        state: one.state.or(other.state),
        ..*one
    }
}

impl HostFilter {
    /// The rule that would let packets through, before the one that stops them.
    fn insert(&self, by: &Because, packets: &Cube) -> Option<Fix> {
        let chains =
            self.ruleset.tables.iter().flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
        let (table, chain) = chains
            .into_iter()
            .find(|(table, chain)| format!("{} {}", table.name, chain.name) == by.within)?;
        let plain = Cube { flags: [u64::MAX; 4], state: State::ALL, ..*packets };
        let plain = Cube { source_ports: ALL_PORTS, ..plain };
        let what = both(
            format!("accept {plain} in chain {} before it is stopped", chain.name),
            format!("在链 {} 中、被拦截之前放行 {plain}", chain.name),
        );
        let change = match table.backend {
            Backend::Nft => nft_rule(table.family, &table.name, &chain.name, by.rule, packets),
            Backend::Xtables => iptables_rule(&table.name, &chain.name, by.rule, packets),
        };
        let syntax = if table.backend == Backend::Nft { "nft" } else { "iptables" };
        Some(Fix { syntax, what, change })
    }
}

fn nft_rule(
    family: crate::netfilter::ast::TableFamily,
    table: &str,
    chain: &str,
    before: Option<u32>,
    packets: &Cube,
) -> String {
    let ip = if packets.family == Family::V4 { "ip" } else { "ip6" };
    let mut words = vec![match before {
        // Positions count from 0: the new rule takes the place of the one that stops.
        Some(rule) => format!("nft insert rule {} {table} {chain} index {rule}", faults::family_word(family)),
        None => format!("nft add rule {} {table} {chain}", faults::family_word(family)),
    }];
    if packets.source != (0, packets.family.last()) {
        words.push(format!("{ip} saddr {}", range(packets.family, packets.source)));
    }
    if packets.destination != (0, packets.family.last()) {
        words.push(format!("{ip} daddr {}", range(packets.family, packets.destination)));
    }
    let protocol = packets.protocols.numbers().next().map(protocol_name).unwrap_or_default();
    if packets.state == State::ESTABLISHED {
        words.truncate(1);
        words.push("ct state established,related".to_owned());
    } else {
        words.push(port_words(packets, &protocol, "nft"));
    }
    words.push("accept".to_owned());
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn iptables_rule(table: &str, chain: &str, before: Option<u32>, packets: &Cube) -> String {
    let program = if packets.family == Family::V4 { "iptables" } else { "ip6tables" };
    let mut words = vec![match before {
        // Positions count from 1.
        Some(rule) => format!("{program} -t {table} -I {chain} {}", rule + 1),
        None => format!("{program} -t {table} -A {chain}"),
    }];
    let end = |flag: &str, long: &str, addresses: (u128, u128)| {
        let text = range(packets.family, addresses);
        match (addresses == (0, packets.family.last()), text.contains('-')) {
            (true, _) => String::new(),
            (_, true) => format!("-m iprange --{long}-range {text}"),
            _ => format!("{flag} {text}"),
        }
    };
    words.push(end("-s", "src", packets.source));
    words.push(end("-d", "dst", packets.destination));
    let protocol = packets.protocols.numbers().next().map(protocol_name).unwrap_or_default();
    if packets.state == State::ESTABLISHED {
        words.truncate(1);
        words.push("-m conntrack --ctstate ESTABLISHED,RELATED".to_owned());
    } else {
        words.push(format!("-p {protocol}"));
        words.push(port_words(packets, &protocol, "iptables"));
    }
    words.push("-j ACCEPT".to_owned());
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// The port of a service, on whichever side of the packets it stands; of ICMP the type.
fn port_words(packets: &Cube, protocol: &str, syntax: &str) -> String {
    let nft = syntax == "nft";
    let one = |(first, last): (u16, u16), between: char| {
        if first == last { first.to_string() } else { format!("{first}{between}{last}") }
    };
    let with_ports = ["tcp", "udp", "sctp"].contains(&protocol);
    match () {
        () if with_ports && packets.destination_ports.0 == packets.destination_ports.1 => match nft {
            true => format!("{protocol} dport {}", packets.destination_ports.0),
            false => format!("--dport {}", packets.destination_ports.0),
        },
        () if with_ports && packets.source_ports != EPHEMERAL_PORTS && packets.source_ports != ALL_PORTS => {
            match nft {
                true => format!("{protocol} sport {}", one(packets.source_ports, '-')),
                false => format!("--sport {}", one(packets.source_ports, ':')),
            }
        }
        () if nft => format!("meta l4proto {protocol}"),
        () => String::new(),
    }
}

/// A chain's rules with the packets that can come to them.
fn reached(chain: &ChainGate, loopback: u64) -> Gate {
    let mut gate = chain.gate.clone();
    let inside = |cube: &Cube| cube.from & !loopback == 0 || cube.to & !loopback == 0;
    for rule in gate.rules.iter_mut().filter(|rule| !rule.cubes.is_empty() && rule.cubes.iter().all(inside)) {
        // Nothing from outside: it neither opens anything nor covers what comes from there.
        rule.unmodelled.push(both("only packets of the loopback", "仅限回环接口的报文"));
    }
    let Some(entry) = &chain.entry else { return gate };
    for rule in gate.rules.iter_mut().filter(|rule| rule.action != Action::Pass) {
        let whole = rule.cubes.is_empty();
        let cut: Vec<Cube> = rule
            .cubes
            .iter()
            .flat_map(|cube| entry.iter().filter_map(move |entry| cube.and(entry)))
            .collect();
        // Of one that none of its packets comes to is told with how its chain is called.
        if cut.is_empty() && !whole {
            rule.action = Action::Pass;
        }
        rule.cubes = cut;
    }
    gate
}
