//! Paths without detours: `//`, `/./` and `/../` resolved.

/// The path without its detours; on Windows' terms backslashes are slashes.
pub fn normalize(value: &[u8], windows: bool) -> Vec<u8> {
    let value: Vec<u8> =
        value.iter().map(|byte| if windows && *byte == b'\\' { b'/' } else { *byte }).collect();
    if value.is_empty() {
        return value;
    }
    let rooted = value[0] == b'/';
    let pieces: Vec<&[u8]> = value.split(|byte| *byte == b'/').collect();
    let mut kept: Vec<&[u8]> = Vec::with_capacity(pieces.len());
    for piece in &pieces {
        match *piece {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            // Nothing is above the root.
            b".." if rooted => {}
            other => kept.push(other),
        }
    }
    let mut out = if rooted { b"/".to_vec() } else { Vec::new() };
    out.extend(kept.join(&b'/'));
    let open_end = matches!(pieces.last(), Some(&b"" | &b"." | &b".."));
    if open_end && !kept.is_empty() && kept.last() != Some(&&b".."[..]) {
        out.push(b'/');
    }
    out
}
