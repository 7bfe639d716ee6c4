//! DNS messages: building a question, and reading a reply as far as it can be read.

use crate::report::{ExtendedError, RecordLine, Reply};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr;

/// UDP payload size offered with EDNS: what crosses every path unfragmented (DNS flag day 2020).
pub const EDNS_BYTES: u16 = 1232;
/// Records kept per section of a reply.
pub const RECORDS_COUNT_MAX: usize = 400;
/// Longest presentation form kept of one record's data, in bytes.
const DATA_BYTES_MAX: usize = 1_024;
/// The longest answer of the loop over CNAMEs.
const CHAIN_COUNT_MAX: usize = 40;

/// What to ask, and with which header bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    pub recursion: bool,
    /// Checking disabled: do not validate for us.
    pub checking_disabled: bool,
    pub edns: bool,
    /// DNSSEC OK: send the signatures; needs EDNS.
    pub dnssec: bool,
    /// Class CHAOS, for what a server says of itself.
    pub chaos: bool,
}

impl Flags {
    /// A stub's own question: recursion, no EDNS, as glibc asks by default.
    pub const STUB: Flags =
        Flags { recursion: true, checking_disabled: false, edns: false, dnssec: false, chaos: false };
    /// To a resolver, with EDNS so that it may explain itself.
    pub const EDNS: Flags = Flags { edns: true, ..Flags::STUB };
    /// To an authoritative server.
    pub const DIRECT: Flags = Flags { recursion: false, edns: true, ..Flags::STUB };
    /// To an authoritative server, signatures wanted.
    pub const DIRECT_DNSSEC: Flags = Flags { dnssec: true, ..Flags::DIRECT };
    /// To a resolver, unvalidated, signatures wanted.
    pub const UNCHECKED: Flags = Flags { checking_disabled: true, edns: true, dnssec: true, ..Flags::STUB };
}

/// Reads a name for a question; always absolute.
pub fn parse_name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// Reads a record type such as `AAAA`, or `TYPE65`.
pub fn parse_kind(text: &str) -> Option<RecordType> {
    let upper = text.to_ascii_uppercase();
    if let Some(number) = upper.strip_prefix("TYPE") {
        return number.parse::<u16>().ok().map(RecordType::from);
    }
    RecordType::from_str(&upper).ok()
}

/// Builds a question; None when the name has no wire form. The identifier is random.
pub fn question(name: &str, kind: RecordType, flags: Flags) -> Option<(u16, Vec<u8>)> {
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = flags.recursion;
    message.metadata.checking_disabled = flags.checking_disabled;
    let mut query = Query::query(parse_name(name)?, kind);
    if flags.chaos {
        query.set_query_class(DNSClass::CH);
    }
    message.add_query(query);
    if flags.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EDNS_BYTES);
        edns.set_dnssec_ok(flags.dnssec);
        message.set_edns(edns);
    }
    Some((message.metadata.id, message.to_vec().ok()?))
}

/// A reply with its records in typed form, for validation.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub reply: Reply,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additionals: Vec<Record>,
}

/// True when the bytes are a response to the question with this identifier and name.
///
/// The question section is compared when there is one; servers leave it out of some errors.
pub fn answers_to(bytes: &[u8], id: u16, name: &str, kind: RecordType) -> bool {
    let header = bytes.len() >= 12 && bytes[..2] == id.to_be_bytes() && bytes[2] & 0x80 != 0;
    if !header || (bytes[4], bytes[5]) == (0, 0) {
        return header;
    }
    let mut decoder = BinDecoder::new(bytes);
    let skipped = decoder.read_slice(12).is_ok();
    let query = Query::read(&mut decoder);
    let wanted = parse_name(name);
    skipped && query.is_ok_and(|q| q.query_type() == kind && Some(q.name()) == wanted.as_ref())
}

/// Reads a reply. Hostile bytes give what could be read, never a panic; None below a header's 12 bytes.
pub fn read_reply(bytes: &[u8]) -> Option<Decoded> {
    if bytes.len() < 12 {
        return None;
    }
    let bit = |byte: usize, mask: u8| bytes[byte] & mask != 0;
    let mut reply = Reply {
        rcode: u16::from(bytes[3] & 0x0f),
        authoritative: bit(2, 0x04),
        truncated: bit(2, 0x02),
        recursion_available: bit(3, 0x80),
        authentic_data: bit(3, 0x20),
        size_bytes: bytes.len(),
        ..Reply::default()
    };
    let Ok(message) = Message::from_vec(bytes) else { return Some(partly(bytes, reply)) };
    if message.metadata.message_type != MessageType::Response {
        return Some(Decoded { reply, answers: vec![], authorities: vec![], additionals: vec![] });
    }
    reply.readable = true;
    reply.rcode = u16::from(message.metadata.response_code);
    if let Some(edns) = &message.edns {
        reply.edns_bytes = Some(edns.max_payload());
        reply.extended_errors = extended_errors(edns);
    }
    Some(filled(reply, message.answers, message.authorities, message.additionals))
}

