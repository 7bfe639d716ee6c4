//! ip_tables and ip6_tables (iptables-legacy), read through getsockopt(2).
//!
//! Only tables that are loaded are asked for: asking for another would make the kernel create it.

mod entry;

pub(crate) use entry::take_apart;

use crate::error::NetfilterError;
use crate::xt::NamedSet;
use entry::Family;
use netwhy_model::host::Ruleset;
use netwhy_netlink::NetlinkError;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// IPT_SO_GET_INFO and IP6T_SO_GET_INFO.
const GET_INFO: libc::c_int = 64;
/// IPT_SO_GET_ENTRIES and IP6T_SO_GET_ENTRIES.
const GET_ENTRIES: libc::c_int = 65;
const TABLE_NAME_LEN: usize = 32;
/// struct ipt_getinfo.
const INFO_LEN: usize = 84;
/// struct ipt_get_entries: the name, the size, and what aligns the entries.
const ENTRIES_AT: usize = 40;
/// Bytes of one table: 100,000 rules of a few matches each.
const TABLE_BYTES_MAX: usize = 64 << 20;
/// filter, nat, mangle, raw, security.
const TABLE_COUNT_MAX: usize = 16;
/// Looks at a table until its size stood still.
const TRY_COUNT_MAX: usize = 3;

/// What a table says of itself (struct ipt_getinfo).
#[derive(Debug, Clone)]
struct Info {
    bytes: Vec<u8>,
}

impl Info {
    fn size(&self) -> usize {
        crate::xt::Info(&self.bytes).ne32(80) as usize
    }
}

/// Reads the tables of the calling thread's namespace into the ruleset; an error per family that cannot be read.
pub(crate) fn read(ruleset: &mut Ruleset, ipsets: &dyn Fn(u16) -> Option<NamedSet>) -> Vec<NetfilterError> {
    let mut errors = Vec::new();
    for family in [Family::Ip, Family::Ip6] {
        let tables = match loaded_tables(family) {
            Ok(tables) => tables,
            Err(error) => {
                let source = NetlinkError::Socket(error);
                errors.push(NetfilterError::Read { what: "list of iptables tables", source });
                continue;
            }
        };
        for table in tables {
            match entries(family, &table) {
                Ok((info, entries)) => {
                    entry::rules(family, &table, &info.bytes, &entries, ipsets, ruleset);
                }
                Err(error) => errors.push(NetfilterError::Legacy { table, source: error }),
            }
        }
    }
    errors
}

/// The tables that exist; the file is of the thread's own namespace, and absent without the module.
fn loaded_tables(family: Family) -> io::Result<Vec<String>> {
    let path = match family {
        Family::Ip => "/proc/thread-self/net/ip_tables_names",
        Family::Ip6 => "/proc/thread-self/net/ip6_tables_names",
    };
    let names = match std::fs::read_to_string(path) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let named = |name: &&str| !name.is_empty() && name.len() < TABLE_NAME_LEN;
    Ok(names.lines().filter(named).take(TABLE_COUNT_MAX).map(str::to_owned).collect())
}

fn entries(family: Family, table: &str) -> Result<(Info, Vec<u8>), NetlinkError> {
    let domain = if family == Family::Ip { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: plain system call; the descriptor is owned from here on.
    let fd = unsafe { libc::socket(domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) };
    if fd < 0 {
        return Err(NetlinkError::Socket(io::Error::last_os_error()));
    }
    // SAFETY: `fd` was just opened and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut failure = NetlinkError::Silent;
    for _ in 0..TRY_COUNT_MAX {
        let info = get(&socket, family, GET_INFO, named_buffer(table, INFO_LEN))?;
        let info = Info { bytes: info };
        let size = info.size().min(TABLE_BYTES_MAX);
        let mut request = named_buffer(table, ENTRIES_AT + size);
        if let Some(place) = request.get_mut(TABLE_NAME_LEN..TABLE_NAME_LEN + 4) {
            place.copy_from_slice(&(size as u32).to_ne_bytes());
        }
        match get(&socket, family, GET_ENTRIES, request) {
            Ok(answer) => return Ok((info, answer.get(ENTRIES_AT..).unwrap_or_default().to_vec())),
            // The table was replaced between the two calls.
            Err(error) if error.errno() == Some(libc::EAGAIN) => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

fn named_buffer(table: &str, len: usize) -> Vec<u8> {
    let mut buffer = vec![0; len];
    for (place, byte) in buffer.iter_mut().zip(table.bytes().take(TABLE_NAME_LEN - 1)) {
        *place = byte;
    }
    buffer
}

fn get(
    socket: &OwnedFd,
    family: Family,
    option: libc::c_int,
    mut buffer: Vec<u8>,
) -> Result<Vec<u8>, NetlinkError> {
    let level = if family == Family::Ip { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    let mut length = buffer.len() as libc::socklen_t;
    // SAFETY: the pointer and length describe the live buffer, which the kernel fills at most.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &raw mut length)
    };
    if done < 0 {
        return Err(NetlinkError::Socket(io::Error::last_os_error()));
    }
    buffer.truncate(length as usize);
    Ok(buffer)
}
