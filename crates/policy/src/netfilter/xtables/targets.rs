//! Targets: what a rule does with its packets when it is no plain verdict.

use super::address;
use super::build::{Build, Fault};
use super::extension::{Extension, Given, Loaded, span};
use super::matches::set_keys;
use super::names;
use crate::netfilter::ast::{Field, Nat, NatKind, Operand, Part, UpdateKind, Verdict, Written};

const ALL_MARK: u128 = u32::MAX as u128;

pub(super) const TARGETS: &[Extension] = &[
    Extension { name: "REJECT", options: &[("--reject-with", 1)], build: reject },
    Extension {
        name: "NFQUEUE",
        options: &[
            ("--queue-num", 1),
            ("--queue-balance", 1),
            ("--queue-bypass", 0),
            ("--queue-cpu-fanout", 0),
        ],
        build: queue,
    },
    Extension {
        name: "MARK",
        options: &[
            ("--set-xmark", 1),
            ("--set-mark", 1),
            ("--and-mark", 1),
            ("--or-mark", 1),
            ("--xor-mark", 1),
        ],
        build: mark,
    },
    Extension {
        name: "CONNMARK",
        options: &[
            ("--set-xmark", 1),
            ("--set-mark", 1),
            ("--and-mark", 1),
            ("--or-mark", 1),
            ("--xor-mark", 1),
            ("--save-mark", 0),
            ("--restore-mark", 0),
            ("--nfmask", 1),
            ("--ctmask", 1),
            ("--mask", 1),
            ("--left-shift-mark", 1),
            ("--right-shift-mark", 1),
        ],
        build: connmark,
    },
    Extension {
        name: "DNAT",
        options: &[("--to-destination", 1), ("--random", 0), ("--persistent", 0)],
        build: nat,
    },
    Extension {
        name: "SNAT",
        options: &[("--to-source", 1), ("--random", 0), ("--random-fully", 0), ("--persistent", 0)],
        build: nat,
    },
    Extension {
        name: "MASQUERADE",
        options: &[("--to-ports", 1), ("--random", 0), ("--random-fully", 0)],
        build: to_ports,
    },
    Extension { name: "REDIRECT", options: &[("--to-ports", 1), ("--random", 0)], build: to_ports },
    Extension { name: "NETMAP", options: &[("--to", 1)], build: netmap },
    Extension { name: "NOTRACK", options: &[], build: notrack },
    Extension {
        name: "CT",
        options: &[
            ("--notrack", 0),
            ("--helper", 1),
            ("--timeout", 1),
            ("--ctevents", 1),
            ("--expevents", 1),
            ("--zone", 1),
            ("--zone-orig", 1),
            ("--zone-reply", 1),
        ],
        build: connection,
    },
    Extension {
        name: "TPROXY",
        options: &[("--on-port", 1), ("--on-ip", 1), ("--tproxy-mark", 1)],
        build: stolen,
    },
    Extension {
        name: "SYNPROXY",
        options: &[("--mss", 1), ("--wscale", 1), ("--sack-perm", 0), ("--timestamp", 0), ("--ecn", 0)],
        build: stolen,
    },
    Extension {
        name: "TOS",
        options: &[("--set-tos", 1), ("--and-tos", 1), ("--or-tos", 1), ("--xor-tos", 1)],
        build: service,
    },
    Extension { name: "DSCP", options: &[("--set-dscp", 1), ("--set-dscp-class", 1)], build: dscp },
    Extension { name: "TTL", options: &[("--ttl-set", 1), ("--ttl-inc", 1), ("--ttl-dec", 1)], build: life },
    Extension { name: "HL", options: &[("--hl-set", 1), ("--hl-inc", 1), ("--hl-dec", 1)], build: life },
    Extension {
        name: "SET",
        options: &[
            ("--add-set", 2),
            ("--del-set", 2),
            ("--map-set", 2),
            ("--timeout", 1),
            ("--exist", 0),
            ("--map-mark", 0),
            ("--map-prio", 0),
            ("--map-queue", 0),
        ],
        build: set,
    },
    Extension {
        name: "CLUSTERIP",
        options: &[
            ("--new", 0),
            ("--hashmode", 1),
            ("--clustermac", 1),
            ("--total-nodes", 1),
            ("--local-node", 1),
            ("--hash-init", 1),
        ],
        build: cluster,
    },
    Extension {
        name: "HMARK",
        options: &[
            ("--hmark-tuple", 1),
            ("--hmark-mod", 1),
            ("--hmark-offset", 1),
            ("--hmark-src-prefix", 1),
            ("--hmark-dst-prefix", 1),
            ("--hmark-sport-mask", 1),
            ("--hmark-dport-mask", 1),
            ("--hmark-spi-mask", 1),
            ("--hmark-sport", 1),
            ("--hmark-dport", 1),
            ("--hmark-spi", 1),
            ("--hmark-proto-mask", 1),
            ("--hmark-rnd", 1),
        ],
        build: hmark,
    },
];

