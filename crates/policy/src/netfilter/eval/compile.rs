//! A rule set made ready to be asked: names resolved, sets indexed, chains hung into their hooks.

mod looks;
mod stations;

pub use looks::of_connection;
pub use stations::{Station, place};

use super::index::Index;
use super::sets::Lookup;
use crate::netfilter::ast::{
    Backend, Base, Data, Element, Field, Limit, Nat, NatKind, Operand, Part, Ruleset, Set, SetUse, Span,
    Table, TableFamily, Test, UpdateKind, Verdict, Written,
};
use crate::place::both;
use netwhy_model::Text;
use std::collections::HashMap;
use std::sync::Arc;

pub type ChainId = usize;
pub type SetId = usize;

#[derive(Debug, Default)]
pub struct Program {
    pub chains: Vec<Chain>,
    pub sets: Vec<SetData>,
    /// For IPv4 and IPv6, for each hook of [`stations::HOOKS`]: what a packet meets there, in order.
    pub stations: [[Vec<Station>; 7]; 2],
    /// Whether anything of IPv4, of IPv6, looks at connections: else the kernel does not track them.
    pub tracks: [bool; 2],
    pub translates: [bool; 2],
    /// How many limits, quotas and counts of connections there are.
    pub slots: usize,
}

#[derive(Debug)]
pub struct Chain {
    pub table: Arc<str>,
    pub name: Arc<str>,
    pub family: TableFamily,
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
    /// For IPv4 and IPv6, of long chains.
    pub index: [Option<Index>; 2],
}

#[derive(Debug)]
pub struct Rule {
    pub number: u32,
    pub line: u32,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub enum Step {
    Match {
        keys: Box<[Operand]>,
        set: SetId,
        negated: bool,
    },
    AnyBit {
        key: Operand,
        bits: u128,
        negated: bool,
    },
    Same {
        key: Operand,
        other: Operand,
        negated: bool,
    },
    Verdict(Act),
    VerdictMap {
        keys: Box<[Operand]>,
        set: SetId,
    },
    Nat(NatStep),
    /// What xtables' targets cannot do they leave; a statement of nft ends its rule.
    Write {
        field: Field,
        value: Value,
        lenient: bool,
    },
    Notrack,
    Update {
        set: SetId,
        kind: UpdateKind,
        keys: Box<[Operand]>,
        also: Vec<Step>,
    },
    Limit {
        slot: usize,
        limit: Limit,
    },
    Quota {
        slot: usize,
        bytes: u64,
        over: bool,
    },
    Connections {
        slot: usize,
        count: u64,
        over: bool,
        by_source: bool,
    },
    Unknown(Text),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Accept,
    Drop,
    /// With a reset, which also closes the connection it belongs to.
    Reject {
        reset: bool,
    },
    Return,
    Continue,
    Jump(ChainId),
    Goto(ChainId),
    Queue {
        bypass: bool,
    },
    Stolen,
    /// To a chain that is not there.
    Nowhere,
}

#[derive(Debug)]
pub struct NatStep {
    pub kind: NatKind,
    pub addresses: Option<(u128, u128)>,
    pub ports: Option<(u16, u16)>,
    pub map: Option<NatLook>,
    pub family: Option<u8>,
}

#[derive(Debug)]
pub struct NatLook {
    pub keys: Box<[Operand]>,
    pub set: SetId,
    pub gives_address: bool,
    pub gives_port: bool,
}

#[derive(Debug)]
pub enum Value {
    Number(u128),
    Masked { and: u128, xor: u128 },
    Of(Operand),
    Map { keys: Box<[Operand]>, set: SetId },
    Unknown,
}

#[derive(Debug, Default)]
pub struct SetData {
    pub lookup: Lookup,
    pub data: Vec<Given>,
    pub dynamic: bool,
    /// For ipset's list:set: it holds what any of these holds.
    pub members: Vec<SetId>,
    /// A set that was named and is not there: nothing is known of it.
    pub missing: bool,
}

impl SetData {
    /// Whether it is one range of one field, for ever.
    pub fn is_one_span(&self) -> bool {
        self.cover(0).is_some() && self.lookup.is_one_span()
    }

