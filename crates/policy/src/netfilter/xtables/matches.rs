//! Matches of addresses, marks, owners and what else a packet carries beside its headers.

use super::address;
use super::build::{Build, Fault};
use super::extension::{Extension, Given, Loaded, span, whole};
use crate::netfilter::ast::{Field, Match, Operand, Part, SetUse, Test};

/// ipset's limit on the dimensions of a set.
const DIMENSION_COUNT_MAX: usize = 6;

pub(super) const MATCHES: &[Extension] = &[
    Extension { name: "comment", options: &[("--comment", 1)], build: comment },
    Extension { name: "iprange", options: &[("--src-range", 1), ("--dst-range", 1)], build: iprange },
    Extension {
        name: "set",
        options: &[
            ("--match-set", 2),
            ("--set", 2),
            ("--return-nomatch", 0),
            ("--update-counters", 0),
            ("--update-subcounters", 0),
            ("--packets-eq", 1),
            ("--packets-lt", 1),
            ("--packets-gt", 1),
            ("--bytes-eq", 1),
            ("--bytes-lt", 1),
            ("--bytes-gt", 1),
        ],
        build: set,
    },
    Extension {
        name: "addrtype",
        options: &[("--src-type", 1), ("--dst-type", 1), ("--limit-iface-in", 0), ("--limit-iface-out", 0)],
        build: addrtype,
    },
    Extension { name: "mac", options: &[("--mac-source", 1)], build: mac },
    Extension { name: "mark", options: &[("--mark", 1)], build: mark },
    Extension {
        name: "owner",
        options: &[
            ("--uid-owner", 1),
            ("--gid-owner", 1),
            ("--socket-exists", 0),
            ("--suppl-groups", 0),
            ("--pid-owner", 1),
            ("--sid-owner", 1),
            ("--cmd-owner", 1),
        ],
        build: owner,
    },
    Extension { name: "pkttype", options: &[("--pkt-type", 1)], build: pkttype },
    Extension { name: "devgroup", options: &[("--src-group", 1), ("--dst-group", 1)], build: devgroup },
    Extension { name: "cpu", options: &[("--cpu", 1)], build: cpu },
    Extension { name: "cgroup", options: &[("--cgroup", 1), ("--path", 1)], build: cgroup },
    Extension { name: "nfacct", options: &[("--nfacct-name", 1)], build: counted },
    Extension {
        name: "rpfilter",
        options: &[("--loose", 0), ("--validmark", 0), ("--accept-local", 0), ("--invert", 0)],
        build: rpfilter,
    },
    Extension {
        name: "socket",
        options: &[("--transparent", 0), ("--nowildcard", 0), ("--restore-skmark", 0)],
        build: socket,
    },
];

fn comment(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    if build.comment.is_none() {
        build.comment = loaded.options.first().map(|given| crate::place::excerpt(given.text()));
    }
    Ok(())
}

fn iprange(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let field = match given.name() {
            "--src-range" => build.family(Field::Ip4Source, Field::Ip6Source),
            _ => build.family(Field::Ip4Destination, Field::Ip6Destination),
        };
        let range = address::span(given.text(), build.v6)
            .ok_or_else(|| given.wrong("this is no range of addresses", "这不是地址范围"))?;
        build.range(field, range, given.negated);
    }
    Ok(())
}

fn set(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    for given in loaded.options.iter().filter(|given| given.arguments.len() == 2) {
        let keys = set_keys(&given.arguments[1].text).ok_or_else(|| {
            given.wrong("a set needs src or dst for each dimension", "集合的每一维都需要 src 或 dst")
        })?;
        let test = Test::In(SetUse::Named(given.text().to_owned()));
        build.parts.push(Part::Match(Match { keys, test, negated: given.negated }));
    }
    if loaded.options.iter().all(|given| given.arguments.len() != 2) {
        return Err(loaded.fault("the match set needs --match-set", "set 匹配需要 --match-set"));
    }
    // Counters of elements, and elements that say "not in the set".
    if loaded.options.iter().any(|given| given.arguments.len() == 1 || given.name() == "--return-nomatch") {
        build
            .parts
            .retain(|part| !matches!(part, Part::Match(m) if matches!(m.test, Test::In(SetUse::Named(_)))));
        build.unknown(&loaded.text(), "counters of a set are not modelled", "未建模集合的计数器");
    }
    Ok(())
}

/// `src,dst`: which of its own fields each dimension of an ipset is compared with.
pub(super) fn set_keys(text: &str) -> Option<Vec<Operand>> {
    let one = |side: &str| match side {
        "src" => Some(Operand::plain(Field::SetSource)),
        "dst" => Some(Operand::plain(Field::SetDestination)),
        _ => None,
    };
    let keys: Vec<Operand> = text.split(',').take(DIMENSION_COUNT_MAX + 1).map(one).collect::<Option<_>>()?;
    (keys.len() <= DIMENSION_COUNT_MAX).then_some(keys)
}

