//! Type-length-value attributes: walking and building them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// NLA_F_NESTED and NLA_F_NET_BYTEORDER live in the two top bits of the type.
const KIND_MASK: u16 = 0x3fff;
const NESTED: u16 = 0x8000;
const HEADER_LEN: usize = 4;

/// Walks type-length-value attributes; ends at the first that does not fit.
pub fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Attributes { rest: bytes }
}

/// The walk over a list of attributes: (type without flags, value).
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let head = self.rest.first_chunk::<HEADER_LEN>()?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let kind = u16::from_ne_bytes([head[2], head[3]]) & KIND_MASK;
        let value = self.rest.get(HEADER_LEN..length)?;
        self.rest = self.rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Builds a list of attributes behind a fixed header.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// Starts with the message's fixed header (rtmsg, nfgenmsg, …).
    pub fn new(header: &[u8]) -> Builder {
        Builder { bytes: header.to_vec() }
    }

    /// Appends one attribute; a value past 65,531 bytes is cut.
    #[must_use]
    pub fn put(mut self, kind: u16, value: &[u8]) -> Builder {
        let value = value.get(..usize::from(u16::MAX) - HEADER_LEN).unwrap_or(value);
        self.bytes.extend(((value.len() + HEADER_LEN) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Appends a zero-terminated string.
    #[must_use]
    pub fn put_text(self, kind: u16, value: &str) -> Builder {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes)
    }

    /// Appends attributes inside an attribute.
    #[must_use]
    pub fn nest(self, kind: u16, inside: Builder) -> Builder {
        self.put(kind | NESTED, &inside.bytes)
    }

    /// The bytes built so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a number in the machine's byte order; 0 when the value is too short.
pub fn ne16(value: &[u8]) -> u16 {
    value.first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes))
}

/// See [`ne16`].
pub fn ne32(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// See [`ne16`].
pub fn ne64(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// Reads a number in network byte order; 0 when the value is too short.
pub fn be16(value: &[u8]) -> u16 {
    value.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

/// See [`be16`].
pub fn be32(value: &[u8]) -> u32 {
    value.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// See [`be16`].
pub fn be64(value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Reads a zero-terminated string, whatever its bytes.
pub fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Reads an address of 4 or 16 bytes.
pub fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(|octets| Ipv4Addr::from(octets).into()),
        16 => <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// The bytes of an address.
pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_end_where_they_do_not_fit() {
        assert_eq!(attributes(&[8, 0, 1, 0, 1, 2, 3, 4]).count(), 1);
        assert_eq!(attributes(&[9, 0, 1, 0, 1, 2, 3, 4]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0]).count(), 0);
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_again(values in proptest::collection::vec((1_u16..500, proptest::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let built = values.iter().fold(Builder::default(), |builder, (kind, value)| builder.put(*kind, value));
            let read: Vec<(u16, Vec<u8>)> =
                attributes(built.bytes()).map(|(kind, value)| (kind, value.to_vec())).collect();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4);
        }
    }
}