/// Section by section, until the first record that does not decode.
fn partly(bytes: &[u8], reply: Reply) -> Decoded {
    let count = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let mut decoder = BinDecoder::new(bytes);
    let mut sections: [Vec<Record>; 3] = Default::default();
    let mut sound = decoder.read_slice(12).is_ok();
    for _ in 0..count(4).min(RECORDS_COUNT_MAX) {
        sound = sound && Query::read(&mut decoder).is_ok();
    }
    for (section, records) in sections.iter_mut().enumerate() {
        for _ in 0..count(6 + 2 * section).min(RECORDS_COUNT_MAX) {
            match Record::read(&mut decoder) {
                Ok(record) if sound => records.push(record),
                _ => sound = false,
            }
            if !sound {
                break;
            }
        }
    }
    let [answers, authorities, additionals] = sections;
    filled(reply, answers, authorities, additionals)
}

fn filled(
    mut reply: Reply,
    answers: Vec<Record>,
    authorities: Vec<Record>,
    additionals: Vec<Record>,
) -> Decoded {
    let lines = |records: &[Record]| records.iter().take(RECORDS_COUNT_MAX).map(line).collect();
    reply.answers = lines(&answers);
    reply.authorities = lines(&authorities);
    reply.additionals = lines(&additionals);
    Decoded { reply, answers, authorities, additionals }
}

/// One record in presentation form.
pub fn line(record: &Record) -> RecordLine {
    let data = match &record.data {
        // hickory prints names absolute; the report writes them as users do.
        RData::CNAME(name) => plain(&name.0),
        RData::NS(name) => plain(&name.0),
        RData::PTR(name) => plain(&name.0),
        RData::TXT(text) => text_data(&text.txt_data),
        other => shown(other),
    };
    let mut data: String = data.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if data.len() > DATA_BYTES_MAX {
        let end = (0..=DATA_BYTES_MAX).rev().find(|at| data.is_char_boundary(*at)).unwrap_or(0);
        data.truncate(end);
        data.push('…');
    }
    let kind = record.record_type().to_string();
    RecordLine { name: plain(&record.name), kind, ttl: record.ttl, data }
}

/// What hickory can write of it: it refuses names with odd bytes (`a+b.test` in an SOA), and `to_string` would panic.
fn shown(data: &RData) -> String {
    let mut text = String::new();
    if write!(text, "{data}").is_err() {
        text.push('…');
    }
    text
}

fn text_data(parts: &[Box<[u8]>]) -> String {
    let quoted = parts.iter().map(|part| format!("\"{}\"", part.escape_ascii()));
    quoted.collect::<Vec<_>>().join(" ")
}

/// A name in lower case without its final dot; the root is `.`.
pub fn plain(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    match text.strip_suffix('.') {
        Some("") | None if text == "." => text,
        Some(stripped) => stripped.to_owned(),
        None => text,
    }
}

fn extended_errors(edns: &Edns) -> Vec<ExtendedError> {
    let options = edns.options().get_all(EdnsCode::Unknown(15));
    options
        .iter()
        .filter_map(|option| match option {
            EdnsOption::Unknown(15, data) if data.len() >= 2 => Some(extended_error(data)),
            _ => None,
        })
        .take(8)
        .collect()
}

fn extended_error(data: &[u8]) -> ExtendedError {
    let code = u16::from_be_bytes([data[0], data[1]]);
    let text: String =
        String::from_utf8_lossy(&data[2..]).chars().filter(|c| !c.is_control()).take(200).collect();
    ExtendedError { code, name: extended_name(code).to_owned(), text }
}

/// The registered name of an extended error code (IANA, RFC 8914 section 4 and later).
pub fn extended_name(code: u16) -> &'static str {
    const NAMES: [&str; 31] = [
        "other error",
        "unsupported DNSKEY algorithm",
        "unsupported DS digest type",
        "stale answer",
        "forged answer",
        "DNSSEC indeterminate",
        "DNSSEC bogus",
        "signature expired",
        "signature not yet valid",
        "DNSKEY missing",
        "RRSIGs missing",
        "no zone key bit set",
        "NSEC missing",
        "cached error",
        "not ready",
        "blocked",
        "censored",
        "filtered",
        "prohibited",
        "stale NXDOMAIN answer",
        "not authoritative",
        "not supported",
        "no reachable authority",
        "network error",
        "invalid data",
        "signature expired before valid",
        "too early",
        "unsupported NSEC3 iterations value",
        "unable to conform to policy",
        "synthesized",
        "invalid query type",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("unassigned")
}

/// The name of a response code.
pub fn rcode_name(rcode: u16) -> &'static str {
    match rcode {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        16 => "BADVERS",
        _ => "RCODE?",
    }
}