/// Targets that decide nothing and change nothing a rule could ask for.
pub(super) const ASIDE: &[Extension] = &[
    aside(
        "LOG",
        &[
            ("--log-level", 1),
            ("--log-prefix", 1),
            ("--log-tcp-sequence", 0),
            ("--log-tcp-options", 0),
            ("--log-ip-options", 0),
            ("--log-uid", 0),
            ("--log-macdecode", 0),
        ],
    ),
    aside(
        "NFLOG",
        &[
            ("--nflog-group", 1),
            ("--nflog-prefix", 1),
            ("--nflog-range", 1),
            ("--nflog-size", 1),
            ("--nflog-threshold", 1),
        ],
    ),
    aside(
        "ULOG",
        &[("--ulog-nlgroup", 1), ("--ulog-prefix", 1), ("--ulog-cprange", 1), ("--ulog-qthreshold", 1)],
    ),
    aside("AUDIT", &[("--type", 1)]),
    aside("TEE", &[("--gateway", 1), ("--oif", 1)]),
    aside("TRACE", &[]),
    aside("IDLETIMER", &[("--timeout", 1), ("--label", 1), ("--alarm", 0), ("--send_nl_msg", 0)]),
    aside("LED", &[("--led-trigger-id", 1), ("--led-delay", 1), ("--led-always-blink", 0)]),
    aside("RATEEST", &[("--rateest-name", 1), ("--rateest-interval", 1), ("--rateest-ewmalog", 1)]),
    aside("CLASSIFY", &[("--set-class", 1)]),
    aside("CHECKSUM", &[("--checksum-fill", 0)]),
    aside("SECMARK", &[("--selctx", 1)]),
    aside("CONNSECMARK", &[("--save", 0), ("--restore", 0)]),
    aside("TCPMSS", &[("--set-mss", 1), ("--clamp-mss-to-pmtu", 0)]),
    aside("TCPOPTSTRIP", &[("--strip-options", 1)]),
    aside("ECN", &[("--ecn-tcp-remove", 0)]),
];

const fn aside(name: &'static str, options: &'static [(&'static str, u8)]) -> Extension {
    Extension { name, options, build: nothing }
}

fn nothing(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    if !matches!(loaded.extension.name, "LOG" | "NFLOG" | "ULOG" | "TRACE") {
        loaded.needs_options()?;
    }
    build.parts.push(Part::Aside);
    Ok(())
}

fn reject(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let default = if build.v6 { "icmp6-port-unreachable" } else { "icmp-port-unreachable" };
    let with = loaded.options.first().map_or(default, |given| given.text());
    if matches!(with, "tcp-reset" | "tcp-rst") && build.protocol != Some(6) {
        return Err(loaded.fault("an answer by RST needs -p tcp", "以 RST 应答需要 -p tcp"));
    }
    build.parts.push(Part::Verdict(Verdict::Reject(with.to_owned())));
    Ok(())
}

fn queue(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    for given in loaded.options.iter().filter(|given| !given.arguments.is_empty()) {
        span(given.text(), ':', u16::MAX.into()).ok_or_else(|| given.bad_value())?;
    }
    build.parts.push(Part::Verdict(Verdict::Queue { bypass: loaded.has("--queue-bypass") }));
    Ok(())
}

fn mark(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("MARK needs one of its options", "MARK 需要且仅需要一个选项"));
    };
    let value = new_mark(given)?;
    build.parts.push(Part::Write { field: Field::Mark, value });
    Ok(())
}

/// What the five ways to write a mark make of it: `(old & and) ^ xor`.
fn new_mark(given: &Given<'_>) -> Result<Written, Fault> {
    let (value, mask) = given.masked(u32::MAX.into())?;
    let (mask, xor) = match given.name() {
        "--set-xmark" => (mask.unwrap_or(ALL_MARK), value),
        "--set-mark" => (mask.unwrap_or(ALL_MARK) | value, value),
        "--and-mark" => (!value & ALL_MARK, 0),
        "--or-mark" => (value, value),
        _ => (0, value),
    };
    let and = !mask & ALL_MARK;
    Ok(if and == 0 { Written::Value(xor) } else { Written::Masked { and, xor } })
}

