//! The direction of dependencies: data flows one way through the house.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What each room may depend on, besides crates from outside.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &[]),
    ("socket", &[]),
    // Only the tests of others use it.
    ("testing", &[]),
    ("catalogue", &["model"]),
    ("netlink", &[]),
    ("netfilter", &["model", "netlink"]),
    ("host", &["model", "netlink", "netfilter", "wire"]),
    ("ends", &["model", "host"]),
    ("probe", &["model", "wire", "netlink", "socket"]),
    ("scan", &["wire", "netlink", "socket"]),
    ("policy", &["model"]),
    ("waf", &["model"]),
    ("flows", &["model", "wire", "netlink", "netfilter", "socket"]),
    ("lake", &["model", "flows"]),
    ("dns", &["model"]),
    ("tls", &["model"]),
    ("http", &["model", "tls"]),
    ("diagnose", &["model", "catalogue"]),
    ("report", &["model", "catalogue"]),
    ("engine", &["model", "catalogue", "diagnose", "probe", "dns", "tls", "http", "host", "ends"]),
    ("lab", &["model", "catalogue", "socket"]),
    (
        "cli",
        &[
            "model",
            "catalogue",
            "diagnose",
            "probe",
            "dns",
            "tls",
            "http",
            "engine",
            "report",
            "lab",
            "wire",
            "netlink",
            "netfilter",
            "host",
            "ends",
            "scan",
            "policy",
            "waf",
            "flows",
            "lake",
        ],
    ),
];

/// Crates a pure room may not use: they open sockets, files or clocks.
const IMPURE: &[&str] = &["tokio", "socket2", "nix", "libc", "quinn", "tempfile"];
/// Rooms that open nothing.
const PURE: &[&str] = &["model", "wire", "catalogue", "diagnose", "report"];

/// Every breach of the dependency direction, one line each.
pub fn faults(root: &Path) -> Result<Vec<String>> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut faults = Vec::new();
    for entry in fs::read_dir(root.join("crates")).context("reading crates/")? {
        let room = entry?.file_name().to_string_lossy().into_owned();
        let manifest = root.join("crates").join(&room).join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
        let table: toml::Table = text.parse().with_context(|| format!("parsing {}", manifest.display()))?;
        let Some(may) = allowed.get(room.as_str()) else {
            faults.push(format!("crates/{room}: not a room of the house; add it to xtask/src/house.rs"));
            continue;
        };
        let empty = toml::Table::new();
        let uses = table.get("dependencies").and_then(toml::Value::as_table).unwrap_or(&empty);
        for name in uses.keys() {
            if let Some(other) = name.strip_prefix("netwhy-")
                && !may.contains(&other)
            {
                faults.push(format!("crates/{room}: depends on {other}, against the direction of the house"));
            }
            if PURE.contains(&room.as_str()) && IMPURE.contains(&name.as_str()) {
                faults.push(format!("crates/{room}: is pure and may not use {name}"));
            }
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dependencies_point_one_way() {
        let faults = super::faults(&crate::root().unwrap()).unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
