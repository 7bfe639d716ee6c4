//! The chunked coding gives the same data however the network cut it up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_http::Chunks;

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = read([bytes].into_iter());
    let pieces = read(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces);
});

/// The data, whether it ended, and how many bytes were taken; None when the framing is broken.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<u8>, bool, usize)> {
    let (mut chunks, mut data, mut taken) = (Chunks::default(), Vec::new(), 0);
    for piece in pieces {
        taken += chunks.push(piece, |part| data.extend_from_slice(part)).ok()?;
    }
    Some((data, chunks.done(), taken))
}
