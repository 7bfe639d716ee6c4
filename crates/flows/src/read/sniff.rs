//! What an input is, from its name and its first bytes.

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

/// Finds out what an input is; `head` may be packed, a few KiB of it suffice.
pub fn sniff(_name: &str, head: &[u8]) -> Option<Format> {
    match head {
        [b'P', b'A', b'R', b'1', ..] => Some(Format::Parquet),
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => Some(Format::Pcapng),
        [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] => Some(Format::Pcap),
        [0xa1, 0xb2, 0xc3, 0xd4, ..] | [0xa1, 0xb2, 0x3c, 0x4d, ..] => Some(Format::Pcap),
        _ => None,
    }
}
