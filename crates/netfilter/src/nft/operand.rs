//! The left-hand side of a condition: what was loaded into a register.

use super::payload::{Base, Header, Template};
use super::value::{Kind, Order};
use netwhy_model::host::Match;

/// What an operand is about, for telling what kind of condition it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Subject {
    Source,
    Destination,
    SourcePort,
    DestinationPort,
    TcpFlags,
    Interface,
    State,
    Mark,
    User,
    /// The protocol itself: a condition, but of no kind of its own.
    Protocol,
    #[default]
    Other,
}

impl Subject {
    /// The kind of condition; a source address needs its value and the verdict too.
    pub(super) fn kind(self) -> Option<Match> {
        Some(match self {
            Subject::Source | Subject::Protocol => return None,
            Subject::Destination => Match::DestinationAddress,
            Subject::SourcePort => Match::SourcePort,
            Subject::DestinationPort => Match::DestinationPort,
            Subject::TcpFlags => Match::TcpFlags,
            Subject::Interface => Match::Interface,
            Subject::State => Match::ConnectionState,
            Subject::Mark => Match::Mark,
            Subject::User => Match::User,
            Subject::Other => Match::Other,
        })
    }
}

/// What a register holds when it was loaded from the packet or its surroundings.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    /// `ip saddr`, `meta mark`, `ct state`.
    pub(super) text: String,
    pub(super) kind: Kind,
    pub(super) order: Order,
    pub(super) subject: Subject,
    /// How far right its bits must be moved to read as a number.
    pub(super) shift: u32,
    /// Only so many leading bits of an address were loaded.
    pub(super) prefix: Option<usize>,
    /// The mask and the exclusive-or a bitwise expression applied.
    pub(super) mask: Option<(Vec<u8>, Vec<u8>)>,
    /// Where it was loaded from: the header's fields, and the first bit.
    pub(super) place: Option<(Base, Header, usize)>,
    /// Several whole fields loaded at once.
    pub(super) parts: Vec<&'static Template>,
}

impl Default for Operand {
    fn default() -> Operand {
        Operand {
            text: String::new(),
            kind: Kind::Integer,
            order: Order::Host,
            subject: Subject::Other,
            shift: 0,
            prefix: None,
            mask: None,
            place: None,
            parts: Vec::new(),
        }
    }
}

impl Operand {
    pub(super) fn new(text: impl Into<String>, kind: Kind, subject: Subject) -> Operand {
        Operand { text: text.into(), kind, order: kind.order(), subject, ..Operand::default() }
    }
}

/// What a register holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Loaded(Operand),
    Bytes(Vec<u8>),
}

/// Registers are 16 slots of 4 bytes; the four wide ones lie over them.
const SLOT_COUNT: usize = 16;
const SLOT_BYTES: usize = 4;

/// The registers of one rule.
#[derive(Debug, Default)]
pub(super) struct Registers {
    slots: [Option<Content>; SLOT_COUNT],
}

/// The slot a register number begins at; register 0 is the verdict and has none.
fn slot(register: u32) -> Option<usize> {
    match register {
        1..=4 => Some((register as usize - 1) * 4),
        8..=23 => Some(register as usize - 8),
        _ => None,
    }
}

impl Registers {
    pub(super) fn set(&mut self, register: u32, content: Content) {
        if let Some(place) = slot(register).and_then(|slot| self.slots.get_mut(slot)) {
            *place = Some(content);
        }
    }

    pub(super) fn get(&self, register: u32) -> Option<&Content> {
        self.slots.get(slot(register)?)?.as_ref()
    }

    pub(super) fn loaded(&self, register: u32) -> Option<&Operand> {
        match self.get(register)? {
            Content::Loaded(operand) => Some(operand),
            Content::Bytes(_) => None,
        }
    }

    /// The operands that follow each other from a register on, as long as the kinds say, `len` bytes in all.
    pub(super) fn run(&self, register: u32, len: usize) -> Vec<&Operand> {
        let Some(start) = slot(register) else { return Vec::new() };
        let mut operands = Vec::new();
        let mut next = start;
        while next < start.saturating_add(len.div_ceil(SLOT_BYTES)) {
            let Some(Some(Content::Loaded(operand))) = self.slots.get(next) else { break };
            next += operand.kind.len().unwrap_or(SLOT_BYTES).div_ceil(SLOT_BYTES).max(1);
            operands.push(operand);
        }
        operands
    }

    /// The operands of a concatenation of parts of these lengths, from its first register on.
    pub(super) fn concatenation(&self, register: u32, lengths: &[usize]) -> Vec<&Operand> {
        let Some(mut next) = slot(register) else { return Vec::new() };
        let mut operands = Vec::new();
        for length in lengths {
            if let Some(Some(Content::Loaded(operand))) = self.slots.get(next) {
                operands.push(operand);
            }
            next += length.div_ceil(SLOT_BYTES).max(1);
        }
        operands
    }
}
