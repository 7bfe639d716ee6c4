//! Content codings undone within limits: gzip, deflate, br, zstd (RFC 9110, section 8.4).

use std::io::{self, ErrorKind, Read};

/// Most bytes a decoded body may grow to.
pub const DECODED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most codings applied one over the other.
const CODING_COUNT_MAX: usize = 4;
/// Largest window a zstd frame may ask for, in bytes (RFC 8878, section 3.1.1.1.2, recommends 8 MiB).
const ZSTD_WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How decoding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeEnd {
    Whole,
    /// The bytes begin as the coding says and end too soon.
    CutShort,
    /// The bytes are not of the coding their label names.
    Broken,
    /// It grew past [`DECODED_BYTES_MAX`]; the rest was not looked at.
    TooLarge,
    /// A coding netwhy does not know.
    UnknownCoding,
}

/// A decoded body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub bytes: Vec<u8>,
    pub end: DecodeEnd,
}

/// Undoes the codings of a `Content-Encoding` header, last one first.
pub fn decode(codings: &str, bytes: &[u8]) -> Decoded {
    let names: Vec<String> = codings
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    let mut decoded = Decoded { bytes: bytes.to_vec(), end: DecodeEnd::Whole };
    if names.len() > CODING_COUNT_MAX {
        decoded.end = DecodeEnd::UnknownCoding;
        return decoded;
    }
    for name in names.iter().rev() {
        decoded = undo(name, &decoded.bytes);
        if decoded.end != DecodeEnd::Whole {
            break;
        }
    }
    decoded
}

/// The coding the first bytes betray, whatever the label says; brotli has no such mark.
pub fn sniff(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, 0x08, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

fn undo(name: &str, bytes: &[u8]) -> Decoded {
    if bytes.is_empty() {
        return Decoded { bytes: Vec::new(), end: DecodeEnd::Whole };
    }
    match name {
        "gzip" | "x-gzip" => {
            let members = read_all(flate2::read::MultiGzDecoder::new(bytes));
            if members.end == DecodeEnd::Whole || members.end == DecodeEnd::TooLarge {
                return members;
            }
            // Padding after the first member is odd and harmless; clients take it.
            let first = read_all(flate2::read::GzDecoder::new(bytes));
            if first.end == DecodeEnd::Whole { first } else { members }
        }
        "deflate" => {
            let zlib = read_all(flate2::read::ZlibDecoder::new(bytes));
            // Some servers send raw deflate under this name; clients take both.
            if zlib.end == DecodeEnd::Broken {
                read_all(flate2::read::DeflateDecoder::new(bytes))
            } else {
                zlib
            }
        }
        "br" => read_all(brotli_decompressor::Decompressor::new(bytes, 4096)),
        "zstd" => {
            match ruzstd::decoding::StreamingDecoder::new_with_max_window_size(bytes, ZSTD_WINDOW_BYTES_MAX) {
                Ok(decoder) => read_all(decoder),
                Err(_) => Decoded { bytes: Vec::new(), end: DecodeEnd::Broken },
            }
        }
        _ => Decoded { bytes: bytes.to_vec(), end: DecodeEnd::UnknownCoding },
    }
}

fn read_all(reader: impl Read) -> Decoded {
    let mut bytes = Vec::new();
    let end = match reader.take(DECODED_BYTES_MAX + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > DECODED_BYTES_MAX => DecodeEnd::TooLarge,
        Ok(_) => DecodeEnd::Whole,
        Err(error) if cut_short(&error) => DecodeEnd::CutShort,
        Err(_) => DecodeEnd::Broken,
    };
    Decoded { bytes, end }
}

fn cut_short(error: &io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_whole_cut_and_mislabelled() {
        let page = "netwhy ".repeat(500);
        let bytes = gzipped(page.as_bytes());
        assert_eq!(decode("gzip", &bytes).bytes, page.as_bytes());
        assert_eq!(decode("gzip", &bytes[..bytes.len() / 2]).end, DecodeEnd::CutShort);
        assert_eq!(decode("gzip", page.as_bytes()).end, DecodeEnd::Broken);
        assert_eq!(decode("br", page.as_bytes()).end, DecodeEnd::Broken);
        assert_eq!(decode("zstd", page.as_bytes()).end, DecodeEnd::Broken);
        assert_eq!(decode("gzip, gzip", &gzipped(&bytes)).bytes, page.as_bytes());
        assert_eq!(decode("gzip", &[bytes.as_slice(), b"\0\0pad"].concat()).end, DecodeEnd::Whole);
        assert_eq!(decode("odd", &bytes).end, DecodeEnd::UnknownCoding);
        assert_eq!((sniff(&bytes), sniff(b"<html>")), (Some("gzip"), None));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = gzipped(&vec![0; 40 * 1024 * 1024]);
        let decoded = decode("gzip", &bomb);
        assert_eq!(decoded.end, DecodeEnd::TooLarge);
        assert!(decoded.bytes.len() as u64 <= DECODED_BYTES_MAX + 1);
    }

    proptest! {
        #[test]
        fn never_panics(coding in "(gzip|deflate|br|zstd)", bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&coding, &bytes);
            let mut framed = vec![0x28, 0xb5, 0x2f, 0xfd];
            framed.extend_from_slice(&bytes);
            let _ = decode("zstd", &framed);
        }
    }
}
