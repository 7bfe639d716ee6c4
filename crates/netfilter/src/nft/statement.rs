//! Statements of nf_tables rules as text: limits, logs, rejects, quotas and their like.

use super::symbol::{self, word};
use super::value::duration;
use crate::fields::Fields;
use netwhy_model::host::Match;

const INVERTED: u32 = 1;

/// A statement that may stand by itself or beside a set's element.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) kind: Option<Match>,
}

/// Reads a stateful expression; `None` when it is none of them.
pub(super) fn stateful(name: &str, fields: &Fields<'_>) -> Option<Statement> {
    let (text, kind) = match name {
        "limit" => (limit(fields), Some(Match::Rate)),
        "connlimit" => (connection_limit(fields), Some(Match::ConnectionCount)),
        "quota" => (quota(fields), Some(Match::Other)),
        "counter" => ("counter".to_owned(), None),
        "last" => (last(fields), None),
        _ => return None,
    };
    Some(Statement { text, kind })
}

fn over(flags: u32) -> &'static str {
    if flags & INVERTED != 0 { "over " } else { "" }
}

fn limit(fields: &Fields<'_>) -> String {
    const TYPE_BYTES: u32 = 1;
    const BURST_PACKETS: u32 = 5;
    let (rate, burst) = (fields.be64(1), fields.be32(3));
    let unit = match fields.be64(2) {
        1 => "second",
        60 => "minute",
        3600 => "hour",
        86_400 => "day",
        604_800 => "week",
        _ => "<unit>",
    };
    let over = over(fields.be32(5));
    if fields.be32(4) == TYPE_BYTES {
        let (amount, name) = data_unit(rate);
        let burst = match burst {
            0 => String::new(),
            burst => {
                let (amount, name) = data_unit(u64::from(burst));
                format!(" burst {amount} {name}")
            }
        };
        return format!("limit rate {over}{amount} {name}/{unit}{burst}");
    }
    // Five packets is what nft leaves unsaid.
    let burst =
        if matches!(burst, 0 | BURST_PACKETS) { String::new() } else { format!(" burst {burst} packets") };
    format!("limit rate {over}{rate}/{unit}{burst}")
}

/// The largest unit that leaves a whole number.
fn data_unit(bytes: u64) -> (u64, &'static str) {
    const UNITS: [&str; 3] = ["bytes", "kbytes", "mbytes"];
    let mut amount = bytes;
    let mut unit = 0;
    while amount != 0 && amount.is_multiple_of(1024) && unit + 1 < UNITS.len() {
        amount /= 1024;
        unit += 1;
    }
    (amount, UNITS.get(unit).copied().unwrap_or("bytes"))
}

fn connection_limit(fields: &Fields<'_>) -> String {
    format!("ct count {}{}", over(fields.be32(2)), fields.be32(1))
}

fn quota(fields: &Fields<'_>) -> String {
    let (amount, unit) = data_unit(fields.be64(1));
    let used = match fields.be64(4) {
        0 => String::new(),
        bytes => {
            let (amount, unit) = data_unit(bytes);
            format!(" used {amount} {unit}")
        }
    };
    format!("quota {}{amount} {unit}{used}", over(fields.be32(2)))
}

fn last(fields: &Fields<'_>) -> String {
    if fields.be32(1) == 0 {
        "last used never".into()
    } else {
        format!("last used {}", duration(fields.be64(2)))
    }
}

/// Writes a log statement (NFTA_LOG_*).
pub(super) fn log(fields: &Fields<'_>) -> String {
    const LEVEL_WARN: u32 = 4;
    let mut text = "log".to_owned();
    if fields.has(2) {
        text.push_str(&format!(" prefix \"{}\"", fields.text(2)));
    }
    if fields.has(1) {
        text.push_str(&format!(" group {}", fields.be16(1)));
        for (number, name) in [(3, "snaplen"), (4, "queue-threshold")] {
            let amount = if number == 3 { fields.be32(number) } else { u32::from(fields.be16(number)) };
            if amount != 0 {
                text.push_str(&format!(" {name} {amount}"));
            }
        }
    } else if fields.has(5) && fields.be32(5) != LEVEL_WARN {
        let level = fields.be32(5);
        text.push_str(&format!(" level {}", word(symbol::LOG_LEVEL, level).unwrap_or("<level>")));
    }
    text.push_str(&log_flags(fields.be32(6)));
    text
}

fn log_flags(flags: u32) -> String {
    const ALL: u32 = 0x2f;
    if flags & ALL == ALL {
        return " flags all".to_owned();
    }
    let tcp = [(1, "sequence"), (2, "options")];
    let tcp: Vec<&str> = tcp.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let mut text = String::new();
    if !tcp.is_empty() {
        text.push_str(&format!(" flags tcp {}", tcp.join(",")));
    }
    for (bit, name) in [(4, "ip options"), (8, "skuid"), (32, "ether")] {
        if flags & bit != 0 {
            text.push_str(&format!(" flags {name}"));
        }
    }
    text
}

