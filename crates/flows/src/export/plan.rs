//! A template made ready: where in a record the fields are that flows are made of.

use super::draft::Draft;
use super::field::Field;
use netwhy_wire::Take;
use netwhy_wire::ipfix::{self, Dialect, Template};

/// One field of a record.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Where it begins; only of templates without fields of variable length.
    at: u16,
    length: u16,
    field: Field,
}

/// A template made ready.
#[derive(Debug)]
pub struct Plan {
    /// Fields that are used; all of them where a field's length varies.
    parts: Vec<Part>,
    /// The length of a record, or the shortest one where it varies, in bytes; never 0.
    record_bytes_min: usize,
    varies: bool,
    pub fields: PlanFields,
}

/// What a record of a plan is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFields {
    Flows,
    /// The exporter tells of itself: of sampling, of interfaces.
    Options,
}

impl Plan {
    pub fn new(dialect: Dialect, template: &Template) -> Plan {
        let varies = template.fields.iter().any(|spec| spec.length == ipfix::VARIABLE);
        let options = template.fields.iter().any(|spec| spec.scope);
        let mut at = 0_usize;
        let mut parts = Vec::new();
        for spec in &template.fields {
            let field = Field::of(dialect, spec);
            if varies || (field != Field::Ignored && at <= usize::from(u16::MAX)) {
                parts.push(Part { at: at as u16, length: spec.length, field });
            }
            // A field of variable length takes at least the byte of its length.
            at += if spec.length == ipfix::VARIABLE { 1 } else { usize::from(spec.length) };
        }
        parts.shrink_to_fit();
        let fields = if options { PlanFields::Options } else { PlanFields::Flows };
        Plan { parts, record_bytes_min: at.max(1), varies, fields }
    }

    /// How much memory it takes, in fields.
    pub fn weight(&self) -> usize {
        self.parts.len() + 1
    }

    /// Whether no record is left; what remains is padding, which is shorter than any (RFC 7011, section 3.3.1).
    pub fn is_end(&self, take: &Take<'_>) -> bool {
        take.rest.len() < self.record_bytes_min
    }

    /// Takes the next record of a set into the draft; `None` at the end, at the padding behind, and where it is cut short.
    pub fn record<'a>(&self, take: &mut Take<'a>, draft: &mut Draft<'a>) -> Option<()> {
        if self.is_end(take) {
            return None;
        }
        draft.clear();
        if self.varies {
            let mut ahead = *take;
            for part in &self.parts {
                let value = ipfix::value(&mut ahead, part.length)?;
                draft.set(part.field, value);
            }
            *take = ahead;
            return Some(());
        }
        let record = take.bytes(self.record_bytes_min)?;
        for part in &self.parts {
            let at = usize::from(part.at);
            draft.set(part.field, record.get(at..at + usize::from(part.length))?);
        }
        Some(())
    }
}