fn connmark(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    let (from, to) = match (loaded.has("--save-mark"), loaded.has("--restore-mark")) {
        (true, false) => (Field::Mark, Field::CtMark),
        (false, true) => (Field::CtMark, Field::Mark),
        (true, true) => {
            return Err(loaded.fault("a mark is either saved or restored", "标记只能保存或恢复其一"));
        }
        (false, false) => {
            let value = loaded.options.iter().find(|given| given.name().ends_with("mark"));
            let given = value.ok_or_else(|| loaded.fault("CONNMARK needs a mark", "CONNMARK 需要标记"))?;
            let value = if given.name().contains("shift") { Written::Unknown } else { new_mark(given)? };
            build.parts.push(Part::Write { field: Field::CtMark, value });
            return Ok(());
        }
    };
    let masks = loaded.options.iter().filter(|given| given.name().ends_with("mask"));
    let whole = masks.map(|given| given.number(u32::MAX.into())).collect::<Result<Vec<_>, _>>()?;
    let value = match whole.iter().all(|mask| *mask == ALL_MARK) {
        true => Written::Of(Operand::plain(from)),
        false => Written::Unknown,
    };
    build.parts.push(Part::Write { field: to, value });
    Ok(())
}

fn nat(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let mut to = loaded.options.iter().filter(|given| given.name().starts_with("--to"));
    let (Some(given), None) = (to.next(), to.next()) else {
        return Err(loaded.fault("one new address is needed", "需要且仅需要一个新地址"));
    };
    let (addresses, ports) = address_and_ports(given.text(), build.v6).ok_or_else(|| given.bad_value())?;
    if ports.is_some() && !has_ports(build.protocol) {
        return Err(given.wrong("ports need a protocol that has them", "端口需要带端口的协议"));
    }
    let kind = if loaded.extension.name == "DNAT" { NatKind::Destination } else { NatKind::Source };
    translate(build, kind, addresses, ports);
    Ok(())
}

fn has_ports(protocol: Option<u8>) -> bool {
    matches!(protocol, Some(6 | 17 | 33 | 132 | 136 | 1 | 58))
}

fn translate(
    build: &mut Build<'_>,
    kind: NatKind,
    addresses: Option<(u128, u128)>,
    ports: Option<(u16, u16)>,
) {
    build.parts.push(Part::Nat(Nat { kind, addresses, ports, map: None, family: None }));
}

type Ends<Number> = Option<(Number, Number)>;

/// `10.0.0.1-10.0.0.9:80-90/80`, `[2001:db8::1]:80`, `:80`.
fn address_and_ports(text: &str, v6: bool) -> Option<(Ends<u128>, Ends<u16>)> {
    let (addresses, ports) = match (text.strip_prefix('['), v6) {
        (Some(rest), _) => {
            let (addresses, ports) = rest.split_once(']')?;
            // A range of IPv6 addresses: `[first]-[last]:ports`, or `[first-last]:ports`.
            match ports.strip_prefix("-[").and_then(|rest| rest.split_once(']')) {
                Some((last, ports)) => {
                    let span = address::span(&format!("{addresses}-{last}"), v6)?;
                    return Some((Some(span), some_ports(ports)?));
                }
                None => (addresses, ports),
            }
        }
        (None, true) => (text, ""),
        (None, false) => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let span = if addresses.is_empty() { None } else { Some(address::span(addresses, v6)?) };
    Some((span, some_ports(ports)?))
}

/// The ports behind a colon; nothing is no ports.
fn some_ports(text: &str) -> Option<Ends<u16>> {
    match text.strip_prefix(':') {
        Some(ports) => port_span(ports).map(Some),
        None => text.is_empty().then_some(None),
    }
}

/// `80`, `80-90`, and `80-90/85`, where the last one is the port that becomes the first.
fn port_span(text: &str) -> Ends<u16> {
    let (text, base) = text.split_once('/').map_or((text, None), |(text, base)| (text, Some(base)));
    if base.is_some_and(|base| names::port(base).is_none_or(|port| port == 0)) {
        return None;
    }
    if let Some(port) = names::port(text) {
        return Some((port, port));
    }
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn to_ports(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let ports = match loaded.get("--to-ports") {
        Some(_) if !has_ports(build.protocol) => {
            return Err(loaded.fault("ports need a protocol that has them", "端口需要带端口的协议"));
        }
        Some(given) => Some(port_span(given.text()).ok_or_else(|| given.bad_value())?),
        None => None,
    };
    let kind = if loaded.extension.name == "REDIRECT" { NatKind::Redirect } else { NatKind::Masquerade };
    translate(build, kind, None, ports);
    Ok(())
}

fn netmap(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("NETMAP needs one network", "NETMAP 需要一个网络"));
    };
    match address::read(given.text(), build.v6) {
        Some(address::Address::Range(first, last)) => {
            translate(build, NatKind::Netmap, Some((first, last)), None);
            Ok(())
        }
        _ => Err(given.wrong("this is no network", "这不是网络")),
    }
}

