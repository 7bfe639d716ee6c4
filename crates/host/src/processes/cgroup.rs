//! What the path of a control group says of a process: its systemd unit, its container. Pure.

/// Digits of a container id that are shown.
const ID_LEN_SHOWN: usize = 12;
/// Digits of a full container id.
const ID_LEN: usize = 64;
/// Prefixes that container runtimes put before the id, and the runtime's name.
const RUNTIMES: [(&str, &str); 8] = [
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("containerd-", "containerd"),
    ("crio-conmon-", ""),
    ("crio-", "cri-o"),
    ("libpod-conmon-", ""),
    ("libpod-", "podman"),
    ("nerdctl-", "nerdctl"),
];
/// Lines of /proc/PID/cgroup read: version 1 has one per controller.
const LINE_COUNT_MAX: usize = 64;

/// Where a process stands among the control groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// `nginx.service`.
    pub unit: Option<String>,
    /// `3f2a9c01d4e5 (docker)`.
    pub container: Option<String>,
    /// The path in the unified hierarchy (version 2).
    pub unified: Option<String>,
    /// Path by version 1 controller: `memory`, `cpu,cpuacct`, `pids`.
    pub legacy: Vec<(String, String)>,
}

/// Reads /proc/PID/cgroup.
pub fn parse_cgroup(text: &str) -> Membership {
    let mut found = Membership::default();
    for line in text.lines().take(LINE_COUNT_MAX) {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if controllers.is_empty() {
            found.unified = Some(path.to_owned());
        } else {
            found.legacy.push((controllers.to_owned(), path.to_owned()));
        }
        // Version 1 keeps units under name=systemd alone; other controllers may sit in the root.
        found.unit = found.unit.or_else(|| unit(path));
        found.container = found.container.or_else(|| container(path));
    }
    found
}

/// The innermost service or scope that is not a user session's.
fn unit(path: &str) -> Option<String> {
    path.split('/')
        .rev()
        .find(|part| part.ends_with(".service") && !part.starts_with("user@"))
        .map(|part| crate::text::printable(&unescaped(part), 100))
}

/// systemd writes odd characters of unit names as `\x2d`.
fn unescaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("\\x") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let code = after.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                out.push(char::from(code));
                rest = after.get(4..).unwrap_or_default();
            }
            None => {
                out.push_str("\\x");
                rest = after.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

fn container(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    parts.iter().enumerate().rev().find_map(|(at, part)| {
        let bare = part.strip_suffix(".scope").unwrap_or(part);
        // containerd by its cgroup driver: `kubepods-pod1.slice:cri-containerd:ID`.
        let bare = bare.rsplit(':').next().unwrap_or(bare);
        for (prefix, runtime) in RUNTIMES {
            if let Some(id) = bare.strip_prefix(prefix).filter(|id| is_id(id)) {
                return (!runtime.is_empty()).then(|| shown(id, runtime));
            }
        }
        let folder = at.checked_sub(1).and_then(|before| parts.get(before)).copied().unwrap_or_default();
        if is_id(bare) {
            let runtime = if folder == "docker" { "docker" } else { kubernetes_or_unknown(path) };
            return Some(shown(bare, runtime));
        }
        let lxc = folder == "lxc" || folder == "lxc.payload";
        let name = bare.strip_prefix("lxc.payload.").or(lxc.then_some(bare)).filter(|name| !name.is_empty());
        name.map(|name| format!("{} (lxc)", crate::text::printable(name, 60)))
    })
}

fn kubernetes_or_unknown(path: &str) -> &'static str {
    if path.contains("kubepods") { "kubernetes" } else { "container" }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn shown(id: &str, runtime: &str) -> String {
    format!("{} ({runtime})", id.get(..ID_LEN_SHOWN).unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_and_containers_are_found() {
        let id = "0123456789abcdef".repeat(4);
        for (path, unit, container) in [
            ("/system.slice/nginx.service".to_owned(), Some("nginx.service"), None),
            (
                "/system.slice/system-getty.slice/getty@tty1.service".to_owned(),
                Some("getty@tty1.service"),
                None,
            ),
            ("/system.slice/my\\x2dapp.service".to_owned(), Some("my-app.service"), None),
            (format!("/system.slice/docker-{id}.scope"), None, Some("0123456789ab (docker)")),
            (format!("/docker/{id}"), None, Some("0123456789ab (docker)")),
            (format!("/kubepods/besteffort/pod1/{id}"), None, Some("0123456789ab (kubernetes)")),
            (format!("/kubepods.slice/cri-containerd-{id}.scope"), None, Some("0123456789ab (containerd)")),
            (format!("/kubepods-x.slice:cri-containerd:{id}"), None, Some("0123456789ab (kubernetes)")),
            (format!("/machine.slice/libpod-{id}.scope/container"), None, Some("0123456789ab (podman)")),
            ("/lxc/web/init".to_owned(), None, None),
            ("/lxc.payload.web".to_owned(), None, Some("web (lxc)")),
            ("/user.slice/user-0.slice/user@0.service/app.slice/run.scope".to_owned(), None, None),
        ] {
            let found = parse_cgroup(&format!("0::{path}"));
            assert_eq!(found.unit.as_deref(), unit, "{path}");
            if !path.starts_with("/lxc/") {
                assert_eq!(found.container.as_deref(), container, "{path}");
            }
        }
    }

    #[test]
    fn both_versions_are_told_apart() {
        let found = parse_cgroup("9:name=systemd:/system.slice/a.service\n4:memory:/m\n0::/\n");
        assert_eq!(found.unit.as_deref(), Some("a.service"));
        assert_eq!(found.unified.as_deref(), Some("/"));
        assert!(found.legacy.contains(&("memory".into(), "/m".into())));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([a-f0-9:/.\\\\x-]{0,80}|(?s).{0,200})") {
            let found = parse_cgroup(&text);
            prop_assert!(!found.unit.unwrap_or_default().chars().any(crate::text::is_unsafe));
        }
    }
}
