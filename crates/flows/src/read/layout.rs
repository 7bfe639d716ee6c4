//! The order of fields on a line: from a header, from a definition, or the known one of a version.
//!
//! Fields: "Flow log records" of the Amazon VPC User Guide, "Transit Gateway Flow Log records", and "VPC" under "Log
//! fields" of Alibaba Cloud's Simple Log Service.

use super::{Records, Wanted};

/// Fields on one line; version 10 has 42.
pub const FIELD_COUNT_MAX: usize = 128;

/// What a field means for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Known or not, it has no column.
    Skip,
    Version,
    Account,
    Interface,
    Source,
    Destination,
    /// The address in the packet, which stands for the interface's where the line has only this one.
    PacketSource,
    PacketDestination,
    SourcePort,
    DestinationPort,
    Protocol,
    Packets,
    Bytes,
    Start,
    End,
    Action,
    Status,
    TcpFlags,
    Direction,
    /// AWS `reject-reason`.
    Reason,
    /// A Transit Gateway's count of packets it could not deliver, named by the number in `LOSSES`.
    Lost(u8),
}

/// Why a Transit Gateway lost packets, as its fields are called.
pub const LOSSES: [&str; 4] = [
    "packets-lost-no-route",
    "packets-lost-blackhole",
    "packets-lost-mtu-exceeded",
    "packets-lost-ttl-expired",
];

/// The fields of version 2, which are also the default format.
const VERSION_2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start \
                         end action log-status";
/// What these are.
const DEFAULT: [Field; DEFAULT_COUNT] = [
    Field::Version,
    Field::Account,
    Field::Interface,
    Field::Source,
    Field::Destination,
    Field::SourcePort,
    Field::DestinationPort,
    Field::Protocol,
    Field::Packets,
    Field::Bytes,
    Field::Start,
    Field::End,
    Field::Action,
    Field::Status,
];
/// Fields of the default format.
pub const DEFAULT_COUNT: usize = 14;
/// What later versions added, in the order of the documentation: version and fields.
const LATER: [(u64, &str); 7] = [
    (3, "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr"),
    (4, "region az-id sublocation-type sublocation-id"),
    (5, "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"),
    (
        7,
        "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id \
         ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id",
    ),
    (8, "reject-reason"),
    (9, "resource-id"),
    (10, "encryption-status"),
];
/// The default format of a Transit Gateway's flow log.
const TRANSIT_GATEWAY: &str = "version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id \
    tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni \
    tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start \
    end log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded \
    packets-lost-ttl-expired tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service";
/// The fields of an Aliyun VPC flow log, as its documentation lists them; `region` came later.
const ALIYUN: &str = "version vswitch-id vm-id vpc-id account-id eni-id srcaddr srcport dstaddr dstport protocol \
                      direction packets bytes start end log-status action";
/// Fields whose names only Aliyun's logs have.
const ALIYUN_OWN: [&str; 4] = ["vswitch-id", "vm-id", "eni-id", "direction"];
/// A line is a header when it has so many names of fields that mean something.
const HEADER_NAMES_MIN: usize = 2;
/// The longest name of a field, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Whose words the fields are, which decides what TCP flags tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Writes ACK only together with SYN, so that SYN-ACK means the answering side.
    AwsVpc,
    /// ORs the flags of all packets: SYN with ACK tells nothing.
    Other,
}

/// The order of fields and what to do with each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    fields: Vec<Field>,
    /// The wanted ones, with their place on the line; first those that tell whether the record is wanted.
    pub steps: Vec<(u16, Field)>,
    /// How many steps tell it.
    pub telling: usize,
    /// The records that are wanted, where it is not all of them.
    pub records: Option<Records>,
    pub writer: Writer,
    transit_gateway: bool,
    /// Whether this is the default format with every column wanted, which has a way of its own.
    pub is_default: bool,
    /// The byte between fields.
    pub separator: u8,
}

impl Layout {
    /// The default format of AWS.
    pub fn version_2(wanted: Wanted) -> Layout {
        Layout::new(DEFAULT.to_vec(), Writer::AwsVpc, b' ', wanted)
    }