/// How a reject answers: the text behind `reject`, and what the peer receives.
pub(super) struct Reject {
    pub(super) text: String,
    pub(super) answer: String,
}

/// Reads a reject (NFTA_REJECT_*) in a table of this family.
///
/// `is_ip6` is what the table or the rule says of the packet.
pub(super) fn reject(fields: &Fields<'_>, family: &str, is_ip6: Option<bool>) -> Reject {
    const TCP_RESET: u32 = 1;
    const ICMPX: u32 = 2;
    let code = u32::from(fields.byte(2));
    if fields.be32(1) == TCP_RESET {
        return Reject { text: "reject with tcp reset".into(), answer: "tcp-reset".into() };
    }
    if fields.be32(1) == ICMPX {
        const DEFAULT: u32 = 1;
        // nf_reject's own table: no route, port, host, prohibited (net/netfilter/nft_reject.c).
        let (v4, v6) = [(0, 0), (3, 4), (1, 3), (13, 1)].get(code as usize).copied().unwrap_or((3, 4));
        let name = word(symbol::ICMPX_CODE, code).map_or_else(|| code.to_string(), str::to_owned);
        let text = if code == DEFAULT { "reject".into() } else { format!("reject with icmpx {name}") };
        let answer = match is_ip6 {
            Some(false) => format!("icmp 3/{v4}"),
            Some(true) => format!("icmpv6 1/{v6}"),
            None => format!("icmp 3/{v4} or icmpv6 1/{v6}"),
        };
        return Reject { text, answer };
    }
    let (protocol, symbols, kind, default) = if is_ip6 == Some(true) {
        ("icmpv6", symbol::ICMP6_CODE, 1, 4)
    } else {
        ("icmp", symbol::ICMP_CODE, 3, 3)
    };
    let name = word(symbols, code).map_or_else(|| code.to_string(), str::to_owned);
    let unsaid = code == default && matches!(family, "ip" | "ip6");
    let text = if unsaid { "reject".into() } else { format!("reject with {protocol} {name}") };
    Reject { text, answer: format!("{protocol} {kind}/{code}") }
}

/// Writes a queue statement (NFTA_QUEUE_*); `from` is the register's text when the number is computed.
pub(super) fn queue(fields: &Fields<'_>, from: Option<String>) -> String {
    const FLAGS: [(u16, &str); 2] = [(1, "bypass"), (2, "fanout")];
    let flags: Vec<&str> =
        FLAGS.iter().filter(|(bit, _)| fields.be16(3) & bit != 0).map(|(_, name)| *name).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" flags {}", flags.join(",")) };
    let (first, count) = (fields.be16(1), fields.be16(2));
    let to = from.unwrap_or_else(|| match count {
        0 | 1 => first.to_string(),
        _ => format!("{first}-{}", first.saturating_add(count - 1)),
    });
    format!("queue{flags} to {to}")
}

/// Writes a synproxy statement (NFTA_SYNPROXY_*).
pub(super) fn synproxy(fields: &Fields<'_>) -> String {
    let flags = fields.be32(3);
    let mut text = "synproxy".to_owned();
    if flags & 1 != 0 {
        text.push_str(&format!(" mss {}", fields.be16(1)));
    }
    if flags & 2 != 0 {
        text.push_str(&format!(" wscale {}", fields.byte(2)));
    }
    for (bit, name) in [(8, " timestamp"), (4, " sack-perm")] {
        if flags & bit != 0 {
            text.push_str(name);
        }
    }
    text
}

/// The flags behind a translation: ` random,persistent`.
pub(super) fn nat_flags(flags: u32) -> String {
    const FLAGS: [(u32, &str); 3] = [(4, "random"), (16, "fully-random"), (8, "persistent")];
    let words: Vec<&str> = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if words.is_empty() { String::new() } else { format!(" {}", words.join(",")) }
}

/// The kinds of named objects (NFT_OBJECT_*): how a rule names one, and what kind of condition it is.
pub(super) fn object(kind: u32, name: &str) -> Option<Statement> {
    let (word, matched) = match kind {
        1 => ("counter name", None),
        2 => ("quota name", Some(Match::Other)),
        3 => ("ct helper set", None),
        4 => ("limit name", Some(Match::Rate)),
        5 => ("ct count name", Some(Match::ConnectionCount)),
        7 => ("ct timeout set", None),
        8 => ("meta secmark set", None),
        9 => ("ct expectation set", None),
        10 => ("synproxy name", None),
        _ => return None,
    };
    Some(Statement { text: format!("{word} {name}"), kind: matched })
}
