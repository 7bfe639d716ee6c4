//! Matches that look at a transport header: ports, TCP's flags, types of ICMP.

use super::build::{Build, Fault};
use super::extension::{Extension, Given, Loaded};
use super::names;
use crate::netfilter::ast::{Field, Span};

/// How many ports multiport takes at most (a range counts as two); the kernel's limit is 15.
const MULTIPORT_COUNT_MAX: usize = 15;

pub(super) const MATCHES: &[Extension] = &[
    Extension {
        name: "tcp",
        options: &[
            ("--sport", 1),
            ("--dport", 1),
            ("--source-port", 1),
            ("--destination-port", 1),
            ("--syn", 0),
            ("--tcp-flags", 2),
            ("--tcp-option", 1),
        ],
        build: tcp,
    },
    Extension { name: "udp", options: PORTS, build: udp },
    Extension { name: "udplite", options: PORTS, build: other },
    Extension {
        name: "sctp",
        options: &[
            ("--sport", 1),
            ("--dport", 1),
            ("--source-port", 1),
            ("--destination-port", 1),
            ("--chunk-types", 2),
        ],
        build: other,
    },
    Extension {
        name: "dccp",
        options: &[
            ("--sport", 1),
            ("--dport", 1),
            ("--source-port", 1),
            ("--destination-port", 1),
            ("--dccp-types", 1),
            ("--dccp-option", 1),
        ],
        build: other,
    },
    Extension {
        name: "multiport",
        options: &[
            ("--sports", 1),
            ("--dports", 1),
            ("--source-ports", 1),
            ("--destination-ports", 1),
            ("--ports", 1),
        ],
        build: multiport,
    },
    Extension { name: "icmp", options: &[("--icmp-type", 1)], build: icmp },
    Extension { name: "icmp6", options: &[("--icmpv6-type", 1), ("--icmp6-type", 1)], build: icmp6 },
];

const PORTS: &[(&str, u8)] =
    &[("--sport", 1), ("--dport", 1), ("--source-port", 1), ("--destination-port", 1)];

fn tcp(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    protocol_is(build, loaded, &[6])?;
    for given in &loaded.options {
        match given.name() {
            "--syn" => flags(build, 0x17, 0x02, given.negated),
            "--tcp-flags" => {
                let [mask, bits] = given.arguments else { return Err(given.bad_value()) };
                let (Some(mask), Some(bits)) = (flag_bits(&mask.text), flag_bits(&bits.text)) else {
                    return Err(given.wrong("a flag of TCP that does not exist", "不存在的 TCP 标志"));
                };
                flags(build, mask, bits, given.negated);
            }
            "--tcp-option" => {
                let option = given.number(255)?;
                let field = Field::TcpOptionPresent(u8::try_from(option).unwrap_or(0));
                build.number(field, (!given.negated).into(), false);
            }
            _ => port(build, given, (Field::TcpSource, Field::TcpDestination))?,
        }
    }
    Ok(())
}

fn udp(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    protocol_is(build, loaded, &[17])?;
    loaded.options.iter().try_for_each(|given| port(build, given, (Field::UdpSource, Field::UdpDestination)))
}

fn other(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    protocol_is(build, loaded, &[33, 132, 136])?;
    for given in &loaded.options {
        if given.name().ends_with("port") {
            port(build, given, (Field::ThSource, Field::ThDestination))?;
        } else {
            build.unknown(
                &loaded.text(),
                "chunks and types of packets are not modelled",
                "未建模块类型与报文类型",
            );
        }
    }
    Ok(())
}

/// These matches look into a header, so the kernel wants `-p` before them.
fn protocol_is(build: &Build<'_>, loaded: &Loaded<'_>, numbers: &[u8]) -> Result<(), Fault> {
    if build.protocol.is_some_and(|number| numbers.contains(&number)) {
        return Ok(());
    }
    Err(loaded.fault("this match needs its protocol by -p", "该匹配需要用 -p 指定其协议"))
}

fn port(build: &mut Build<'_>, given: &Given<'_>, fields: (Field, Field)) -> Result<(), Fault> {
    let source = given.name().starts_with("--s");
    let range = port_range(given.text()).ok_or_else(|| given.wrong("this is no port", "这不是端口"))?;
    build.range(if source { fields.0 } else { fields.1 }, range, given.negated);
    Ok(())
}

