//! Matches whose answer nobody knows before the packet comes, or that look where the model does not: they keep
//! their place in the rule as unknown conditions.

use super::build::{Build, Fault};
use super::extension::{Extension, Loaded, OPTIONAL};

const fn opaque(name: &'static str, options: &'static [(&'static str, u8)]) -> Extension {
    Extension { name, options, build: unknown }
}

pub(super) const MATCHES: &[Extension] = &[
    opaque(
        "physdev",
        &[
            ("--physdev-in", 1),
            ("--physdev-out", 1),
            ("--physdev-is-in", 0),
            ("--physdev-is-out", 0),
            ("--physdev-is-bridged", 0),
        ],
    ),
    opaque(
        "string",
        &[("--from", 1), ("--to", 1), ("--algo", 1), ("--string", 1), ("--hex-string", 1), ("--icase", 0)],
    ),
    opaque("u32", &[("--u32", 1)]),
    opaque("bpf", &[("--bytecode", 1), ("--object-pinned", 1)]),
    opaque(
        "cluster",
        &[
            ("--cluster-total-nodes", 1),
            ("--cluster-local-node", 1),
            ("--cluster-local-nodemask", 1),
            ("--cluster-hash-seed", 1),
        ],
    ),
    opaque("connbytes", &[("--connbytes", 1), ("--connbytes-dir", 1), ("--connbytes-mode", 1)]),
    opaque("connlabel", &[("--label", 1), ("--set", 0)]),
    opaque("helper", &[("--helper", 1)]),
    opaque("realm", &[("--realm", 1)]),
    opaque("osf", &[("--genre", 1), ("--ttl", 1), ("--log", 1)]),
    opaque(
        "rateest",
        &[
            ("--rateest", 1),
            ("--rateest1", 1),
            ("--rateest2", 1),
            ("--rateest-delta", 0),
            ("--rateest-bps", OPTIONAL),
            ("--rateest-pps", OPTIONAL),
            ("--rateest-bps1", OPTIONAL),
            ("--rateest-bps2", OPTIONAL),
            ("--rateest-pps1", OPTIONAL),
            ("--rateest-pps2", OPTIONAL),
            ("--rateest-lt", 0),
            ("--rateest-gt", 0),
            ("--rateest-eq", 0),
        ],
    ),
    opaque(
        "policy",
        &[
            ("--dir", 1),
            ("--pol", 1),
            ("--strict", 0),
            ("--reqid", 1),
            ("--spi", 1),
            ("--proto", 1),
            ("--mode", 1),
            ("--tunnel-src", 1),
            ("--tunnel-dst", 1),
            ("--next", 0),
        ],
    ),
    opaque(
        "frag",
        &[
            ("--fragid", 1),
            ("--fraglen", 1),
            ("--fragres", 0),
            ("--fragfirst", 0),
            ("--fragmore", 0),
            ("--fraglast", 0),
        ],
    ),
    opaque(
        "rt",
        &[
            ("--rt-type", 1),
            ("--rt-segsleft", 1),
            ("--rt-len", 1),
            ("--rt-0-res", 0),
            ("--rt-0-addrs", 1),
            ("--rt-0-not-strict", 0),
        ],
    ),
    opaque("hbh", &[("--hbh-len", 1), ("--hbh-opts", 1)]),
    opaque("dst", &[("--dst-len", 1), ("--dst-opts", 1)]),
    opaque("mh", &[("--mh-type", 1)]),
    opaque("eui64", &[]),
    opaque("ipv6header", &[("--header", 1), ("--soft", 0)]),
    opaque("ipv4options", &[("--flags", 1), ("--any", 0)]),
    opaque(
        "srh",
        &[
            ("--srh-next-hdr", 1),
            ("--srh-hdr-len-eq", 1),
            ("--srh-hdr-len-gt", 1),
            ("--srh-hdr-len-lt", 1),
            ("--srh-segs-left-eq", 1),
            ("--srh-segs-left-gt", 1),
            ("--srh-segs-left-lt", 1),
            ("--srh-last-entry-eq", 1),
            ("--srh-last-entry-gt", 1),
            ("--srh-last-entry-lt", 1),
            ("--srh-tag", 1),
            ("--srh-psid", 1),
            ("--srh-nsid", 1),
            ("--srh-lsid", 1),
        ],
    ),
    opaque("unclean", &[]),
    opaque(
        "ipvs",
        &[
            ("--ipvs", 0),
            ("--vproto", 1),
            ("--vaddr", 1),
            ("--vport", 1),
            ("--vdir", 1),
            ("--vmethod", 1),
            ("--vportctl", 1),
        ],
    ),
    opaque(
        "geoip",
        &[("--src-cc", 1), ("--source-country", 1), ("--dst-cc", 1), ("--destination-country", 1)],
    ),
    opaque("ndpi", &[("--proto", 1), ("--all", 0)]),
    opaque("layer7", &[("--l7proto", 1), ("--l7dir", 1)]),
];

fn unknown(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    if loaded.options.is_empty()
        && !matches!(
            loaded.extension.name,
            "rt" | "hbh" | "dst" | "frag" | "mh" | "eui64" | "srh" | "unclean"
        )
    {
        loaded.needs_options()?;
    }
    let name = loaded.extension.name;
    build.unknown(
        &loaded.text(),
        format!("what the match {name} looks at is not modelled"),
        format!("未建模匹配 {name} 所检查的内容"),
    );
    Ok(())
}

/// A match that is not known at all.
pub(super) fn strange(build: &mut Build<'_>, loaded: &Loaded<'_>) -> Result<(), Fault> {
    build.unknown(
        &format!("{} {}", loaded.word.text, loaded.text()),
        "this match module is not known",
        "未知的匹配模块",
    );
    Ok(())
}
