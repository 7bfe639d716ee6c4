//! The attributes of one message or nest, by their number.

use crate::printable::printable;
use netwhy_netlink::{attributes, be16, be32, be64};

/// Attribute numbers above this are of no use here.
const NUMBER_MAX: usize = 31;

/// Attributes by number; one that is absent reads as empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    values: [Option<&'a [u8]>; NUMBER_MAX + 1],
}

impl<'a> Fields<'a> {
    /// Walks the attributes once; of a number that comes twice the first counts.
    pub(crate) fn of(bytes: &'a [u8]) -> Fields<'a> {
        let mut values = [None; NUMBER_MAX + 1];
        for (kind, value) in attributes(bytes) {
            if let Some(place) = values.get_mut(usize::from(kind))
                && place.is_none()
            {
                *place = Some(value);
            }
        }
        Fields { values }
    }

    pub(crate) fn find(&self, number: usize) -> Option<&'a [u8]> {
        self.values.get(number).copied().flatten()
    }

    pub(crate) fn get(&self, number: usize) -> &'a [u8] {
        self.find(number).unwrap_or_default()
    }

    pub(crate) fn has(&self, number: usize) -> bool {
        self.find(number).is_some()
    }

    pub(crate) fn be16(&self, number: usize) -> u16 {
        be16(self.get(number))
    }

    pub(crate) fn be32(&self, number: usize) -> u32 {
        be32(self.get(number))
    }

    pub(crate) fn be64(&self, number: usize) -> u64 {
        be64(self.get(number))
    }

    pub(crate) fn byte(&self, number: usize) -> u8 {
        self.get(number).first().copied().unwrap_or(0)
    }

    /// A name, bounded and without control characters.
    pub(crate) fn text(&self, number: usize) -> String {
        printable(&netwhy_netlink::text(self.get(number)))
    }

    /// The attributes inside one.
    pub(crate) fn inside(&self, number: usize) -> Fields<'a> {
        Fields::of(self.get(number))
    }
}
