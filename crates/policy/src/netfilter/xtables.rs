//! Readers of iptables-save, ip6tables-save, scripts of `iptables …` commands, and of `ipset save`.
//!
//! A script is not run: commands that are not of the packet filter are passed over, shell control structures said
//! to be unread.

mod address;
mod bind;
mod build;
mod extension;
mod headers;
mod ipset;
mod matches;
mod names;
mod opaque;
mod ports;
mod rates;
mod rule;
mod script;
mod store;
mod targets;
mod tracking;
mod words;

pub use bind::bind;
pub use ipset::read_ipset;

use crate::netfilter::ast::Ruleset;
use crate::place::{Place, Unread};
use crate::space::Family;
use script::Script;
use std::sync::Arc;
use store::Store;

/// The largest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 28;
/// How many things not understood are told one by one.
const UNREAD_COUNT_MAX: usize = 10_000;

/// Reads what iptables-save or ip6tables-save printed, files of the same form (ufw's `user.rules`), and scripts of
/// commands. `family` is what a file without commands is of; `ip6tables` in a script says its own.
pub fn read_save(file: &Arc<str>, text: &str, family: Family) -> Ruleset {
    if let Some(unread) = too_large(file, text) {
        return Ruleset { unread: vec![unread], ..Ruleset::default() };
    }
    let mut script = Script::new(Store::new(file), family);
    script.read(text);
    script.finish()
}

fn too_large(file: &Arc<str>, text: &str) -> Option<Unread> {
    (text.len() > TEXT_BYTES_MAX)
        .then(|| Unread::new(Place::whole(file), "", "the file is larger than 256 MiB", "文件大于 256 MiB"))
}

/// `02:00:00:00:00:01` as a number.
fn hardware_address(text: &str) -> Option<u128> {
    let mut value = 0;
    let mut count = 0;
    for byte in text.split([':', '-']) {
        value = value << 8 | u128::from(u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() <= 2)?);
        count += 1;
        if count > 6 {
            return None;
        }
    }
    (count == 6).then_some(value)
}
