//! Room on the disks that services need: space and inodes.

use super::{Said, reading};
use crate::files::{Gaps, chain, text_or_empty};
use crate::mounts::{Mount, mount_of, parse_mountinfo};
use crate::processes::Descriptor;
use netwhy_model::host::{Process, Reading, State};
use nix::sys::statvfs::{Statvfs, statvfs};
use std::collections::BTreeSet;

/// Where a full disk stops programs.
const PLACES: [&str; 6] = ["/", "/var", "/var/log", "/var/lib", "/tmp", "/run"];
/// Other mount namespaces looked into.
const NAMESPACE_COUNT_MAX: usize = 16;
/// Disks told of.
const DISK_COUNT_MAX: usize = 32;
/// A disk with this much room is not full, whatever the share, in bytes.
const ROOM_BYTES_ODD: u64 = 2 << 30;
const ROOM_BYTES_BAD: u64 = 64 << 20;
/// Shares of the room used that are odd and bad, and a share of inodes left that is odd, in per mille.
const USED_PERMILLE_ODD: u64 = 950;
const USED_PERMILLE_BAD: u64 = 990;
const INODES_PERMILLE_ODD: u64 = 20;

/// Reads the fill of each disk that a service writes to or lives on, once.
pub(crate) fn read(processes: &[Process], logs: &[Descriptor], gaps: &mut Gaps) -> Vec<Reading> {
    let mut readings = Vec::new();
    let mut seen = BTreeSet::new();
    let own = parse_mountinfo(&text_or_empty("/proc/self/mountinfo"));
    let mut places: Vec<String> = PLACES.iter().map(|place| (*place).to_owned()).collect();
    places.extend(logs.iter().filter_map(|log| Some(log.path.rsplit_once('/')?.0.to_owned())));
    for place in &places {
        look(&own, "", place, &mut seen, &mut readings, gaps);
    }
    for (pid, mounts) in other_namespaces(processes) {
        let root = format!("/proc/{pid}/root");
        for place in PLACES {
            look(&mounts, &root, place, &mut seen, &mut readings, gaps);
        }
    }
    readings.truncate(DISK_COUNT_MAX);
    readings
}

fn look(
    mounts: &[Mount],
    root: &str,
    place: &str,
    seen: &mut BTreeSet<String>,
    readings: &mut Vec<Reading>,
    gaps: &mut Gaps,
) {
    let Some(mount) = mount_of(mounts, place) else { return };
    if mount.read_only || seen.len() > DISK_COUNT_MAX || !seen.insert(mount.device.clone()) {
        return;
    }
    if mount.may_hang() {
        gaps.note(
            format!("disk {}", mount.point),
            format!("a remote file system ({}) is not asked", mount.kind),
            false,
        );
        return;
    }
    let path = format!("{root}{}", mount.point);
    match statvfs(path.as_str()) {
        Ok(room) => readings.extend(judge(&path, &room)),
        // What a mount hides is not this service's disk.
        Err(nix::errno::Errno::ENOENT) => {}
        Err(error) => gaps.note(format!("disk {path}"), chain(&error), error == nix::errno::Errno::EACCES),
    }
}

/// One process of each mount namespace but our own.
fn other_namespaces(processes: &[Process]) -> Vec<(u32, Vec<Mount>)> {
    let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let mut seen: BTreeSet<_> = link("self").into_iter().collect();
    processes
        .iter()
        .filter(|process| link(&process.pid.to_string()).is_some_and(|namespace| seen.insert(namespace)))
        .take(NAMESPACE_COUNT_MAX)
        .map(|process| {
            (process.pid, parse_mountinfo(&text_or_empty(format!("/proc/{}/mountinfo", process.pid))))
        })
        .collect()
}

fn judge(path: &str, room: &Statvfs) -> Vec<Reading> {
    #[allow(clippy::useless_conversion, reason = "the fields' width differs between architectures")]
    let (block, blocks, free, available, files, files_available) = (
        u64::from(room.fragment_size()),
        u64::from(room.blocks()),
        u64::from(room.blocks_free()),
        u64::from(room.blocks_available()),
        u64::from(room.files()),
        u64::from(room.files_available()),
    );
    let used = blocks.saturating_sub(free);
    let space = space(path, used.saturating_mul(block), available.saturating_mul(block));
    [space, inodes(path, files, files_available)].into_iter().flatten().collect()
}

/// As df(1) counts: blocks kept for root belong to nobody else.
fn space(path: &str, used: u64, left: u64) -> Option<Reading> {
    let usable = used.saturating_add(left);
    let share = used.saturating_mul(1_000).checked_div(usable)?;
    let one = reading(format!("disk {path}"), used, format!("statvfs(3) {path}")).unit("bytes").limit(usable);
    Some(if share >= USED_PERMILLE_BAD && left < ROOM_BYTES_BAD {
        one.said(State::Bad, "the disk is full: programs that write fail", "磁盘已满：写入会失败")
    } else if share >= USED_PERMILLE_ODD && left < ROOM_BYTES_ODD {
        one.said(State::Odd, "little room is left", "剩余空间不多")
    } else {
        one
    })
}

/// Told only when few are left. File systems that make inodes as they go report none at all.
fn inodes(path: &str, all: u64, left: u64) -> Option<Reading> {
    let share = left.saturating_mul(1_000).checked_div(all)?;
    let one = reading(format!("inodes {path}"), all.saturating_sub(left), format!("statvfs(3) {path}"))
        .unit("files")
        .limit(all);
    match share {
        _ if left == 0 => Some(one.said(
            State::Bad,
            "no inode is left: no file can be created",
            "inode 已用尽：无法创建文件",
        )),
        _ if share < INODES_PERMILLE_ODD => {
            Some(one.said(State::Odd, "few inodes are left", "剩余 inode 不多"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_bad() {
        assert_eq!(space("/", 1_000 << 20, 1 << 20).unwrap().state, State::Bad);
        assert_eq!(space("/", 990 << 30, 10 << 30).unwrap().state, State::Well);
        assert_eq!(space("/", 0, 0), None);
        assert_eq!(inodes("/", 1_000, 0).unwrap().state, State::Bad);
        assert_eq!(inodes("/", 1_000, 500), None);
        assert_eq!(inodes("/", 0, 0), None);
    }

    #[test]
    fn the_root_disk_is_told_of() {
        let mut gaps = Gaps::default();
        let readings = read(&[], &[], &mut gaps);
        assert!(readings.iter().any(|one| one.name.starts_with("disk /") && one.limit.is_some()));
        let mut names: Vec<&String> = readings.iter().map(|one| &one.name).collect();
        names.dedup();
        assert_eq!(names.len(), readings.len());
    }
}