fn port_range(text: &str) -> Option<(u128, u128)> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let first = if first.is_empty() { 0 } else { names::port(first)? };
    let last = if last.is_empty() { u16::MAX } else { names::port(last)? };
    (first <= last && !text.is_empty()).then_some((first.into(), last.into()))
}

/// `(flags & mask) == bits`; bits outside the mask never match.
pub(super) fn flags(build: &mut Build<'_>, mask: u128, bits: u128, negated: bool) {
    build.masked(Field::TcpFlags, bits, Some(mask), negated);
}

fn flag_bits(text: &str) -> Option<u128> {
    let one = |name: &str| {
        Some(match name.to_ascii_uppercase().as_str() {
            "FIN" => 0x01,
            "SYN" => 0x02,
            "RST" => 0x04,
            "PSH" => 0x08,
            "ACK" => 0x10,
            "URG" => 0x20,
            "ALL" => 0x3f,
            "NONE" => 0x00,
            // Debian's iptables prints these two as numbers.
            other => return super::extension::whole(other).filter(|bits| *bits <= 0xff).map(u128::from),
        })
    };
    text.split(',').map(one).try_fold(0, |bits, one| Some(bits | one?))
}

fn multiport(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    protocol_is(build, loaded, &[6, 17, 33, 132, 136])?;
    loaded.needs_options()?;
    for given in &loaded.options {
        let ranges: Option<Vec<_>> = given.text().split(',').map(port_range).collect();
        let ranges = ranges.ok_or_else(|| given.wrong("this is no list of ports", "这不是端口列表"))?;
        let count: usize = ranges.iter().map(|(first, last)| if first == last { 1 } else { 2 }).sum();
        if count > MULTIPORT_COUNT_MAX {
            return Err(given.wrong("multiport takes at most 15 ports", "multiport 最多 15 个端口"));
        }
        let spans = ranges.into_iter().map(|(first, last)| Span::Numbers(first, last));
        match given.name() {
            "--ports" => {
                let any = || Span::Numbers(0, u16::MAX.into());
                let either = spans.flat_map(|span| [vec![span.clone(), any()], vec![any(), span]]);
                let elements = either.collect();
                build.any_of(&[Field::ThSource, Field::ThDestination], elements, given.negated);
            }
            name => {
                let field = if name.starts_with("--s") { Field::ThSource } else { Field::ThDestination };
                build.any_of(&[field], spans.map(|span| vec![span]).collect(), given.negated);
            }
        }
    }
    Ok(())
}

fn icmp(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    protocol_is(build, loaded, &[1])?;
    for given in &loaded.options {
        let any = given.text() == "any" || given.text() == "255/0-255";
        if any {
            // Matches every message, so nothing when negated.
            build.range(Field::IcmpType, (0, 255), given.negated);
        } else {
            icmp_type(build, given, (Field::IcmpType, Field::IcmpCode))?;
        }
    }
    Ok(())
}

fn icmp6(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    protocol_is(build, loaded, &[58])?;
    loaded.options.iter().try_for_each(|given| icmp_type(build, given, (Field::Icmp6Type, Field::Icmp6Code)))
}

fn icmp_type(build: &mut Build<'_>, given: &Given<'_>, fields: (Field, Field)) -> Result<(), Fault> {
    let text = given.text();
    let numbers = |text: &str| {
        let (kind, code) = text.split_once('/').map_or((text, None), |(kind, code)| (kind, Some(code)));
        Some((kind.parse::<u8>().ok()?, code.map(str::parse::<u8>).transpose().ok()?))
    };
    let (kind, code) = names::icmp(text, build.v6)
        .or_else(|| numbers(text))
        .ok_or_else(|| given.wrong("this type of ICMP is not known", "未知的 ICMP 类型"))?;
    match code {
        None => build.number(fields.0, kind.into(), given.negated),
        Some(code) => {
            let spans =
                vec![Span::Numbers(kind.into(), kind.into()), Span::Numbers(code.into(), code.into())];
            build.any_of(&[fields.0, fields.1], vec![spans], given.negated);
        }
    }
    Ok(())
}
