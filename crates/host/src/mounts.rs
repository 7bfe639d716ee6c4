//! What is mounted where, by /proc/PID/mountinfo (proc_pid_mountinfo(5)). Parsing is pure.

/// Mounts read; a container host has thousands.
const MOUNT_COUNT_MAX: usize = 8_192;
/// File systems that may block for minutes when their server is gone.
const REMOTE: [&str; 12] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "afs", "ncpfs", "glusterfs", "lustre", "autofs"];

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number.
    pub device: String,
    pub point: String,
    pub kind: String,
    pub read_only: bool,
    /// Options of the file system itself: a version 1 control group names its controllers here.
    pub options: String,
}

impl Mount {
    /// Asking it might hang.
    pub fn may_hang(&self) -> bool {
        REMOTE.contains(&self.kind.as_str()) || self.kind.starts_with("fuse")
    }
}

/// Reads a table of mounts, in the order they were made.
pub fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().take(MOUNT_COUNT_MAX).filter_map(parse_line).collect()
}

/// The mount a path lies on: the longest point that leads to it, the last mounted of these.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| leads_to(&mount.point, path)).max_by_key(|mount| mount.point.len())
}

fn leads_to(point: &str, path: &str) -> bool {
    point == "/" || path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn parse_line(line: &str) -> Option<Mount> {
    let (own, system) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(2);
    let (device, _root, point, flags) = (own.next()?, own.next()?, own.next()?, own.next()?);
    let mut system = system.split(' ');
    let (kind, _source, options) = (system.next()?, system.next()?, system.next().unwrap_or_default());
    let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        device: device.to_owned(),
        point: unescaped(point),
        kind: kind.to_owned(),
        read_only: is_read_only(flags) || is_read_only(options),
        options: options.to_owned(),
    })
}

/// Space, tab, newline and backslash are written as `\040`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_finds_its_mount() {
        let text = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:30 / /var/log rw - tmpfs tmpfs rw\n\
                    3 1 0:31 / /mnt/a\\040b ro shared:1 - nfs4 server:/x rw\n4 1 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mount_of(&mounts, "/var/log/nginx").unwrap().kind, "tmpfs");
        assert_eq!(mount_of(&mounts, "/var/logs").unwrap().kind, "ext4");
        assert!(mounts[2].may_hang() && mounts[2].read_only && mounts[2].point == "/mnt/a b");
        assert_eq!(mounts[3].options, "rw,memory");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([0-9:/ a-z\\\\-]{0,80}|(?s).{0,80})") {
            let _ = parse_mountinfo(&text);
        }
    }
}
