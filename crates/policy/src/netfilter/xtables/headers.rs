//! Matches of the IP header: life, length, class of service, extension headers.

use super::build::{Build, Fault};
use super::extension::{Extension, Given, Loaded, whole};
use super::names;
use crate::netfilter::ast::{Field, Span};

pub(super) const MATCHES: &[Extension] = &[
    Extension {
        name: "ttl",
        options: &[("--ttl-eq", 1), ("--ttl-gt", 1), ("--ttl-lt", 1), ("--ttl", 1)],
        build: life,
    },
    Extension {
        name: "hl",
        options: &[("--hl-eq", 1), ("--hl-gt", 1), ("--hl-lt", 1), ("--hl", 1)],
        build: life,
    },
    Extension { name: "length", options: &[("--length", 1)], build: length },
    Extension { name: "tos", options: &[("--tos", 1)], build: tos },
    Extension { name: "dscp", options: &[("--dscp", 1), ("--dscp-class", 1)], build: dscp },
    Extension {
        name: "ecn",
        options: &[("--ecn-tcp-cwr", 0), ("--ecn-tcp-ece", 0), ("--ecn-ip-ect", 1)],
        build: ecn,
    },
    Extension { name: "tcpmss", options: &[("--mss", 1)], build: tcpmss },
    Extension { name: "esp", options: &[("--espspi", 1)], build: security },
    Extension { name: "ah", options: &[("--ahspi", 1), ("--ahlen", 1), ("--ahres", 0)], build: security },
    Extension { name: "ipcomp", options: &[("--ipcompspi", 1), ("--compres", 0)], build: security },
];

fn life(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    let field = build.family(Field::Ip4Ttl, Field::Ip6HopLimit);
    for given in &loaded.options {
        let value = given.number(255)?;
        let name = given.name();
        if name.ends_with("-gt") {
            greater(build, field, value, given.negated);
        } else if name.ends_with("-lt") {
            less(build, field, value, given.negated);
        } else {
            build.number(field, value, given.negated);
        }
    }
    Ok(())
}

fn greater(build: &mut Build<'_>, field: Field, value: u128, negated: bool) {
    if value == 255 {
        build.range(field, (0, 255), !negated);
    } else {
        build.range(field, (value + 1, 255), negated);
    }
}

fn less(build: &mut Build<'_>, field: Field, value: u128, negated: bool) {
    match value.checked_sub(1) {
        Some(last) => build.range(field, (0, last), negated),
        None => build.range(field, (0, 255), !negated),
    }
}

fn length(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let range = given.range(u16::MAX.into())?;
        build.range(Field::Length, range, given.negated);
    }
    Ok(())
}

fn tcpmss(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        if build.protocol != Some(6) {
            return Err(loaded.fault("this match needs -p tcp", "该匹配需要 -p tcp"));
        }
        let range = given.range(u16::MAX.into())?;
        build.range(Field::TcpMaxSegment, range, given.negated);
    }
    Ok(())
}

/// The byte `value/mask` of the type of service, as its two parts of the packet: six bits of DSCP, two of ECN.
fn tos(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let (value, mask) = match names::tos(given.text()) {
            Some(value) => (value.into(), 0x3f),
            None => {
                let (value, mask) = given.masked(255)?;
                (value, mask.unwrap_or(0xff))
            }
        };
        let class = build.family(Field::Ip4Dscp, Field::Ip6Dscp);
        let (high, low) = (mask >> 2, mask & 3);
        if low == 0 && value & 3 == 0 {
            build.masked(class, value >> 2, Some(high), given.negated);
        } else if build.v6 {
            build.unknown(
                &loaded.text(),
                "the two bits of ECN in IPv6 are not modelled",
                "未建模 IPv6 的两个 ECN 位",
            );
        } else {
            tos_both(build, given, (value, high, low));
        }
    }
    Ok(())
}

fn tos_both(build: &mut Build<'_>, given: &Given<'_>, (value, high, low): (u128, u128, u128)) {
    use crate::netfilter::ast::{Match, Operand, Part, SetUse, Test};
    let key = |field, mask| Operand { mask: Some(mask), ..Operand::plain(field) };
    let span = |value| Span::Numbers(value, value);
    let elements = vec![super::build::element(vec![span(value >> 2), span(value & 3)])];
    build.parts.push(Part::Match(Match {
        keys: vec![key(Field::Ip4Dscp, high), key(Field::Ip4Ecn, low)],
        test: Test::In(SetUse::Inline(std::sync::Arc::new(elements))),
        negated: given.negated,
    }));
}

fn dscp(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("dscp needs one value", "dscp 需要且仅需要一个值"));
    };
    let value = match given.name() {
        "--dscp" => given.number(0x3f)?,
        _ => names::dscp_class(given.text()).ok_or_else(|| given.bad_value())?.into(),
    };
    let field = build.family(Field::Ip4Dscp, Field::Ip6Dscp);
    build.number(field, value, given.negated);
    Ok(())
}

fn ecn(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        match given.name() {
            "--ecn-tcp-cwr" => super::ports::flags(build, 0x80, if given.negated { 0 } else { 0x80 }, false),
            "--ecn-tcp-ece" => super::ports::flags(build, 0x40, if given.negated { 0 } else { 0x40 }, false),
            _ if build.v6 => {
                build.unknown(
                    &loaded.text(),
                    "the two bits of ECN in IPv6 are not modelled",
                    "未建模 IPv6 的两个 ECN 位",
                );
            }
            _ => {
                let value = given.number(3)?;
                build.number(Field::Ip4Ecn, value, given.negated);
            }
        }
    }
    Ok(())
}

/// Headers of IPsec: the protocol is known by `-p`, what stands in the header is not modelled.
fn security(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    if build.protocol.is_none() && !(build.v6 && loaded.extension.name == "ah") {
        return Err(loaded.fault("this match needs its protocol by -p", "该匹配需要用 -p 指定其协议"));
    }
    let whole_range = |given: &Given<'_>| {
        given
            .text()
            .split(':')
            .all(|number| number.is_empty() || whole(number).is_some_and(|n| n <= u32::MAX.into()))
    };
    if let Some(given) =
        loaded.options.iter().find(|given| !given.arguments.is_empty() && !whole_range(given))
    {
        return Err(given.bad_value());
    }
    if !loaded.options.is_empty() || build.protocol.is_none() {
        build.unknown(&loaded.text(), "what stands in this header is not modelled", "未建模该首部的内容");
    }
    Ok(())
}