    /// Reads a header line or a definition (`${version} ${account-id} …`); nothing where the line is neither.
    ///
    /// A name that is not known is a field to skip: later versions add fields.
    pub fn named(line: &str, wanted: Wanted) -> Option<Layout> {
        let line = line.trim();
        let separator =
            [b',', b'\t', b' '].into_iter().find(|byte| line.as_bytes().contains(byte)).unwrap_or(b' ');
        let words: Vec<&str> = line.split(separator as char).take(FIELD_COUNT_MAX + 1).map(bare).collect();
        let fields: Vec<Option<Field>> = words.iter().map(|word| field(word)).collect();
        let known = fields.iter().flatten().count();
        let is_header = known >= HEADER_NAMES_MIN.min(words.len()) && words.iter().all(|word| is_name(word));
        if !is_header || words.len() > FIELD_COUNT_MAX {
            return None;
        }
        let transit_gateway = words.iter().any(|word| word.starts_with("tgw-"));
        let aliyun = words.iter().any(|word| ALIYUN_OWN.contains(word));
        let writer = if transit_gateway || aliyun { Writer::Other } else { Writer::AwsVpc };
        let fields = fields.into_iter().map(|field| field.unwrap_or(Field::Skip)).collect();
        Some(Layout { transit_gateway, ..Layout::new(fields, writer, separator, wanted) })
    }

    /// The known order that a line without a header has: by its version and how many fields it has.
    pub fn guess(words: &[&[u8]], wanted: Wanted) -> Option<Layout> {
        // CloudWatch's exports put the time of the event before the line.
        let stamped = words.first().is_some_and(|word| is_timestamp(word));
        let own = &words[usize::from(stamped)..];
        let lead = if stamped { "timestamp " } else { "" };
        let version: u64 = std::str::from_utf8(own.first()?).ok()?.parse().ok()?;
        let known = orders().into_iter().find(|(versions, names)| {
            versions.contains(&version) && names.split_whitespace().count() == own.len()
        })?;
        Layout::named(&format!("{lead}{}", known.1), wanted)
    }

    fn new(mut fields: Vec<Field>, writer: Writer, separator: u8, wanted: Wanted) -> Layout {
        for (packet, own) in
            [(Field::PacketSource, Field::Source), (Field::PacketDestination, Field::Destination)]
        {
            let instead = if fields.contains(&own) { Field::Skip } else { own };
            fields.iter_mut().filter(|field| **field == packet).for_each(|field| *field = instead);
        }
        let is_default = fields == DEFAULT && wanted == Wanted::ALL && separator == b' ';
        let all = || (0u16..).zip(fields.iter().copied());
        let mut steps: Vec<_> = all().filter(|(_, field)| is_wanted(*field, wanted)).collect();
        if steps.is_empty() {
            // A line of which nothing is looked at could be anything, also another header.
            steps.extend(all().find(|(_, field)| *field != Field::Skip));
        }
        let records = wanted.records();
        let mut telling = 0;
        if let Some(asked) = records.map(|records| records.columns()) {
            steps.sort_by_key(|(_, field)| !is_wanted(*field, asked));
            telling = steps.iter().filter(|(_, field)| is_wanted(*field, asked)).count();
            if telling == 0 {
                telling = steps.len();
            }
        }
        Layout { steps, telling, records, fields, writer, separator, transit_gateway: false, is_default }
    }

    /// Whether the fields are those of a Transit Gateway.
    pub fn is_transit_gateway(&self) -> bool {
        self.transit_gateway
    }

    /// How many fields a line has.
    pub fn len(&self) -> usize {
        self.fields.len()
    }
}

/// The orders that lines without a header may have, with their versions.
fn orders() -> Vec<(std::ops::RangeInclusive<u64>, String)> {
    let mut names = VERSION_2.to_string();
    let mut all = vec![(2..=2, names.clone())];
    for (version, more) in LATER {
        names = format!("{names} {more}");
        all.push((version..=10, names.clone()));
    }
    all.push((6..=10, TRANSIT_GATEWAY.to_string()));
    all.push((1..=1, ALIYUN.to_string()));
    all
}

/// A word of a header without its quotes, `${}` and byte order mark.
fn bare(word: &str) -> &str {
    let word = word.trim().trim_start_matches('\u{feff}').trim_matches('"');
    word.strip_prefix("${").and_then(|word| word.strip_suffix('}')).unwrap_or(word)
}

