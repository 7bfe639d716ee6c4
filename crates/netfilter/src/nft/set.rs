//! Named and anonymous sets and maps: what they are, and their elements as text.

use super::value::{InterfaceNames, Kind, Order, big_bytes, number, show};
use super::verdict::Verdict;
use crate::fields::Fields;
use netwhy_model::host::RuleVerdict;
use netwhy_netlink::attributes;

const FLAG_ANONYMOUS: u32 = 0x1;
const FLAG_INTERVAL: u32 = 0x4;
const FLAG_TIMEOUT: u32 = 0x10;
const FLAG_EVAL: u32 = 0x20;

const ELEMENT_INTERVAL_END: u32 = 1;
const ELEMENT_CATCHALL: u32 = 2;

/// Elements kept of one set; the others are counted.
pub(super) const ELEMENT_COUNT_MAX: usize = 1024;
/// Boundaries of intervals kept while a set is read, before they are paired.
const BOUNDARY_COUNT_MAX: usize = 65_536;
/// Elements of an anonymous set written in a rule's text.
const SHOWN_COUNT_MAX: usize = 64;
/// Parts of one concatenation that are read.
const PART_COUNT_MAX: usize = 16;

/// One set or map.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) family: u8,
    flags: u32,
    key: Vec<Kind>,
    key_len: usize,
    data: Vec<Kind>,
    data_len: usize,
    /// The kind of object a map of objects gives (NFT_OBJECT_*).
    pub(super) object: u32,
    /// How the bytes of an integer key are ordered; other kinds say so themselves.
    integer_order: Option<Order>,
    /// Bytes of each part of a concatenated key.
    lengths: Vec<usize>,
    /// Elements in all.
    pub(super) count: u64,
    pub(super) elements: Vec<Element>,
    /// Some element stands for more than one value.
    pub(super) has_ranges: bool,
    boundaries: Vec<Boundary>,
}

/// One element, ready to be shown.
#[derive(Debug, Clone)]
pub(super) struct Element {
    pub(super) key: String,
    /// Elements are shown by their value, as nft sorts them.
    rank: Vec<u8>,
    /// What a map maps it to.
    pub(super) data: Option<String>,
    pub(super) verdict: Option<RuleVerdict>,
}

/// Where an interval begins or ends.
#[derive(Debug, Clone)]
struct Boundary {
    at: u128,
    is_end: bool,
    data: Option<String>,
    verdict: Option<RuleVerdict>,
}

impl Set {
    /// Reads an NFT_MSG_NEWSET body behind its nfgenmsg (NFTA_SET_*).
    pub(super) fn parse(family: u8, attributes: &[u8]) -> Set {
        let fields = Fields::of(attributes);
        let mut set = Set {
            table: fields.text(1),
            name: fields.text(2),
            family,
            flags: fields.be32(3),
            key: Kind::parts(fields.be32(4)),
            key_len: fields.be32(5) as usize,
            data: Kind::parts(fields.be32(6)),
            data_len: fields.be32(7) as usize,
            object: fields.be32(15),
            integer_order: integer_order(fields.get(13)),
            ..Set::default()
        };
        set.lengths = set.part_lengths(fields.inside(9).get(2));
        set
    }

    /// The lengths of the key's parts: as the set's own description says, else by their kinds.
    fn part_lengths(&self, description: &[u8]) -> Vec<usize> {
        let described: Vec<usize> = attributes(description)
            .take(PART_COUNT_MAX)
            .map(|(_, field)| Fields::of(field).be32(1) as usize)
            .collect();
        if described.len() > 1 {
            return described;
        }
        if self.key.len() == 1 {
            return vec![self.key_len];
        }
        self.key.iter().map(|kind| kind.len().unwrap_or(4)).collect()
    }

    pub(super) fn anonymous(&self) -> bool {
        self.flags & FLAG_ANONYMOUS != 0
    }

    /// Elements come from packets or leave by themselves.
    pub(super) fn dynamic(&self) -> bool {
        self.flags & (FLAG_TIMEOUT | FLAG_EVAL) != 0
    }

    pub(super) fn key_lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The kind of what a map gives, and how its bytes are ordered.
    pub(super) fn data_kinds(&self) -> &[Kind] {
        &self.data
    }

    fn interval(&self) -> bool {
        self.flags & FLAG_INTERVAL != 0
    }

    /// Adds the elements of one NFT_MSG_NEWSETELEM body behind its nfgenmsg; returns how many there were.
    pub(super) fn add_elements(&mut self, message: &[u8], interfaces: InterfaceNames<'_>) {
        let list = Fields::of(message).get(3);
        for (_, element) in attributes(list) {
            self.add_element(&Fields::of(element), interfaces);
        }
    }

