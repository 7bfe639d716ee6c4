//! Answers out of zone files, as an authoritative server gives them (RFC 1034 section 4.3.2).

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::txt::Parser;
use std::io;

/// CNAMEs followed inside the server's own zones.
const ALIASES_COUNT_MAX: usize = 16;

/// One zone: its name and every record in it.
#[derive(Debug, Clone)]
pub struct Zone {
    origin: Name,
    records: Vec<Record>,
}

impl Zone {
    /// Reads a master file.
    pub fn parse(origin: &str, text: &str) -> io::Result<Zone> {
        let origin = name(origin)?;
        let (_, sets) =
            Parser::new(text.to_owned(), None, Some(origin.clone())).parse().map_err(io::Error::other)?;
        let records = sets.values().flat_map(|set| set.records_with_rrsigs().cloned()).collect();
        Ok(Zone { origin, records })
    }

    fn of(&self, owner: &Name, kind: RecordType) -> Vec<Record> {
        self.records
            .iter()
            .filter(|record| record.name == *owner && record.record_type() == kind)
            .cloned()
            .collect()
    }

    /// The name servers of a child zone that holds `owner`, if there is one.
    fn cut(&self, owner: &Name) -> Option<Vec<Record>> {
        let depth = |name: &Name| usize::from(name.num_labels());
        (depth(&self.origin) + 1..=depth(owner))
            .map(|labels| self.of(&owner.trim_to(labels), RecordType::NS))
            .find(|servers| !servers.is_empty())
    }

    fn exists(&self, owner: &Name) -> bool {
        self.records.iter().any(|record| owner.zone_of(&record.name))
    }
}

/// A name that ends at the root, whether or not the text ends with a dot.
pub fn name(text: &str) -> io::Result<Name> {
    let mut name = Name::from_utf8(text).map_err(io::Error::other)?;
    name.set_fqdn(true);
    Ok(name)
}

/// Fills in a response; `false` when none of the zones is in charge of the name.
pub fn answer(zones: &[Zone], query: &Query, response: &mut Message) -> bool {
    let mut owner = query.name().clone();
    for _ in 0..ALIASES_COUNT_MAX {
        let Some(zone) = in_charge(zones, &owner) else { return !response.answers.is_empty() };
        response.metadata.authoritative = true;
        if let Some(servers) = zone.cut(&owner).filter(|_| query.query_type() != RecordType::DS) {
            refer(zones, servers, response);
            return true;
        }
        let source = if zone.exists(&owner) { owner.clone() } else { wildcard(zone, &owner) };
        let rename = |mut record: Record| {
            record.name = owner.clone();
            record
        };
        let found = zone.of(&source, query.query_type());
        let signatures =
            |kind| zone.of(&source, RecordType::RRSIG).into_iter().filter(move |record| covers(record, kind));
        if !found.is_empty() {
            response.add_answers(found.into_iter().map(rename));
            response.add_answers(signatures(query.query_type()).map(rename));
            return true;
        }
        match zone.of(&source, RecordType::CNAME).pop() {
            Some(alias) => {
                let RData::CNAME(target) = alias.data.clone() else { return true };
                response.add_answer(rename(alias));
                response.add_answers(signatures(RecordType::CNAME).map(rename));
                owner = target.0;
            }
            None => {
                deny(zone, zone.exists(&source), response);
                return true;
            }
        }
    }
    true
}

fn covers(record: &Record, kind: RecordType) -> bool {
    matches!(&record.data, RData::DNSSEC(hickory_proto::dnssec::rdata::DNSSECRData::RRSIG(signature))
        if signature.input().type_covered == kind)
}

fn in_charge<'a>(zones: &'a [Zone], owner: &Name) -> Option<&'a Zone> {
    zones.iter().filter(|zone| zone.origin.zone_of(owner)).max_by_key(|zone| zone.origin.num_labels())
}

fn wildcard(zone: &Zone, owner: &Name) -> Name {
    let mut parent = owner.base_name();
    while !parent.is_root() && !zone.exists(&parent) {
        parent = parent.base_name();
    }
    parent.prepend_label("*").unwrap_or_else(|_| owner.clone())
}

fn refer(zones: &[Zone], servers: Vec<Record>, response: &mut Message) {
    if response.answers.is_empty() {
        response.metadata.authoritative = false;
    }
    for server in &servers {
        let RData::NS(target) = &server.data else { continue };
        for zone in zones {
            for kind in [RecordType::A, RecordType::AAAA] {
                response.add_additionals(zone.of(&target.0, kind));
            }
        }
    }
    response.add_authorities(servers);
}

fn deny(zone: &Zone, exists: bool, response: &mut Message) {
    if !exists {
        response.metadata.response_code = ResponseCode::NXDomain;
    }
    response.add_authorities(zone.of(&zone.origin, RecordType::SOA));
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::OpCode;

    const ZONE: &str = "
@ 300 IN SOA ns1 hostmaster 1 3600 600 86400 60
@ 300 IN NS ns1
ns1 300 IN A 10.61.53.11
www 300 IN A 10.61.80.80
alias 300 IN CNAME www
a.deep 300 IN A 10.61.80.81
*.wild 300 IN A 10.61.80.82
child 300 IN NS ns.child
ns.child 300 IN A 10.61.53.12
";

    fn ask(text: &str, kind: RecordType) -> Message {
        let zones = [Zone::parse("example.test", ZONE).unwrap()];
        let mut response = Message::response(1, OpCode::Query);
        let known = answer(&zones, &Query::query(name(text).unwrap(), kind), &mut response);
        if !known {
            response.metadata.response_code = ResponseCode::Refused;
        }
        response
    }

    #[test]
    fn answers_as_an_authority_does() {
        assert_eq!(ask("www.example.test", RecordType::A).answers.len(), 1);
        assert_eq!(ask("alias.example.test", RecordType::A).answers.len(), 2);
        assert_eq!(ask("x.wild.example.test", RecordType::A).answers.len(), 1);
        let nodata = ask("www.example.test", RecordType::AAAA);
        assert_eq!((nodata.answers.len(), nodata.authorities.len()), (0, 1));
        assert_eq!(nodata.metadata.response_code, ResponseCode::NoError);
        assert_eq!(ask("deep.example.test", RecordType::A).metadata.response_code, ResponseCode::NoError);
        assert_eq!(ask("no.example.test", RecordType::A).metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(ask("www.other.test", RecordType::A).metadata.response_code, ResponseCode::Refused);
    }

    #[test]
    fn refers_to_a_child_zone_with_glue() {
        let referral = ask("www.child.example.test", RecordType::A);
        assert!(!referral.metadata.authoritative);
        assert_eq!((referral.authorities.len(), referral.additionals.len()), (1, 1));
    }
}
