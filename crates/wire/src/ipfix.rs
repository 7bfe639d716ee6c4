//! IPFIX (RFC 7011) and NetFlow v9 (RFC 3954): sets, templates, and records cut into fields.

use crate::take::Take;

/// Fields taken of one template; real ones have some dozens.
pub const FIELD_COUNT_MAX: usize = 512;
/// Template sets of these numbers; data sets have the number of their template, from 256 on.
const SET_TEMPLATE_V9: u16 = 0;
const SET_OPTIONS_V9: u16 = 1;
const SET_TEMPLATE: u16 = 2;
const SET_OPTIONS: u16 = 3;
pub const DATA_SET_MIN: u16 = 256;
/// A field of this length states its own in every record.
pub const VARIABLE: u16 = u16::MAX;
/// Of an element's number: the number of an enterprise follows.
const ENTERPRISE_BIT: u16 = 0x8000;

/// The two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    V9,
    Ipfix,
}

/// The head of an IPFIX message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Of the whole message, in bytes.
    pub length: u16,
    pub export_s: u32,
    /// Data records sent before this message.
    pub sequence: u32,
    pub domain: u32,
}

impl Head {
    /// Reads the head; the sets follow in what is left.
    pub fn parse(take: &mut Take<'_>) -> Option<Head> {
        take.u16()?;
        Some(Head { length: take.u16()?, export_s: take.u32()?, sequence: take.u32()?, domain: take.u32()? })
    }
}

/// What a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set<'a> {
    Templates(&'a [u8]),
    OptionsTemplates(&'a [u8]),
    /// Records of the template of this number.
    Data(u16, &'a [u8]),
    /// A number that is reserved.
    Reserved(u16),
}

/// Cuts a message into sets; what is left when it ends did not fit.
#[derive(Debug, Clone)]
pub struct Sets<'a> {
    dialect: Dialect,
    pub take: Take<'a>,
}

impl<'a> Sets<'a> {
    pub fn new(dialect: Dialect, take: Take<'a>) -> Sets<'a> {
        Sets { dialect, take }
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = Set<'a>;

    fn next(&mut self) -> Option<Set<'a>> {
        let mut ahead = self.take;
        let (number, length) = (ahead.u16()?, ahead.u16()?);
        let body = ahead.bytes(usize::from(length).checked_sub(4)?)?;
        self.take = ahead;
        Some(match (self.dialect, number) {
            (Dialect::V9, SET_TEMPLATE_V9) | (Dialect::Ipfix, SET_TEMPLATE) => Set::Templates(body),
            (Dialect::V9, SET_OPTIONS_V9) | (Dialect::Ipfix, SET_OPTIONS) => Set::OptionsTemplates(body),
            (_, DATA_SET_MIN..) => Set::Data(number, body),
            _ => Set::Reserved(number),
        })
    }
}

/// One field of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FieldSpec {
    /// 0 for the IANA's own elements.
    pub enterprise: u32,
    pub element: u16,
    /// In bytes, or [`VARIABLE`].
    pub length: u16,
    /// In an options template: says what the record is about.
    pub scope: bool,
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub number: u16,
    /// Without fields the template is withdrawn.
    pub fields: Vec<FieldSpec>,
}

/// Why a template was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("a template set ends within a template")]
    Short,
    #[error("template {0} has {1} fields, more than {FIELD_COUNT_MAX}")]
    Fields(u16, usize),
    #[error("template {0} has a number below {DATA_SET_MIN}")]
    Number(u16),
    #[error("the records of template {0} would have no bytes")]
    Empty(u16),
}

/// Reads the next template of a set; `None` at its end and at the padding behind.
pub fn template(dialect: Dialect, take: &mut Take<'_>) -> Option<Result<Template, TemplateError>> {
    if take.rest.len() < 4 {
        return None;
    }
    let (number, count) = (take.u16()?, take.u16()?);
    if number == 0 && count == 0 {
        return None;
    }
    Some(fields(take, number, usize::from(count), 0, dialect == Dialect::Ipfix))
}

/// Reads the next template of an options set; `None` at its end and at the padding behind.
pub fn options_template(dialect: Dialect, take: &mut Take<'_>) -> Option<Result<Template, TemplateError>> {
    if take.rest.len() < 4 {
        return None;
    }
    let number = take.u16()?;
    let first = take.u16()?;
    if number == 0 && first == 0 {
        return None;
    }
    let second = match dialect {
        // A withdrawal has no count of scopes: another may follow right behind.
        Dialect::Ipfix if first == 0 => 0,
        _ => take.u16().unwrap_or(0),
    };
    let (count, scopes) = match dialect {
        // v9 counts bytes, of scopes and of options.
        Dialect::V9 => (usize::from(first) / 4 + usize::from(second) / 4, usize::from(first) / 4),
        Dialect::Ipfix => (usize::from(first), usize::from(second)),
    };
    Some(fields(take, number, count, scopes, dialect == Dialect::Ipfix))
}

fn fields(
    take: &mut Take<'_>,
    number: u16,
    count: usize,
    scopes: usize,
    enterprises: bool,
) -> Result<Template, TemplateError> {
    if count > FIELD_COUNT_MAX {
        return Err(TemplateError::Fields(number, count));
    }
    let mut fields = Vec::with_capacity(count.min(take.rest.len() / 4));
    for at in 0..count {
        let field = field(take, at < scopes, enterprises).ok_or(TemplateError::Short)?;
        fields.push(field);
    }
    // A template number below 256 also stands for "all templates" when it has no fields.
    if number < DATA_SET_MIN && !fields.is_empty() {
        return Err(TemplateError::Number(number));
    }
    if !fields.is_empty() && fields.iter().all(|field| field.length == 0) {
        return Err(TemplateError::Empty(number));
    }
    Ok(Template { number, fields })
}

/// NetFlow v9 has no enterprises: there the upper bit is a part of the number.
fn field(take: &mut Take<'_>, scope: bool, enterprises: bool) -> Option<FieldSpec> {
    let (element, length) = (take.u16()?, take.u16()?);
    if enterprises && element & ENTERPRISE_BIT != 0 {
        let enterprise = take.u32()?;
        return Some(FieldSpec { enterprise, element: element & !ENTERPRISE_BIT, length, scope });
    }
    Some(FieldSpec { enterprise: 0, element, length, scope })
}

/// Takes one value of a record.
pub fn value<'a>(take: &mut Take<'a>, length: u16) -> Option<&'a [u8]> {
    if length != VARIABLE {
        return take.bytes(usize::from(length));
    }
    let mut ahead = *take;
    let length = match ahead.u8()? {
        255 => usize::from(ahead.u16()?),
        short => usize::from(short),
    };
    let value = ahead.bytes(length)?;
    *take = ahead;
    Some(value)
}

/// Reads a number of one to sixteen bytes; what is longer keeps its last bytes.
pub fn number(value: &[u8]) -> u64 {
    value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
