//! TCP segments and their options (RFC 9293, RFC 7323, RFC 2018, RFC 2385).

use crate::error::WireError;
use std::fmt;

/// Most options read from one segment: the header holds 40 bytes of them.
const OPTION_COUNT_MAX: usize = 40;

/// The control bits of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    pub const FIN: TcpFlags = TcpFlags(0x01);
    pub const SYN: TcpFlags = TcpFlags(0x02);
    pub const RST: TcpFlags = TcpFlags(0x04);
    pub const PSH: TcpFlags = TcpFlags(0x08);
    pub const ACK: TcpFlags = TcpFlags(0x10);
    pub const SYN_ACK: TcpFlags = TcpFlags(0x12);
    pub const RST_ACK: TcpFlags = TcpFlags(0x14);

    /// True when every bit of `other` is set here.
    pub const fn has(self, other: TcpFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// A SYN without ACK: a client's first segment.
    pub const fn is_syn(self) -> bool {
        self.0 & 0x12 == 0x02
    }

    /// A SYN with ACK: a server's answer.
    pub const fn is_syn_ack(self) -> bool {
        self.0 & 0x12 == 0x12
    }

    /// A reset, with or without ACK.
    pub const fn is_rst(self) -> bool {
        self.0 & 0x04 != 0
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (bit, name) in
            [(0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x08, "PSH"), (0x10, "ACK"), (0x20, "URG")]
        {
            if self.0 & bit != 0 {
                if !first {
                    f.write_str("-")?;
                }
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

/// One TCP option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TcpOption {
    /// Largest segment the sender takes, in bytes.
    Mss(u16),
    /// Shift of the window, 0 to 14.
    WindowScale(u8),
    SackPermitted,
    Timestamps {
        value: u32,
        echo: u32,
    },
    /// A signature follows (RFC 2385): 16 bytes.
    Md5([u8; 16]),
    /// Any other kind with its bytes.
    Other(u8, Vec<u8>),
}

/// One TCP segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: TcpFlags,
    /// As on the wire, unscaled.
    pub window: u16,
    pub checksum: u16,
    pub options: Vec<TcpOption>,
    pub payload: &'a [u8],
}

impl Tcp<'_> {
    /// The largest segment the sender takes, when it says so.
    pub fn mss(&self) -> Option<u16> {
        self.options
            .iter()
            .find_map(|option| if let TcpOption::Mss(mss) = option { Some(*mss) } else { None })
    }

    /// The sender's timestamp clock, when the option is there.
    pub fn timestamp(&self) -> Option<u32> {
        self.options.iter().find_map(|option| match option {
            TcpOption::Timestamps { value, .. } => Some(*value),
            _ => None,
        })
    }
}

/// Reads a TCP segment; options that do not parse end the list.
pub(crate) fn parse_tcp(bytes: &[u8]) -> Result<Tcp<'_>, WireError> {
    let Some(fixed) = bytes.first_chunk::<20>() else { return Err(WireError::Short("TCP", 20, bytes.len())) };
    let header_len = usize::from(fixed[12] >> 4) * 4;
    if header_len < 20 {
        return Err(WireError::Length("TCP"));
    }
    let options = bytes.get(20..header_len.min(bytes.len())).unwrap_or_default();
    Ok(Tcp {
        source_port: u16::from_be_bytes([fixed[0], fixed[1]]),
        destination_port: u16::from_be_bytes([fixed[2], fixed[3]]),
        sequence: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        acknowledgment: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        flags: TcpFlags(fixed[13]),
        window: u16::from_be_bytes([fixed[14], fixed[15]]),
        checksum: u16::from_be_bytes([fixed[16], fixed[17]]),
        options: parse_options(options),
        payload: bytes.get(header_len..).unwrap_or_default(),
    })
}

fn parse_options(mut bytes: &[u8]) -> Vec<TcpOption> {
    let mut options = Vec::new();
    for _ in 0..OPTION_COUNT_MAX {
        match bytes {
            [] | [0, ..] => break,
            [1, rest @ ..] => bytes = rest,
            [kind, length, ..] => {
                let length = usize::from(*length);
                let (Some(body), Some(rest)) = (bytes.get(2..length), bytes.get(length..)) else { break };
                options.push(option(*kind, body));
                bytes = rest;
            }
            [_] => break,
        }
    }
    options
}

fn option(kind: u8, body: &[u8]) -> TcpOption {
    match (kind, body) {
        (2, [high, low]) => TcpOption::Mss(u16::from_be_bytes([*high, *low])),
        (3, [shift]) => TcpOption::WindowScale(*shift),
        (4, []) => TcpOption::SackPermitted,
        (8, [a, b, c, d, e, f, g, h]) => TcpOption::Timestamps {
            value: u32::from_be_bytes([*a, *b, *c, *d]),
            echo: u32::from_be_bytes([*e, *f, *g, *h]),
        },
        (19, body) => match <[u8; 16]>::try_from(body) {
            Ok(digest) => TcpOption::Md5(digest),
            Err(_) => TcpOption::Other(19, body.to_vec()),
        },
        (kind, body) => TcpOption::Other(kind, body.to_vec()),
    }
}

/// Writes options, padded to a multiple of four; those past 40 bytes are left out.
pub(crate) fn write_options(options: &[TcpOption]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for option in options {
        let mut one = Vec::with_capacity(20);
        match option {
            TcpOption::Mss(mss) => {
                one.extend([2, 4]);
                one.extend(mss.to_be_bytes());
            }
            TcpOption::WindowScale(shift) => one.extend([3, 3, *shift]),
            TcpOption::SackPermitted => one.extend([4, 2]),
            TcpOption::Timestamps { value, echo } => {
                one.extend([8, 10]);
                one.extend(value.to_be_bytes());
                one.extend(echo.to_be_bytes());
            }
            TcpOption::Md5(digest) => {
                one.extend([19, 18]);
                one.extend(digest);
            }
            TcpOption::Other(kind, body) => {
                let length = u8::try_from(body.len() + 2).unwrap_or(u8::MAX);
                one.extend([*kind, length]);
                one.extend(body);
            }
        }
        if bytes.len() + one.len() <= 40 {
            bytes.extend(one);
        }
    }
    while !bytes.len().is_multiple_of(4) {
        bytes.push(1);
    }
    bytes
}
