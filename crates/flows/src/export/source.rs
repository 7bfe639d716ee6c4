//! What one exporter told of itself: its templates, its sampling, the names of its interfaces, how far it has counted.

use super::draft::{Clock, Draft};
use super::field::Field;
use super::plan::Plan;
use super::sequence::Sequence;
use super::{Arrival, Budget, Shared};
use crate::names::Symbol;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Templates kept of one source.
const TEMPLATE_COUNT_MAX: usize = 1024;
/// Samplers kept of one source.
const SAMPLER_COUNT_MAX: usize = 256;
/// Interfaces kept of one source; the flows of others bear the exporter's name alone.
const INTERFACE_COUNT_MAX: usize = 4096;
/// Access lists kept of one source.
const ACL_COUNT_MAX: usize = 4096;
/// Data that waits for its template, of one source, in bytes.
const WAITING_BYTES_MAX: usize = 256 << 10;
/// The longest name of an interface, in bytes.
const INTERFACE_NAME_BYTES_MAX: usize = 64;

/// A set of records whose template did not come yet.
#[derive(Debug)]
pub struct Waiting {
    pub template: u16,
    pub records: Box<[u8]>,
    pub clock: Clock,
    pub arrival: Arrival,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.records.len() + size_of::<Waiting>()
    }
}

/// One exporter's process or line card.
#[derive(Debug)]
pub struct Source {
    exporter: IpAddr,
    pub sequence: Sequence,
    /// Since 1970, in milliseconds; who is silent for long makes room for another.
    pub last_ms: i64,
    plans: HashMap<u16, Arc<Plan>>,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    samplers: HashMap<u64, u64>,
    pub init_ms: Option<i64>,
    own_name: Symbol,
    interfaces: HashMap<u32, Symbol>,
    acls: HashMap<u32, Symbol>,
}

impl Source {
    pub fn new(exporter: IpAddr, at_ms: i64, shared: &mut Shared) -> Source {
        // A file of bare datagrams does not tell who sent them.
        let own_name =
            if exporter.is_unspecified() { Symbol::NONE } else { shared.symbol(&exporter.to_string()) };
        Source {
            exporter,
            sequence: Sequence::default(),
            last_ms: at_ms,
            plans: HashMap::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            samplers: HashMap::new(),
            init_ms: None,
            own_name,
            interfaces: HashMap::new(),
            acls: HashMap::new(),
        }
    }

    pub fn plan(&self, template: u16) -> Option<Arc<Plan>> {
        self.plans.get(&template).cloned()
    }

    /// Learns a template, or forgets one; false when there is no room for it.
    pub fn learn(&mut self, template: u16, plan: Option<Plan>, budget: &mut Budget) -> bool {
        if let Some(old) = self.plans.remove(&template) {
            budget.fields.give_back(old.weight());
        }
        let Some(plan) = plan else { return true };
        if self.plans.len() >= TEMPLATE_COUNT_MAX || !budget.fields.take(plan.weight()) {
            return false;
        }
        self.plans.insert(template, Arc::new(plan));
        true
    }

    /// Keeps records until their template comes; false when there is no room for them.
    pub fn wait(&mut self, waiting: Waiting, budget: &mut Budget) -> bool {
        let bytes = waiting.bytes();
        if self.waiting_bytes + bytes > WAITING_BYTES_MAX || !budget.waiting_bytes.take(bytes) {
            return false;
        }
        self.waiting_bytes += bytes;
        self.waiting.push(waiting);
        true
    }

    /// Gives back what waited for a template.
    pub fn waited(&mut self, template: u16, budget: &mut Budget) -> Vec<Waiting> {
        // In place: templates come over and over, and hardly ever does anything wait for one.
        let ready: Vec<_> = self.waiting.extract_if(.., |waiting| waiting.template == template).collect();
        let bytes = ready.iter().map(Waiting::bytes).sum();
        self.waiting_bytes -= bytes;
        budget.waiting_bytes.give_back(bytes);
        ready
    }

    /// How many sets wait.
    pub fn waiting_count(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Gives back all room before the source is forgotten.
    pub fn forget(&mut self, budget: &mut Budget) {
        budget.fields.give_back(self.plans.values().map(|plan| plan.weight()).sum());
        budget.waiting_bytes.give_back(self.waiting_bytes);
        self.plans.clear();
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Learns from a record of an options template.
    pub fn learn_option(&mut self, draft: &Draft<'_>, shared: &mut Shared) {
        if let Some(init_ms) = draft.get(Field::InitMs) {
            self.init_ms = Some(init_ms.cast_signed());
        }
        if let Some(rate) = draft.sampling() {
            let id = draft.get(Field::SamplerId).unwrap_or(0);
            if self.samplers.len() < SAMPLER_COUNT_MAX || self.samplers.contains_key(&id) {
                self.samplers.insert(id, rate.max(1));
            }
        }
        let number = draft.get(Field::Input).or_else(|| draft.get(Field::Output));
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok())
            && let Some(name) = interface_name(draft.name())
        {
            // It may have been seen before its name came, and a name may change.
            if self.interfaces.len() < INTERFACE_COUNT_MAX || self.interfaces.contains_key(&number) {
                let symbol = self.symbol(shared, &name);
                self.interfaces.insert(number, symbol);
            }
        }
    }

    /// One packet in so many was looked at, by what the record and the options say.
    pub fn sampling(&self, draft: &Draft<'_>) -> u64 {
        if self.samplers.is_empty() {
            return draft.sampling().unwrap_or(1).max(1);
        }
        let id = draft.get(Field::SamplerId);
        let told = id.and_then(|id| self.samplers.get(&id)).copied();
        // A record without a sampler is of the only one there is, or of the one that stands for all.
        let told = told.or_else(|| match id {
            Some(0) => Some(1),
            _ => self.samplers.get(&0).copied(),
        });
        let only = || (self.samplers.len() == 1).then(|| self.samplers.values().next().copied()).flatten();
        draft.sampling().or(told).or_else(only).unwrap_or(1).max(1)
    }

    /// The name of one of the exporter's interfaces; 0 stands for none.
    pub fn interface(&mut self, number: u32, shared: &mut Shared) -> Symbol {
        if number == 0 {
            return self.own_name;
        }
        if let Some(symbol) = self.interfaces.get(&number) {
            return *symbol;
        }
        if self.interfaces.len() >= INTERFACE_COUNT_MAX {
            return self.own_name;
        }
        let symbol = self.symbol(shared, &number.to_string());
        self.interfaces.insert(number, symbol);
        symbol
    }

    fn symbol(&self, shared: &mut Shared, part: &str) -> Symbol {
        if self.own_name == Symbol::NONE {
            return shared.symbol(part);
        }
        shared.symbol(&format!("{}/{part}", self.exporter))
    }

    /// The name of an access list.
    pub fn acl(&mut self, number: Option<u32>, shared: &mut Shared) -> Symbol {
        let Some(number) = number else { return Symbol::NONE };
        if let Some(symbol) = self.acls.get(&number) {
            return *symbol;
        }
        if self.acls.len() >= ACL_COUNT_MAX {
            return Symbol::OTHER;
        }
        let symbol = shared.symbol(&format!("acl {number:#010x}"));
        self.acls.insert(number, symbol);
        symbol
    }
}

/// The text of a name field, padded with zeros or not, without control characters.
fn interface_name(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.split(|byte| *byte == 0).next()?;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(INTERFACE_NAME_BYTES_MAX)]);
    let text = text.trim().replace(char::is_control, "·");
    (!text.is_empty()).then_some(text)
}