    /// From the first number in one field to the last, when nothing outside can ever be in the set.
    pub fn cover(&self, field: usize) -> Option<(u128, u128)> {
        let fixed = !self.dynamic && !self.missing && self.members.is_empty();
        if fixed { self.lookup.cover(field) } else { None }
    }
}

/// What a map gives for an element.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    Nothing,
    Act(Act),
    Spans(Vec<(u128, u128)>),
}

impl Program {
    pub fn new(ruleset: &Ruleset) -> Program {
        let mut program = Program::default();
        let ipsets = program.ipsets(&ruleset.ipsets);
        let mut compiled = Vec::new();
        for table in &ruleset.tables {
            compiled.push(Compiler::table(&mut program, table, &ipsets));
        }
        program.hang(&ruleset.tables, &compiled);
        program.indexes();
        program
    }

    fn ipsets(&mut self, sets: &[Set]) -> HashMap<String, SetId> {
        let mut ids = HashMap::new();
        for set in sets {
            ids.insert(set.name.clone(), self.sets.len());
            self.sets.push(SetData {
                lookup: Lookup::new(&set.elements),
                dynamic: set.dynamic,
                ..SetData::default()
            });
        }
        for set in sets {
            let members = set.members.iter().filter_map(|name| ids.get(name).copied()).collect();
            if let Some(id) = ids.get(&set.name) {
                self.sets[*id].members = members;
            }
        }
        ids
    }
}

/// Compiles the chains of one table.
struct Compiler<'a> {
    program: &'a mut Program,
    backend: Backend,
    chains: HashMap<&'a str, ChainId>,
    sets: HashMap<&'a str, SetId>,
    /// Inline sets that many rules share are compiled once.
    shared: HashMap<usize, SetId>,
    ipsets: &'a HashMap<String, SetId>,
}

impl<'a> Compiler<'a> {
    /// Gives the id of its first chain.
    fn table(program: &'a mut Program, table: &'a Table, ipsets: &'a HashMap<String, SetId>) -> ChainId {
        let first = program.chains.len();
        let chains = table.chains.iter().enumerate().map(|(at, chain)| (chain.name.as_str(), first + at));
        let mut compiler = Compiler {
            chains: chains.collect(),
            program,
            backend: table.backend,
            sets: HashMap::new(),
            shared: HashMap::new(),
            ipsets,
        };
        for set in &table.sets {
            let id = compiler.set(&set.elements, set.dynamic);
            compiler.sets.insert(&set.name, id);
        }
        let name: Arc<str> = table.name.as_str().into();
        for chain in &table.chains {
            let rules = chain.rules.iter().map(|rule| Rule {
                number: rule.number,
                line: rule.place.line,
                steps: compiler.steps(&rule.parts),
            });
            let rules = rules.collect();
            compiler.program.chains.push(Chain {
                table: Arc::clone(&name),
                name: chain.name.as_str().into(),
                family: table.family,
                base: chain.base.clone(),
                rules,
                index: [None, None],
            });
        }
        first
    }

    fn steps(&mut self, parts: &[Part]) -> Vec<Step> {
        parts.iter().filter_map(|part| self.step(part)).collect()
    }

    fn step(&mut self, part: &Part) -> Option<Step> {
        Some(match part {
            Part::Match(found) => match &found.test {
                Test::In(set) => {
                    Step::Match { keys: keys(&found.keys), set: self.used(set), negated: found.negated }
                }
                Test::AnyBit(bits) => {
                    Step::AnyBit { key: *found.keys.first()?, bits: *bits, negated: found.negated }
                }
                Test::Same(other) => {
                    Step::Same { key: *found.keys.first()?, other: **other, negated: found.negated }
                }
            },
            Part::Verdict(verdict) => Step::Verdict(self.act(verdict)),
            Part::VerdictMap { keys: from, set } => {
                Step::VerdictMap { keys: keys(from), set: self.used(set) }
            }
            Part::Nat(nat) => Step::Nat(self.nat(nat)),
            Part::Write { field, value } => Step::Write {
                field: *field,
                value: self.value(value),
                lenient: self.backend == Backend::Xtables,
            },
            Part::Notrack => Step::Notrack,
            Part::Update { set, kind, keys: from, also } => {
                Step::Update { set: self.named(set), kind: *kind, keys: keys(from), also: self.steps(also) }
            }
            Part::Limit(limit) => Step::Limit { slot: self.slot(), limit: *limit },
            Part::Quota { bytes, over } => Step::Quota { slot: self.slot(), bytes: *bytes, over: *over },
            Part::Connections { count, over } => Step::Connections {
                slot: self.slot(),
                count: *count,
                over: *over,
                by_source: self.backend == Backend::Xtables,
            },
            Part::Aside => return None,
            Part::Unknown { text, why } => {
                Step::Unknown(both(format!("{text}: {}", why.en), format!("{text}：{}", why.zh)))
            }
        })
    }