/// Whether a word could be a field's name: no number, no address.
fn is_name(word: &str) -> bool {
    word.len() <= NAME_BYTES_MAX
        && word.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a word is a time as RFC 3339 writes it.
pub fn is_timestamp(word: &[u8]) -> bool {
    matches!(word, [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'-', .., b'Z'] if word.contains(&b'T'))
}

/// What a field's name means; nothing where it means nothing here.
pub fn field(name: &str) -> Option<Field> {
    let name = name.replace('_', "-");
    Some(match name.as_str() {
        "version" => Field::Version,
        "account-id" => Field::Account,
        "interface-id" | "eni-id" | "tgw-attachment-id" => Field::Interface,
        "srcaddr" => Field::Source,
        "dstaddr" => Field::Destination,
        "pkt-srcaddr" => Field::PacketSource,
        "pkt-dstaddr" => Field::PacketDestination,
        "srcport" => Field::SourcePort,
        "dstport" => Field::DestinationPort,
        "protocol" => Field::Protocol,
        "packets" => Field::Packets,
        "bytes" => Field::Bytes,
        "start" => Field::Start,
        "end" => Field::End,
        "action" => Field::Action,
        "log-status" => Field::Status,
        "tcp-flags" => Field::TcpFlags,
        "flow-direction" | "direction" => Field::Direction,
        "reject-reason" => Field::Reason,
        "timestamp" | "region" | "vpc-id" | "subnet-id" | "instance-id" | "type" | "resource-type" => {
            Field::Skip
        }
        name => Field::Lost(LOSSES.iter().position(|loss| *loss == name)? as u8),
    })
}

/// Whether a field is looked at: for a wanted column, or since a line is checked by it.
fn is_wanted(field: Field, wanted: Wanted) -> bool {
    wanted.has(match field {
        Field::Version | Field::Status => return true,
        Field::Skip | Field::PacketSource | Field::PacketDestination => return false,
        Field::Account => Wanted::ACCOUNT,
        Field::Interface => Wanted::INTERFACE,
        Field::Source => Wanted::SOURCE,
        Field::Destination => Wanted::DESTINATION,
        Field::SourcePort => Wanted::SOURCE_PORT,
        Field::DestinationPort => Wanted::DESTINATION_PORT,
        Field::Protocol => Wanted::PROTOCOL,
        Field::Packets => Wanted::PACKETS,
        Field::Bytes => Wanted::BYTES,
        Field::Start => Wanted::START,
        Field::End => Wanted::END,
        Field::Action => Wanted::ACTION,
        Field::TcpFlags => Wanted::TCP_FLAGS | Wanted::OPENER,
        Field::Direction => Wanted::DIRECTION,
        Field::Reason => Wanted::RULE,
        Field::Lost(_) => Wanted::RULE | Wanted::ACTION,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_told_from_a_record() {
        let all = Wanted::ALL;
        assert_eq!(Layout::named(VERSION_2, all).as_ref(), Some(&Layout::version_2(all)));
        assert!(
            Layout::named("2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1 2 ACCEPT OK", all).is_none()
        );
        assert!(Layout::named("eni-1 vpc-2 subnet-3", all).is_none());
        let odd = Layout::named("${dstport} ${a-field-of-tomorrow} ${srcaddr}", all).unwrap();
        assert_eq!(odd.steps, [(0, Field::DestinationPort), (2, Field::Source)]);
        assert_eq!(odd.len(), 3);
    }

    #[test]
    fn a_line_without_a_header_has_the_order_of_its_version() {
        for (version, order) in orders() {
            let count = order.split_whitespace().count();
            let mut words = vec![b"x".as_slice(); count];
            let number = version.end().to_string();
            words[0] = number.as_bytes();
            let guessed = Layout::guess(&words, Wanted::ALL).unwrap();
            assert_eq!(Some(&guessed), Layout::named(&order, Wanted::ALL).as_ref());
            words.insert(0, b"2024-01-01T00:00:00.000Z");
            assert_eq!(Layout::guess(&words, Wanted::ALL).unwrap().len(), count + 1);
        }
    }

    #[test]
    fn addresses_of_packets_stand_for_those_of_the_interface_only_alone() {
        let both = Layout::named("srcaddr pkt-srcaddr dstaddr", Wanted::ALL).unwrap();
        assert_eq!(both.steps, [(0, Field::Source), (2, Field::Destination)]);
        let alone = Layout::named("pkt-srcaddr pkt-dstaddr", Wanted::ALL).unwrap();
        assert_eq!(alone.steps, [(0, Field::Source), (1, Field::Destination)]);
    }
}