fn addrtype(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let typed: Vec<&Given<'_>> = loaded.options.iter().filter(|given| !given.arguments.is_empty()).collect();
    if typed.is_empty() || (loaded.has("--limit-iface-in") && loaded.has("--limit-iface-out")) {
        return Err(loaded.fault(
            "addrtype needs a type, and one interface at most",
            "addrtype 需要类型，且至多限定一个接口",
        ));
    }
    for given in typed {
        let bits =
            given.text().split(',').map(address_type).try_fold(0_u128, |bits, one| Some(bits | 1 << one?));
        let bits = bits.ok_or_else(|| given.wrong("this type of address is not known", "未知的地址类型"))?;
        let field =
            if given.name() == "--src-type" { Field::FibSourceType } else { Field::FibDestinationType };
        if loaded.has("--limit-iface-in") || loaded.has("--limit-iface-out") {
            build.unknown(
                &loaded.text(),
                "the type of an address at one interface is not known",
                "无法得知地址在单个接口上的类型",
            );
            continue;
        }
        let spans = (0..16).filter(|at| bits >> at & 1 == 1);
        let elements = spans.map(|at| vec![crate::netfilter::ast::Span::Numbers(at, at)]).collect();
        build.any_of(&[field], elements, given.negated);
    }
    Ok(())
}

fn address_type(name: &str) -> Option<u32> {
    const TYPES: [&str; 12] = [
        "UNSPEC",
        "UNICAST",
        "LOCAL",
        "BROADCAST",
        "ANYCAST",
        "MULTICAST",
        "BLACKHOLE",
        "UNREACHABLE",
        "PROHIBIT",
        "THROW",
        "NAT",
        "XRESOLVE",
    ];
    let at = TYPES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    u32::try_from(at).ok()
}

fn mac(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let address = super::hardware_address(given.text())
            .ok_or_else(|| given.wrong("this is no hardware address", "这不是硬件地址"))?;
        build.number(Field::EtherSource, address, given.negated);
    }
    Ok(())
}

fn mark(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    marked(build, loaded, Field::Mark)
}

pub(super) fn marked(build: &mut Build<'_>, loaded: &Loaded<'_>, field: Field) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let (value, mask) = given.masked(u32::MAX.into())?;
        build.masked(field, value, mask.filter(|mask| *mask != u32::MAX.into()), given.negated);
    }
    Ok(())
}

fn owner(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    let mut groups = false;
    for given in &loaded.options {
        let field = match given.name() {
            "--uid-owner" => Field::SocketUser,
            "--gid-owner" => Field::SocketGroup,
            "--suppl-groups" if !groups || given.negated => {
                return Err(given.wrong(
                    "supplementary groups need --gid-owner before",
                    "--suppl-groups 之前需要 --gid-owner",
                ));
            }
            _ => {
                build.unknown(
                    &loaded.text(),
                    "which program owns the packet is not modelled",
                    "未建模报文属于哪个程序",
                );
                continue;
            }
        };
        groups |= field == Field::SocketGroup;
        let range = match given.text() {
            "root" => Some((0, 0)),
            text => span(text, '-', u32::MAX.into()),
        };
        match range {
            // A packet without a socket matches only when every option is negated, unlike elsewhere.
            Some(range) if !given.negated && !loaded.has("--suppl-groups") => {
                build.range(field, range, false)
            }
            _ => build.unknown(
                &loaded.text(),
                "which user owns the packet is not known",
                "无法得知报文属于哪个用户",
            ),
        }
    }
    Ok(())
}

fn pkttype(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let value = match given.text() {
            "unicast" | "host" => 0,
            "broadcast" => 1,
            "multicast" => 2,
            "otherhost" => 3,
            _ => return Err(given.bad_value()),
        };
        build.number(Field::PacketType, value, given.negated);
    }
    Ok(())
}

fn devgroup(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let field = if given.name() == "--src-group" { Field::InputGroup } else { Field::OutputGroup };
        match given.masked(u32::MAX.into()) {
            Ok((value, mask)) => build.masked(field, value, mask, given.negated),
            Err(_) => build.unknown(
                &loaded.text(),
                "the number of this group is not known here",
                "此处无法得知该组的编号",
            ),
        }
    }
    Ok(())
}

fn cpu(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in &loaded.options {
        let number = given.number(u32::MAX.into())?;
        build.number(Field::Cpu, number, given.negated);
    }
    Ok(())
}

fn cgroup(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("cgroup needs either an id or a path", "cgroup 需要编号或路径之一"));
    };
    match whole(given.text()) {
        // A packet without a socket has none, so a negated test is not that of the field.
        Some(id) if given.name() == "--cgroup" && !given.negated => {
            build.number(Field::Cgroup, id.into(), false);
        }
        _ => build.unknown(
            &loaded.text(),
            "which control group the packet is from is not known",
            "无法得知报文来自哪个控制组",
        ),
    }
    Ok(())
}

/// nfacct only counts: it always matches.
fn counted(_build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()
}

fn rpfilter(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    if loaded.options.iter().any(|given| given.name() != "--invert") {
        build.unknown(&loaded.text(), "the way back to the source is not known", "无法得知回到源地址的路由");
        return Ok(());
    }
    build.number(Field::ReversePath, (!loaded.has("--invert")).into(), false);
    Ok(())
}

fn socket(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    build.unknown(
        &loaded.text(),
        "whether a socket waits for the packet is not known",
        "无法得知是否有套接字等待该报文",
    );
    Ok(())
}