fn notrack(build: &mut Build<'_>, _loaded: &Loaded<'_>) -> Result<(), Fault> {
    build.parts.push(Part::Notrack);
    Ok(())
}

fn connection(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    if loaded.has("--notrack") {
        build.parts.push(Part::Notrack);
    }
    for given in &loaded.options {
        match given.name() {
            "--zone" | "--zone-orig" | "--zone-reply" => {
                let value = match given.text() {
                    "mark" => Written::Of(Operand::plain(Field::Mark)),
                    _ => Written::Value(given.number(u16::MAX.into())?),
                };
                build.parts.push(Part::Write { field: Field::CtZone, value });
            }
            "--helper" => build.parts.push(Part::Write { field: Field::CtHelper, value: Written::Unknown }),
            _ => build.parts.push(Part::Aside),
        }
    }
    Ok(())
}

fn stolen(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    if loaded.extension.name == "SYNPROXY" && build.protocol != Some(6) {
        return Err(loaded.fault("SYNPROXY needs -p tcp", "SYNPROXY 需要 -p tcp"));
    }
    build.parts.push(Part::Verdict(Verdict::Stolen(loaded.extension.name.to_owned())));
    Ok(())
}

fn service(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    let field = build.family(Field::Ip4Dscp, Field::Ip6Dscp);
    build.parts.push(Part::Write { field, value: Written::Unknown });
    if !build.v6 {
        build.parts.push(Part::Write { field: Field::Ip4Ecn, value: Written::Unknown });
    }
    Ok(())
}

fn dscp(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("DSCP needs one value", "DSCP 需要且仅需要一个值"));
    };
    let value = match given.name() {
        "--set-dscp" => given.number(0x3f)?,
        _ => names::dscp_class(given.text()).ok_or_else(|| given.bad_value())?.into(),
    };
    let field = build.family(Field::Ip4Dscp, Field::Ip6Dscp);
    build.parts.push(Part::Write { field, value: Written::Value(value) });
    Ok(())
}

fn life(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    let [given] = loaded.options.as_slice() else {
        return Err(loaded.fault("one change of the time to live is needed", "需要且仅需要一个生存时间修改"));
    };
    let number = given.number(255)?;
    let value = if given.name().ends_with("set") { Written::Value(number) } else { Written::Unknown };
    if value == Written::Unknown && number == 0 {
        return Err(given.bad_value());
    }
    let field = build.family(Field::Ip4Ttl, Field::Ip6HopLimit);
    build.parts.push(Part::Write { field, value });
    Ok(())
}

fn set(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    for given in loaded.options.iter().filter(|given| given.arguments.len() == 2) {
        let keys = set_keys(&given.arguments[1].text).ok_or_else(|| given.bad_value())?;
        let set = given.text().to_owned();
        let kind = match given.name() {
            "--add-set" => UpdateKind::Add,
            "--del-set" => UpdateKind::Delete,
            _ => {
                build.parts.push(Part::Write { field: Field::Mark, value: Written::Unknown });
                continue;
            }
        };
        build.parts.push(Part::Update { set, kind, keys, also: Vec::new() });
    }
    Ok(())
}

fn cluster(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    build.unknown(
        &loaded.text(),
        "another node of the cluster may answer instead",
        "可能由集群中的其他节点应答",
    );
    Ok(())
}

fn hmark(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    loaded.needs_options()?;
    build.parts.push(Part::Write { field: Field::Mark, value: Written::Unknown });
    Ok(())
}