impl Reply {
    /// Addresses the name gets, CNAMEs followed inside the answer, in the order given.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let chain = self.chain(name);
        let last = chain.last().cloned().unwrap_or_default();
        let owned = self.answers.iter().filter(|r| r.name == last && (r.kind == "A" || r.kind == "AAAA"));
        owned.filter_map(|r| r.data.parse().ok()).collect()
    }

    /// The CNAME chain inside the answer, from the name itself to the last target; a loop ends with
    /// the name that comes again.
    pub fn chain(&self, name: &str) -> Vec<String> {
        let mut chain = vec![name.trim_end_matches('.').to_ascii_lowercase()];
        for _ in 0..CHAIN_COUNT_MAX {
            let here = chain.last().cloned().unwrap_or_default();
            let next = self.answers.iter().find(|r| r.kind == "CNAME" && r.name == here);
            let Some(next) = next.map(|r| r.data.clone()) else { break };
            let again = chain.contains(&next);
            chain.push(next);
            if again {
                break;
            }
        }
        chain
    }

    /// The SOA of a negative answer.
    pub fn negative_soa(&self) -> Option<&RecordLine> {
        self.authorities.iter().find(|r| r.kind == "SOA")
    }

    /// The least TTL of the answer, in seconds.
    pub fn ttl_min(&self) -> Option<u32> {
        self.answers.iter().filter(|r| r.kind != "RRSIG").map(|r| r.ttl).min()
    }
}

/// True when a chain of names comes back to one of its own.
pub fn chain_loops(chain: &[String]) -> bool {
    chain.iter().enumerate().any(|(at, name)| chain[..at].contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::rr::rdata::{A, CNAME};
    use proptest::prelude::*;

    fn reply(records: Vec<Record>) -> Reply {
        let (id, bytes) = question("a.test", RecordType::A, Flags::EDNS).unwrap();
        let mut message = Message::from_vec(&bytes).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.add_answers(records);
        let bytes = message.to_vec().unwrap();
        assert!(answers_to(&bytes, id, "A.test.", RecordType::A));
        assert!(!answers_to(&bytes, id, "b.test", RecordType::A));
        read_reply(&bytes).unwrap().reply
    }

    fn cname(from: &str, to: &str) -> Record {
        Record::from_rdata(parse_name(from).unwrap(), 60, RData::CNAME(CNAME(parse_name(to).unwrap())))
    }

    #[test]
    fn follows_cnames_inside_the_answer() {
        let address = Record::from_rdata(parse_name("b.test").unwrap(), 30, RData::A(A::new(10, 0, 0, 1)));
        let reply = reply(vec![address, cname("a.test", "B.test")]);
        assert_eq!(reply.chain("a.test"), ["a.test", "b.test"]);
        assert_eq!(reply.addresses("a.test."), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(reply.ttl_min(), Some(30));
    }

    #[test]
    fn an_odd_name_in_an_soa_is_no_panic() {
        // Found by fuzzing: hickory's Display of an SOA fails for names with a `+`.
        let rdata = b"\x03a+b\x00\x04host\x00\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
        let mut bytes = b"\0\x07\x81\x83\0\0\0\0\0\x01\0\0\x04test\0\0\x06\0\x01\0\0\0\x3c\0".to_vec();
        bytes.push(u8::try_from(rdata.len()).unwrap());
        bytes.extend(rdata);
        let reply = read_reply(&bytes).unwrap().reply;
        assert_eq!((reply.authorities.len(), reply.rcode), (1, 3));
    }

    #[test]
    fn sees_a_loop() {
        let reply = reply(vec![cname("a.test", "b.test"), cname("b.test", "a.test")]);
        assert!(chain_loops(&reply.chain("a.test")));
    }

    #[test]
    fn extended_error_text_is_printable() {
        let error = extended_error(b"\x00\x07sig \x1b[31m");
        assert_eq!(
            (error.code, error.name.as_str(), error.text.as_str()),
            (7, "signature expired", "sig [31m")
        );
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = answers_to(&bytes, 1, "a.test", RecordType::A);
            let _ = read_reply(&bytes);
        }

        #[test]
        fn never_panics_on_a_damaged_reply(at in 0usize..200, value in any::<u8>(), cut in 0usize..200) {
            let (_, bytes) = question("a.test", RecordType::A, Flags::EDNS).unwrap();
            let mut message = Message::from_vec(&bytes).unwrap();
            message.metadata.message_type = MessageType::Response;
            message.add_answers(vec![cname("a.test", "b.test"), cname("b.test", "a.test")]);
            let mut bytes = message.to_vec().unwrap();
            let len = bytes.len();
            bytes[at % len] = value;
            bytes.truncate(len - cut % len);
            if let Some(decoded) = read_reply(&bytes) {
                let _ = (decoded.reply.addresses("a.test"), decoded.reply.chain("a.test"));
            }
        }
    }
}