    fn slot(&mut self) -> usize {
        self.program.slots += 1;
        self.program.slots - 1
    }

    fn act(&self, verdict: &Verdict) -> Act {
        let chain = |name: &String, act: fn(ChainId) -> Act| {
            self.chains.get(name.as_str()).map_or(Act::Nowhere, |id| act(*id))
        };
        match verdict {
            Verdict::Accept => Act::Accept,
            Verdict::Drop => Act::Drop,
            Verdict::Reject(with) => Act::Reject { reset: with.contains("reset") },
            Verdict::Return => Act::Return,
            Verdict::Continue => Act::Continue,
            Verdict::Jump(name) => chain(name, Act::Jump),
            Verdict::Goto(name) => chain(name, Act::Goto),
            Verdict::Queue { bypass } => Act::Queue { bypass: *bypass },
            Verdict::Stolen(_) => Act::Stolen,
        }
    }

    fn nat(&mut self, nat: &Nat) -> NatStep {
        let map = nat.map.as_ref().map(|map| NatLook {
            keys: keys(&map.keys),
            set: self.used(&map.set),
            gives_address: map.gives_address,
            gives_port: map.gives_port,
        });
        NatStep { kind: nat.kind, addresses: nat.addresses, ports: nat.ports, map, family: nat.family }
    }

    fn value(&mut self, written: &Written) -> Value {
        match written {
            Written::Value(number) => Value::Number(*number),
            Written::Masked { and, xor } => Value::Masked { and: *and, xor: *xor },
            Written::Of(operand) => Value::Of(*operand),
            Written::Map { keys: from, set } => Value::Map { keys: keys(from), set: self.used(set) },
            Written::Unknown => Value::Unknown,
        }
    }

    fn used(&mut self, set: &SetUse) -> SetId {
        match set {
            SetUse::Named(name) => self.named(name),
            SetUse::Inline(elements) => {
                let at = Arc::as_ptr(elements) as usize;
                if let Some(id) = self.shared.get(&at) {
                    return *id;
                }
                let id = self.set(elements, false);
                self.shared.insert(at, id);
                id
            }
        }
    }

    fn named(&mut self, name: &str) -> SetId {
        let found = match self.backend {
            Backend::Nft => self.sets.get(name).copied(),
            Backend::Xtables => self.ipsets.get(name).copied(),
        };
        found.unwrap_or_else(|| {
            self.program.sets.push(SetData { missing: true, ..SetData::default() });
            self.program.sets.len() - 1
        })
    }

    fn set(&mut self, elements: &[Element], dynamic: bool) -> SetId {
        let data = if elements.iter().any(|element| element.data.is_some()) {
            elements.iter().map(|element| self.given(element.data.as_ref())).collect()
        } else {
            Vec::new()
        };
        let lookup = Lookup::new(elements);
        self.program.sets.push(SetData { lookup, data, dynamic, ..SetData::default() });
        self.program.sets.len() - 1
    }

    fn given(&self, data: Option<&Data>) -> Given {
        match data {
            None => Given::Nothing,
            Some(Data::Verdict(verdict)) => Given::Act(self.act(verdict)),
            Some(Data::Values(spans)) => Given::Spans(spans.iter().map(span).collect()),
        }
    }
}

fn span(span: &Span) -> (u128, u128) {
    super::sets::range(span)
}

fn keys(from: &[Operand]) -> Box<[Operand]> {
    from.to_vec().into_boxed_slice()
}
