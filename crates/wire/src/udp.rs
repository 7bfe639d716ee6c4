//! UDP datagrams (RFC 768).

use crate::error::WireError;

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    /// Header and payload as the header states it, in bytes.
    pub length: u16,
    /// 0 when the sender computed none (IPv4 only).
    pub checksum: u16,
    pub payload: &'a [u8],
}

pub(crate) fn parse_udp(bytes: &[u8]) -> Result<Udp<'_>, WireError> {
    let Some(fixed) = bytes.first_chunk::<8>() else { return Err(WireError::Short("UDP", 8, bytes.len())) };
    let length = u16::from_be_bytes([fixed[4], fixed[5]]);
    let end = usize::from(length).clamp(8, bytes.len());
    Ok(Udp {
        source_port: u16::from_be_bytes([fixed[0], fixed[1]]),
        destination_port: u16::from_be_bytes([fixed[2], fixed[3]]),
        length,
        checksum: u16::from_be_bytes([fixed[6], fixed[7]]),
        payload: bytes.get(8..end).unwrap_or_default(),
    })
}