    fn add_element(&mut self, fields: &Fields<'_>, interfaces: InterfaceNames<'_>) {
        let flags = fields.be32(3);
        let is_end = flags & ELEMENT_INTERVAL_END != 0;
        self.count += u64::from(!is_end);
        let (data, verdict) = self.element_data(fields, interfaces);
        let key = fields.inside(1).get(1);
        if flags & ELEMENT_CATCHALL != 0 {
            // Behind all others.
            self.keep(Element { key: "*".to_owned(), rank: vec![u8::MAX; 17], data, verdict });
        } else if self.interval() && self.key.len() == 1 {
            if self.boundaries.len() < BOUNDARY_COUNT_MAX {
                self.boundaries.push(Boundary { at: number(key, Order::Big), is_end, data, verdict });
            }
        } else {
            // The end of a range of concatenations comes as a second key.
            let end = fields.find(10).map(|_| fields.inside(10).get(1));
            let rank = self.rank(key);
            let key = self.concatenation(key, end.unwrap_or(key), interfaces);
            self.keep(Element { key, rank, data, verdict });
        }
    }

    fn key_order(&self, kind: Kind) -> Order {
        match kind {
            Kind::Integer | Kind::Hex => self.integer_order.unwrap_or(Order::Big),
            kind => kind.order(),
        }
    }

    fn rank(&self, key: &[u8]) -> Vec<u8> {
        match self.key.as_slice() {
            [Kind::Text | Kind::InterfaceName] => key.to_vec(),
            [kind] => number(key, self.key_order(*kind)).to_be_bytes().to_vec(),
            _ => key.to_vec(),
        }
    }

    fn keep(&mut self, element: Element) {
        if self.elements.len() < ELEMENT_COUNT_MAX {
            self.elements.push(element);
        }
    }

    fn element_data(
        &self,
        fields: &Fields<'_>,
        interfaces: InterfaceNames<'_>,
    ) -> (Option<String>, Option<RuleVerdict>) {
        if fields.has(9) {
            return (Some(format!("\"{}\"", fields.text(9))), None);
        }
        if !fields.has(2) {
            return (None, None);
        }
        let data = fields.inside(2);
        if let Some(verdict) = data.find(2) {
            let verdict = Verdict::parse(verdict);
            return (Some(verdict.text.clone()), Some(verdict.verdict));
        }
        (Some(self.show_data(data.get(1), interfaces)), None)
    }

    /// What a map gives, as text.
    fn show_data(&self, bytes: &[u8], interfaces: InterfaceNames<'_>) -> String {
        let mut rest = bytes.get(..self.data_len).unwrap_or(bytes);
        let single = self.data.len() == 1;
        let mut parts = Vec::new();
        for kind in &self.data {
            let length = if single { rest.len() } else { kind.len().unwrap_or(4).min(rest.len()) };
            let (own, after) = rest.split_at(length);
            parts.push(show(*kind, own, kind.order(), interfaces));
            rest = after.get(length.next_multiple_of(4) - length..).unwrap_or_default();
        }
        parts.join(" . ")
    }

    /// A key of one or more parts, each a value, a prefix or a range.
    fn concatenation(&mut self, from: &[u8], to: &[u8], interfaces: InterfaceNames<'_>) -> String {
        let single = self.key.len() == 1;
        let mut parts = Vec::new();
        let mut offset = 0;
        for (kind, length) in self.key.iter().zip(&self.lengths) {
            let own = |bytes| part(bytes, offset, *length);
            if single || own(from) == own(to) {
                parts.push(show(*kind, own(from), self.key_order(*kind), interfaces));
            } else {
                self.has_ranges = true;
                let last = number(own(to), Order::Big);
                parts.push(span(*kind, number(own(from), Order::Big), last, *length, interfaces));
            }
            offset += length.next_multiple_of(4);
        }
        parts.join(" . ")
    }

    /// Pairs the boundaries of intervals once all elements are there, and orders the rest.
    pub(super) fn finish(&mut self, interfaces: InterfaceNames<'_>) {
        let mut boundaries = std::mem::take(&mut self.boundaries);
        // An end comes before a start at the same place: intervals are half open.
        boundaries.sort_by_key(|boundary| (boundary.at, !boundary.is_end));
        let kind = self.key.first().copied().unwrap_or(Kind::Hex);
        let length = self.key_len.clamp(1, 16);
        let most = u128::MAX >> (128 - 8 * length as u32);
        let mut rest = boundaries.into_iter().peekable();
        while let Some(start) = rest.next() {
            if start.is_end {
                continue;
            }
            let end = rest.peek().filter(|next| next.is_end).map(|next| next.at);
            let last = end.map_or(most, |end| end.saturating_sub(1).max(start.at));
            self.has_ranges |= last != start.at;
            let key = span(kind, start.at, last, length, interfaces);
            let rank = start.at.to_be_bytes().to_vec();
            self.keep(Element { key, rank, data: start.data, verdict: start.verdict });
        }
        self.elements.sort_by(|one, other| one.rank.cmp(&other.rank));
    }

