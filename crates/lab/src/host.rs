//! A machine of the lab: a network, mount and UTS namespace, and a way to run things in it.

use crate::error::{LabError, Result};
use crate::isolate::LAB_DIRECTORY;
use crate::scenario;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use std::ffi::{CString, OsStr};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where programs are looked for: also where daemons live when the user's own PATH has no sbin.
pub const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The real /etc, read-only, as every host's /etc links to it.
const ETC_BASE: &str = "/run/lab/.etc";

/// A machine of the lab. Its namespaces live as long as it does.
#[derive(Debug)]
pub struct Host {
    pub name: String,
    /// Its work directory, where its steps and services run.
    pub directory: PathBuf,
    network: OwnedFd,
    mounts: OwnedFd,
    names: OwnedFd,
}

impl Host {
    /// Makes the namespaces of a host and its /etc.
    pub fn create(spec: &scenario::Host) -> Result<Host> {
        let directory = Path::new(LAB_DIRECTORY).join(&spec.name);
        write_etc(spec, &directory)?;
        let (name, etc) = (spec.name.clone(), directory.join("etc"));
        let [network, mounts, names] = in_thread(move || enter_new(&name, &etc))??;
        Ok(Host { name: spec.name.clone(), directory, network, mounts, names })
    }

    /// A descriptor of its network namespace.
    pub fn network_fd(&self) -> i32 {
        self.network.as_raw_fd()
    }

    /// Runs a closure on a thread inside the host's network namespace (not its mounts).
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let network = &self.network;
        std::thread::scope(|scope| {
            let handle = scope.spawn(move || {
                setns(network, CloneFlags::CLONE_NEWNET)
                    .map_err(|errno| LabError::kernel("entering a namespace")(errno.into()))?;
                Ok(work())
            });
            handle.join().unwrap_or_else(|_| Err(LabError::Ended("a thread panicked".into())))
        })
    }

    /// A command that will run on this host, in its work directory, as the head of a process group.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        let directory = CString::new(self.directory.as_os_str().as_bytes())
            .map_err(|error| LabError::file(&self.directory)(error.into()))?;
        let fds = [
            (self.mounts.as_raw_fd(), libc::CLONE_NEWNS),
            (self.network.as_raw_fd(), libc::CLONE_NEWNET),
            (self.names.as_raw_fd(), libc::CLONE_NEWUTS),
        ];
        command.env_clear().envs(environment(&self.directory)).stdin(Stdio::null());
        // SAFETY: only async-signal-safe system calls on values made before the fork.
        unsafe {
            command.pre_exec(move || {
                for (fd, kind) in fds {
                    if libc::setns(fd, kind) != 0 {
                        return Err(io::Error::last_os_error());
                    }
                }
                if libc::chdir(directory.as_ptr()) != 0 || libc::setpgid(0, 0) != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        Ok(command)
    }

    /// Words that start a program on this host from anywhere in the lab, as [`Host::command`] would.
    ///
    /// `builder` is the process that holds the host's descriptors, as /proc of the lab calls it: its
    /// children find them there, however close-on-exec they are.
    pub fn prefix(&self, builder: &str) -> String {
        let fd = |fd: &OwnedFd| format!("/proc/{builder}/fd/{}", fd.as_raw_fd());
        let mut words = format!(
            "nsenter --net={} --uts={} --mount={} --wdns={} env -i",
            fd(&self.network),
            fd(&self.names),
            fd(&self.mounts),
            self.directory.display()
        );
        for (name, value) in environment(&self.directory) {
            let _ = write!(words, " {name}={value}");
        }
        words
    }

    /// Where a file of this host lies, as the lab sees it: its /etc is a directory of the lab.
    pub fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("/etc/") {
            Some(rest) => self.directory.join("etc").join(rest),
            None => self.directory.join(path),
        }
    }

    /// Writes sysctls of the network namespace, such as `net.ipv4.ip_forward`.
    pub fn sysctl(&self, settings: &[(String, String)]) -> Result<()> {
        self.inside(|| settings.iter().try_for_each(|(name, value)| write_sysctl(name, value)))?
    }

    /// Whether somebody on this host listens on the port.
    pub fn listens(&self, udp: bool, port: u16) -> bool {
        self.inside(|| listens_here(udp, port)).unwrap_or(false)
    }
}

