//! Any hello we build is one whole record whose lengths are true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_tls::hello::{Hello, Preface};

fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<5>() else { return };
    let (name, alpn) = rest.split_at(rest.len().min(usize::from(head[0])));
    let name = std::str::from_utf8(name).ok();
    let version = 0x0300 + u16::from(head[1] % 5);
    let hello = match head[2] % 4 {
        0 => Hello::wide(name),
        1 => Hello::only(version, name),
        2 => Hello::limited(version, name),
        _ => Hello::post_quantum(name),
    };
    let alpn = alpn.chunks(8).take(8).map(<[u8]>::to_vec).collect();
    let size_min = Some(usize::from(u16::from_be_bytes([head[3], head[4]])));
    let written = Hello { alpn, size_min, preface: Preface::None, ..hello }.bytes([head[0]; 32]);
    let length = |at: usize| usize::from(u16::from_be_bytes([written[at], written[at + 1]]));
    assert_eq!(written[0], 22);
    assert_eq!((length(3), length(7)), (written.len() - 5, written.len() - 9));
});
