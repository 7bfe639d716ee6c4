//! Takes fields off the front of bytes; a field that is not wholly there is `None`, and nothing is taken.

/// Bytes in network order, read from the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Take<'a> {
    pub rest: &'a [u8],
}

impl<'a> Take<'a> {
    pub fn new(bytes: &'a [u8]) -> Take<'a> {
        Take { rest: bytes }
    }

    /// Takes so many bytes.
    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.octets::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.octets().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.octets().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.octets().map(u64::from_be_bytes)
    }

    pub fn u128(&mut self) -> Option<u128> {
        self.octets().map(u128::from_be_bytes)
    }
}

/// The byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Big,
    Little,
}

impl Order {
    /// Reads two bytes at `at`; 0 where they are not there.
    pub fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let octets = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        match self {
            Order::Big => u16::from_be_bytes(octets),
            Order::Little => u16::from_le_bytes(octets),
        }
    }

    /// Reads four bytes at `at`; 0 where they are not there.
    pub fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let octets = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        match self {
            Order::Big => u32::from_be_bytes(octets),
            Order::Little => u32::from_le_bytes(octets),
        }
    }

    /// Reads eight bytes at `at`; 0 where they are not there.
    pub fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let octets = bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or_default();
        match self {
            Order::Big => u64::from_be_bytes(octets),
            Order::Little => u64::from_le_bytes(octets),
        }
    }
}