/// All that a program of the lab finds in its environment; no value holds a space.
pub fn environment(directory: &Path) -> [(&'static str, String); 4] {
    [
        ("PATH", SEARCH_PATH.to_owned()),
        ("HOME", directory.display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("SSL_CERT_FILE", format!("{LAB_DIRECTORY}/pki/root.pem")),
    ]
}

/// Writes one sysctl of the calling thread's network namespace; a file the kernel lacks is passed over.
pub fn write_sysctl(name: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    match fs::write(&path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(LabError::file(path)),
    }
}

/// Reads the socket tables of proc(5): state 0A is LISTEN for TCP, 07 an unconnected UDP socket.
fn listens_here(udp: bool, port: u16) -> bool {
    let (tables, state) = if udp { (["udp", "udp6"], " 07 ") } else { (["tcp", "tcp6"], " 0A ") };
    let suffix = format!(":{port:04X} ");
    let listens = |line: &str| {
        let local = line.split_whitespace().nth(1).map(|local| format!("{local} ")).unwrap_or_default();
        local.ends_with(&suffix) && line.contains(state)
    };
    tables.iter().any(|table| {
        fs::read_to_string(format!("/proc/thread-self/net/{table}"))
            .is_ok_and(|text| text.lines().any(listens))
    })
}

fn in_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    std::thread::spawn(work).join().map_err(|_| LabError::Ended("a thread panicked".into()))
}

/// On a thread of its own: new namespaces, the host's /etc and /sys, and descriptors of all three.
fn enter_new(name: &str, etc: &Path) -> Result<[OwnedFd; 3]> {
    let kernel = |what| move |errno: nix::Error| LabError::kernel(what)(errno.into());
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)
        .map_err(kernel("a network namespace"))?;
    nix::unistd::sethostname(name).map_err(kernel("a host name"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(kernel("private mounts"))?;
    mount(Some(etc), "/etc", none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
        .map_err(kernel("a bind mount on /etc"))?;
    // So that /sys/class/net shows this host's interfaces; refused inside some containers, and then missed little.
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::MS_RDONLY, none);
    let open = |kind: &str| {
        let path = format!("/proc/thread-self/ns/{kind}");
        File::open(&path).map(OwnedFd::from).map_err(LabError::file(path))
    };
    Ok([open("net")?, open("mnt")?, open("uts")?])
}

/// The host's /etc: links to the real one, except for the files that say who is who.
fn write_etc(spec: &scenario::Host, directory: &Path) -> Result<()> {
    let etc = directory.join("etc");
    fs::create_dir_all(&etc).map_err(LabError::file(&etc))?;
    let own = [
        ("hosts", hosts_file(spec)),
        ("resolv.conf", resolv_conf(spec)),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n".into(),
        ),
        ("hostname", format!("{}\n", spec.name)),
    ];
    for entry in fs::read_dir(ETC_BASE).map_err(LabError::file(ETC_BASE))?.flatten() {
        let name = entry.file_name();
        if own.iter().any(|(own, _)| name == *own) {
            continue;
        }
        let link = etc.join(&name);
        std::os::unix::fs::symlink(Path::new(ETC_BASE).join(&name), &link).map_err(LabError::file(link))?;
    }
    for (name, text) in own {
        let path = etc.join(name);
        fs::write(&path, text).map_err(LabError::file(path))?;
    }
    Ok(())
}

fn hosts_file(spec: &scenario::Host) -> String {
    let mut text =
        format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 {}\n", spec.name);
    for line in &spec.hosts {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn resolv_conf(spec: &scenario::Host) -> String {
    let mut text = String::new();
    for resolver in &spec.resolvers {
        let _ = writeln!(text, "nameserver {resolver}");
    }
    if !spec.search.is_empty() {
        let _ = writeln!(text, "search {}", spec.search.join(" "));
    }
    if !spec.options.is_empty() {
        let _ = writeln!(text, "options {}", spec.options);
    }
    text
}
