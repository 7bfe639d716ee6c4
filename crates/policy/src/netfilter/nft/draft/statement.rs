//! Statements that are neither a match nor a translation.

use super::{Draft, Outcome, Why, value};
use crate::netfilter::ast::{Limit, Part, TableFamily, Verdict};
use crate::netfilter::nft::expression::Expression;
use crate::netfilter::nft::kind::Kind;
use std::collections::HashMap;

/// How a rule that names an object of its table is kept until all of the file is read.
const BY_NAME: &str = " name ";
/// Units of a rate, in seconds.
const RATE_UNITS_S: [(&str, u64); 5] =
    [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400), ("week", 604_800)];
/// Packets that may come at once when nothing else is said.
const BURST_PACKETS: u64 = 5;

impl Draft<'_> {
    /// Adds `reject`, as written: `tcp reset`, `icmp`, `icmpv6` or `icmpx` with a code, or nothing.
    pub fn reject(&mut self, kind: &str, code: Option<&Expression>) -> Outcome {
        let by_family = match self.family {
            TableFamily::Ip => "icmp",
            TableFamily::Ip6 => "icmpv6",
            _ => "icmpx",
        };
        let (kind, codes) = match kind {
            "tcp" | "tcp reset" => {
                self.require_transport(6);
                self.parts.push(Part::Verdict(Verdict::Reject("tcp reset".to_owned())));
                return Ok(());
            }
            "" => (by_family, Kind::IcmpxCode),
            "icmp" => ("icmp", Kind::IcmpCode),
            "icmpv6" => ("icmpv6", Kind::Icmp6Code),
            "icmpx" => ("icmpx", Kind::IcmpxCode),
            _ => return Err(Why("such a rejection is not known", "未知的拒绝方式")),
        };
        match kind {
            "icmp" => self.require_family(4),
            "icmpv6" => self.require_family(6),
            _ => {}
        }
        let code = match code {
            None => "port-unreachable".to_owned(),
            Some(code) => {
                let number = value::number(code, codes, 8)?;
                codes.name_of(number).map_or_else(|| number.to_string(), str::to_owned)
            }
        };
        self.parts.push(Part::Verdict(Verdict::Reject(format!("{kind} {code}"))));
        Ok(())
    }

    /// Adds an extension of iptables, by its name.
    pub fn foreign(&mut self, name: &str) -> Outcome {
        match name {
            "comment" => Ok(()),
            "LOG" | "NFLOG" => {
                self.parts.push(Part::Aside);
                Ok(())
            }
            _ => Err(Why("an extension of iptables whose options nft does not tell", "iptables 扩展，nft 不显示其选项")),
        }
    }

    /// Adds the use of an object by its name; what it holds follows once the whole file is read.
    pub fn object(&mut self, kind: &str, name: &str) {
        let text = format!("{kind}{BY_NAME}{name}");
        let why = Why("it names an object that this file does not have", "引用了文件中不存在的对象");
        self.parts.push(Part::Unknown { text, why: crate::place::both(why.0, why.1) });
    }
}

/// The part that a named object stands for.
pub(in crate::netfilter::nft) fn resolve_object(part: &mut Part, objects: &HashMap<String, Part>) {
    if let Part::Unknown { text, .. } = part
        && text.contains(BY_NAME)
        && let Some(object) = objects.get(text.as_str())
    {
        *part = object.clone();
    }
}

/// The name under which an object is found again.
pub(in crate::netfilter::nft) fn object_name(kind: &str, name: &str) -> String {
    format!("{kind}{BY_NAME}{name}")
}

/// A rate as written: `10/second`, `1 mbytes/minute`.
pub(in crate::netfilter::nft) struct Rate<'a> {
    pub count: u64,
    /// `bytes`, `kbytes`, `mbytes`, or nothing for packets.
    pub unit: &'a str,
    pub per: &'a str,
    pub burst: Option<(u64, &'a str)>,
    pub over: bool,
}

impl Rate<'_> {
    pub fn limit(&self) -> Outcome<Limit> {
        let per_s = RATE_UNITS_S.iter().find(|(name, _)| *name == self.per);
        let (_, per_s) = per_s.ok_or(Why("such a unit of time is not known", "未知的时间单位"))?;
        let packets = matches!(self.unit, "" | "packets");
        let burst = match self.burst {
            Some((count, unit)) => count.saturating_mul(bytes_in(unit).unwrap_or(1)),
            None if packets => BURST_PACKETS,
            None => 0,
        };
        Ok(Limit {
            rate: self.count.saturating_mul(if packets { 1 } else { bytes_of(self.unit)? }),
            per_s: *per_s,
            burst,
            bytes: !packets,
            over: self.over,
            keyed: false,
        })
    }
}

fn bytes_in(unit: &str) -> Option<u64> {
    match unit {
        "bytes" => Some(1),
        "kbytes" => Some(1 << 10),
        "mbytes" => Some(1 << 20),
        "gbytes" => Some(1 << 30),
        _ => None,
    }
}

/// How many bytes a unit has.
pub(in crate::netfilter::nft) fn bytes_of(unit: &str) -> Outcome<u64> {
    bytes_in(unit).ok_or(Why("such a unit of bytes is not known", "未知的字节单位"))
}
