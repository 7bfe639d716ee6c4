//! What an input is, from its name and its first bytes.

use super::gzip;
use super::json::Cutter;
use super::layout::{Layout, Writer};
use super::wanted::Wanted;

/// How an input is written. Gzip is no format: it may lie around each of the text ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// AWS VPC or Transit Gateway flow logs, one line a record.
    AwsText,
    /// The same lines as messages of CloudWatch's JSON.
    AwsJson,
    /// Azure NSG flow logs (versions 1 and 2) and virtual network flow logs.
    AzureJson,
    /// GCP VPC flow logs as Cloud Logging entries.
    GcpJson,
    /// Aliyun VPC flow logs as JSON objects of SLS.
    AliyunJson,
    /// Aliyun VPC flow logs as lines with a header: comma or space between the fields.
    AliyunText,
    /// Read by `lake`.
    Parquet,
    /// Read by `capture`.
    Pcap,
    /// Read by `capture`.
    Pcapng,
}

impl Format {
    pub fn is_json(self) -> bool {
        matches!(self, Format::AwsJson | Format::AzureJson | Format::GcpJson | Format::AliyunJson)
    }

    pub fn is_text(self) -> bool {
        matches!(self, Format::AwsText | Format::AliyunText)
    }
}

/// How much of an input is looked at, unpacked.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Lines that are tried: the first ones may be empty or broken.
const LINE_COUNT_MAX: usize = 20;
/// Words of the shortest line that is taken for a record of unknown order.
const WORD_COUNT_MIN: usize = 5;

/// Finds out what an input is; `head` may be packed, a few KiB of it suffice. The name is asked only where bytes do not tell.
pub fn sniff(name: &str, head: &[u8]) -> Option<Format> {
    if head.starts_with(&gzip::MAGIC) {
        return text_format(&gzip::peek(head, HEAD_BYTES_MAX));
    }
    match head {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => Some(Format::Pcapng),
        [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] => Some(Format::Pcap),
        [0xa1, 0xb2, 0xc3, 0xd4, ..] | [0xa1, 0xb2, 0x3c, 0x4d, ..] => Some(Format::Pcap),
        // S3 and CloudWatch name the objects of flow logs; a custom format without a header tells nothing else.
        _ => text_format(head).or_else(|| name.contains("_vpcflowlogs_").then_some(Format::AwsText)),
    }
}

fn text_format(head: &[u8]) -> Option<Format> {
    let head = without_mark(head);
    match head.trim_ascii_start() {
        [b'{' | b'[', ..] => json_format(head),
        _ => lines(head).find_map(line_format),
    }
}

/// Finds the order of fields at the beginning of an input.
pub fn first_layout(head: &[u8], wanted: Wanted) -> Option<Layout> {
    lines(without_mark(head)).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        Layout::named(line, wanted).or_else(|| Layout::guess(&words(line), wanted))
    })
}

/// Whether each line is one object, so that a broken line harms no other.
pub fn is_object_a_line(head: &[u8]) -> bool {
    let head = without_mark(head).trim_ascii_start();
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else { return false };
    let (line, mut objects) = (head[..end].trim_ascii_end(), Vec::new());
    Cutter::default().cut(line, 0, line.len(), false, &mut objects);
    objects == [(0, line.len() as u32)]
}

fn line_format(line: &[u8]) -> Option<Format> {
    let line = std::str::from_utf8(line).ok()?;
    let of = |layout: Layout| match layout.writer {
        Writer::Other if !layout.is_transit_gateway() => Format::AliyunText,
        _ => Format::AwsText,
    };
    let words = words(line);
    let layout = Layout::named(line, Wanted::ALL).or_else(|| Layout::guess(&words, Wanted::ALL));
    layout.map(of).or_else(|| is_record_of_unknown_order(&words).then_some(Format::AwsText))
}

fn is_record_of_unknown_order(words: &[&[u8]]) -> bool {
    let any = |some: &[&[u8]]| words.iter().any(|word| some.contains(word));
    words.len() >= WORD_COUNT_MIN
        && any(&[b"OK", b"NODATA", b"SKIPDATA"])
        && any(&[b"ACCEPT", b"REJECT", b"-", b"ingress", b"egress"])
}

fn json_format(head: &[u8]) -> Option<Format> {
    let has = |word: &str| head.windows(word.len()).any(|window| window == word.as_bytes());
    if has("\"flowTuples\"") || has("\"NetworkSecurityGroupFlowEvent\"") || has("\"FlowLogFlowEvent\"") {
        return Some(Format::AzureJson);
    }
    if (has("\"jsonPayload\"") || has("\"json_payload\"")) && has("\"connection\"") {
        return Some(Format::GcpJson);
    }
    if has("\"srcaddr\"") && has("\"dstaddr\"") {
        return Some(Format::AliyunJson);
    }
    let message = message(head)?;
    line_format(message).filter(|format| *format == Format::AwsText).map(|_| Format::AwsJson)
}

/// The text of the first member called `message`.
pub fn message(head: &[u8]) -> Option<&[u8]> {
    let key = b"message\"";
    let at = head.windows(key.len()).position(|window| window == key)? + key.len();
    let rest = head[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    Some(&rest[..rest.iter().position(|byte| *byte == b'"')?])
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(LINE_COUNT_MAX)
}

fn words(line: &str) -> Vec<&[u8]> {
    line.trim().split(' ').map(str::as_bytes).collect()
}

/// The text without a byte order mark.
pub fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        for (format, head) in [
            (Some(Format::AwsText), "2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK\n"),
            (Some(Format::AwsText), "\u{feff}version srcaddr\r\n"),
            (Some(Format::AwsText), "\nbroken line\naccount-id action end srcaddr dstaddr\n"),
            (Some(Format::AwsText), "resource-type tgw-id tgw-attachment-id srcaddr dstaddr\n"),
            (Some(Format::AwsText), "10.0.0.1 10.0.0.2 ACCEPT OK 7\n"),
            (
                Some(Format::AwsJson),
                r#"{"events":[{"timestamp":1,"message":"2 1 eni-1 - - - - - - - 1 2 - NODATA"}]}"#,
            ),
            (Some(Format::AzureJson), r#"{"records":[{"category":"FlowLogFlowEvent"}]}"#),
            (Some(Format::GcpJson), r#"{"insertId":"1","jsonPayload":{"connection":{}}}"#),
            (Some(Format::AliyunJson), r#"{"__topic__":"flow_log","srcaddr":"1.2.3.4","dstaddr":"-"}"#),
            (Some(Format::AliyunText), "version,vswitch-id,vm-id,srcaddr,dstaddr\n"),
            (Some(Format::Parquet), "PAR1\u{15}"),
            (None, r#"{"message":"Failed password for root","host":"a"}"#),
            (None, "Jan  1 00:00:00 host sshd[1]: Failed password for root from 10.0.0.1 port 22 ssh2\n"),
            (None, "192.0.2.1 - - [01/Jan/2024:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n"),
            (None, ""),
        ] {
            assert_eq!(sniff("x.log", head.as_bytes()), format, "{head}");
        }
    }
}