    /// `{ 80, 443 }`, or `@name`.
    pub(super) fn text(&self) -> String {
        if !self.anonymous() {
            return format!("@{}", self.name);
        }
        let mut shown: Vec<String> = self.elements.iter().take(SHOWN_COUNT_MAX).map(Element::text).collect();
        if shown.is_empty() {
            // An anonymous set always has elements: these were not read.
            return "{ … }".to_owned();
        }
        let left = self.count.saturating_sub(shown.len() as u64);
        if left > 0 {
            shown.push(format!("… {left} more"));
        }
        format!("{{ {} }}", shown.join(", "))
    }

    /// The same, for keys that are some bits of a byte and stand `shift` bits too far left in the set.
    pub(super) fn text_moved(&self, shift: u32, interfaces: InterfaceNames<'_>) -> String {
        let (&[kind], true) = (self.key.as_slice(), self.anonymous() && (1..8).contains(&shift)) else {
            return self.text();
        };
        let moved = |element: &Element| {
            let value = number(&element.rank, Order::Big) >> shift;
            Element { key: show(kind, &big_bytes(value, 16), Order::Big, interfaces), ..element.clone() }
        };
        Set { elements: self.elements.iter().map(moved).collect(), ..self.clone() }.text()
    }

    /// What a verdict map does with a packet: what stops it if any element does, else the first of them.
    pub(super) fn verdict(&self) -> RuleVerdict {
        let verdicts = || self.elements.iter().filter_map(|element| element.verdict.as_ref());
        let stops = |verdict: &&RuleVerdict| matches!(verdict, RuleVerdict::Drop | RuleVerdict::Reject(_));
        verdicts().find(stops).or_else(|| verdicts().next()).cloned().unwrap_or(RuleVerdict::Continue)
    }
}

impl Element {
    pub(super) fn text(&self) -> String {
        match &self.data {
            Some(data) => format!("{} : {data}", self.key),
            None => self.key.clone(),
        }
    }
}

/// The byte order of the key that nft left in a set's user data: a list of type, length, value.
fn integer_order(data: &[u8]) -> Option<Order> {
    const KEY_BYTE_ORDER: u8 = 0;
    const HOST: u32 = 1;
    match data {
        [KEY_BYTE_ORDER, 4, value @ ..] => {
            Some(if netwhy_netlink::ne32(value) == HOST { Order::Host } else { Order::Big })
        }
        _ => None,
    }
}

fn part(bytes: &[u8], offset: usize, length: usize) -> &[u8] {
    let rest = bytes.get(offset..).unwrap_or_default();
    rest.get(..length).unwrap_or(rest)
}

/// A value, a prefix or a range; `length` in bytes.
pub(super) fn span(
    kind: Kind,
    first: u128,
    last: u128,
    length: usize,
    interfaces: InterfaceNames<'_>,
) -> String {
    let one = |value| {
        // Text keeps its bytes in reading order whatever the machine.
        show(kind, &big_bytes(value, length), Order::Big, interfaces)
    };
    if first == last {
        return one(first);
    }
    if matches!(kind, Kind::InterfaceName | Kind::Text) {
        return wildcard(first, length);
    }
    if let (Kind::Ip4 | Kind::Ip6, Some(prefix)) = (kind, prefix_len(first, last, length)) {
        return format!("{}/{prefix}", one(first));
    }
    format!("{}-{}", one(first), one(last))
}

/// An interval of names is everything with one beginning.
fn wildcard(first: u128, length: usize) -> String {
    let bytes = big_bytes(first, length);
    let name: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0).collect();
    format!("\"{}*\"", crate::printable::printable(&String::from_utf8_lossy(&name)))
}

/// The length of the prefix that a range is, when it is one.
fn prefix_len(first: u128, last: u128, length: usize) -> Option<u32> {
    let differing = first ^ last;
    let free = 128 - differing.leading_zeros();
    let whole = differing.count_ones() == free && first & differing == 0;
    whole.then(|| (8 * length as u32).saturating_sub(free))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(first: u32, last: u32) -> String {
        span(Kind::Ip4, first.into(), last.into(), 4, &|_| None)
    }

    #[test]
    fn ranges_that_are_prefixes_are_written_so() {
        assert_eq!(text(0x0a00_0000, 0x0aff_ffff), "10.0.0.0/8");
        assert_eq!(text(0x0a00_0001, 0x0a00_0001), "10.0.0.1");
        assert_eq!(text(0x0a00_0001, 0x0a00_0002), "10.0.0.1-10.0.0.2");
        assert_eq!(text(0, u32::MAX), "0.0.0.0/0");
    }

    #[test]
    fn an_interval_without_an_end_goes_to_the_last_value() {
        let boundary = |at, is_end| Boundary { at, is_end, data: None, verdict: None };
        let mut set = Set { key: vec![Kind::Service], key_len: 2, ..Set::default() };
        set.boundaries =
            vec![boundary(1024, false), boundary(80, false), boundary(0, true), boundary(81, true)];
        set.finish(&|_| None);
        let keys: Vec<&str> = set.elements.iter().map(|element| element.key.as_str()).collect();
        assert_eq!(keys, ["80", "1024-65535"]);
    }
}
