//! Matches of what connection tracking knows.

use super::address;
use super::build::{Build, Fault};
use super::extension::{Extension, Given, Loaded};
use super::matches::marked;
use super::names;
use crate::netfilter::ast::{Field, Part};

/// Bits of [`Field::CtStateNat`] beyond those of [`Field::CtState`].
const SOURCE_NAT: u128 = 0x100;
const DESTINATION_NAT: u128 = 0x200;
/// Bits of states that a packet without a connection has.
const WITHOUT_CONNECTION: u128 = 1 | 64;

pub(super) const MATCHES: &[Extension] = &[
    Extension {
        name: "conntrack",
        options: &[
            ("--ctstate", 1),
            ("--ctproto", 1),
            ("--ctorigsrc", 1),
            ("--ctorigdst", 1),
            ("--ctreplsrc", 1),
            ("--ctrepldst", 1),
            ("--ctorigsrcport", 1),
            ("--ctorigdstport", 1),
            ("--ctreplsrcport", 1),
            ("--ctrepldstport", 1),
            ("--ctstatus", 1),
            ("--ctexpire", 1),
            ("--ctdir", 1),
        ],
        build: conntrack,
    },
    Extension { name: "state", options: &[("--state", 1)], build: state },
    Extension { name: "connmark", options: &[("--mark", 1)], build: connmark },
    Extension {
        name: "connlimit",
        options: &[
            ("--connlimit-upto", 1),
            ("--connlimit-above", 1),
            ("--connlimit-mask", 1),
            ("--connlimit-saddr", 0),
            ("--connlimit-daddr", 0),
        ],
        build: connlimit,
    },
];

fn conntrack(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    if let Some(given) = loaded.get("--ctstate") {
        let bits = states(given)?;
        // The kernel asks nothing more of a packet without a connection once its state matches.
        let without = (bits & WITHOUT_CONNECTION != 0) != given.negated;
        if without && loaded.options.len() > 1 {
            build.unknown(
                &loaded.text(),
                "conditions that hold only for tracked packets",
                "仅对被跟踪报文成立的条件",
            );
            return Ok(());
        }
        state_bits(build, bits, given.negated);
    }
    loaded
        .options
        .iter()
        .filter(|given| given.name() != "--ctstate")
        .try_for_each(|given| tracked(build, given))
}

fn states(given: &Given<'_>) -> Result<u128, Fault> {
    let one = |name: &str| {
        Some(match name.to_ascii_uppercase().as_str() {
            "INVALID" => 1,
            "ESTABLISHED" => 2,
            "RELATED" => 4,
            "NEW" => 8,
            "UNTRACKED" => 64,
            "SNAT" => SOURCE_NAT,
            "DNAT" => DESTINATION_NAT,
            _ => return None,
        })
    };
    let bits = given.text().split(',').map(one).try_fold(0, |bits, one| Some(bits | one?));
    bits.ok_or_else(|| given.wrong("a state of connections that does not exist", "不存在的连接状态"))
}

fn state_bits(build: &mut Build<'_>, bits: u128, negated: bool) {
    let nat = bits & (SOURCE_NAT | DESTINATION_NAT);
    if nat == 0 {
        build.any_bit(Field::CtState, bits, negated);
    } else if nat == bits && !negated {
        // Bits of the connection's status: source NAT 16, destination NAT 32.
        build.any_bit(Field::CtStatus, nat >> 4, false);
    } else {
        build.any_bit(Field::CtStateNat, bits, negated);
    }
}

fn tracked(build: &mut Build<'_>, given: &Given<'_>) -> Result<(), Fault> {
    let field = match given.name() {
        "--ctproto" => return protocol(build, given),
        "--ctdir" => return direction(build, given),
        "--ctstatus" => return status(build, given),
        "--ctexpire" => {
            let range = given.range(u32::MAX.into())?;
            build.range(Field::CtExpiration, range, given.negated);
            return Ok(());
        }
        "--ctorigsrc" => Field::CtOriginalSource,
        "--ctorigdst" => Field::CtOriginalDestination,
        "--ctreplsrc" => Field::CtReplySource,
        "--ctrepldst" => Field::CtReplyDestination,
        "--ctorigsrcport" => Field::CtOriginalSourcePort,
        "--ctorigdstport" => Field::CtOriginalDestinationPort,
        "--ctreplsrcport" => Field::CtReplySourcePort,
        _ => Field::CtReplyDestinationPort,
    };
    if given.name().ends_with("port") {
        let range = given.range(u16::MAX.into())?;
        build.range(field, range, given.negated);
        return Ok(());
    }
    let address = address::read(given.text(), build.v6)
        .ok_or_else(|| given.wrong("this is no address", "这不是地址"))?;
    let part = build.address(field, address, given.negated);
    build.parts.push(part);
    Ok(())
}

fn protocol(build: &mut Build<'_>, given: &Given<'_>) -> Result<(), Fault> {
    let number = names::protocol(&given.text().to_ascii_lowercase()).ok_or_else(|| given.bad_value())?;
    build.number(Field::CtProtocol, number.into(), given.negated);
    Ok(())
}

fn direction(build: &mut Build<'_>, given: &Given<'_>) -> Result<(), Fault> {
    let value = match given.text().to_ascii_uppercase().as_str() {
        "ORIGINAL" => 0,
        "REPLY" => 1,
        _ => return Err(given.bad_value()),
    };
    build.number(Field::CtDirection, value, given.negated);
    Ok(())
}

fn status(build: &mut Build<'_>, given: &Given<'_>) -> Result<(), Fault> {
    let one = |name: &str| {
        Some(match name.to_ascii_uppercase().as_str() {
            "NONE" => 0,
            "EXPECTED" => 1,
            "SEEN_REPLY" => 2,
            "ASSURED" => 4,
            "CONFIRMED" => 8,
            _ => return None,
        })
    };
    let bits = given.text().split(',').map(one).try_fold(0, |bits, one| Some(bits | one?));
    build.any_bit(Field::CtStatus, bits.ok_or_else(|| given.bad_value())?, given.negated);
    Ok(())
}

fn state(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let bits = states(given)?;
        state_bits(build, bits, given.negated);
    }
    Ok(())
}

fn connmark(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    marked(build, loaded, Field::CtMark)
}

fn connlimit(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let limit =
        loaded.options.iter().find(|given| given.name().ends_with("upto") || given.name().ends_with("above"));
    let Some(given) = limit else {
        return Err(loaded.fault("connlimit needs a number", "connlimit 需要一个数"));
    };
    let count = u64::try_from(given.number(u32::MAX.into())?).unwrap_or(u64::MAX);
    let over = given.name().ends_with("above") != given.negated;
    build.parts.push(Part::Connections { count, over });
    Ok(())
}
