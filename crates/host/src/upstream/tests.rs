//! Real daemons in namespaces of their own, and their configurations as /proc leads to them.

use super::*;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A daemon that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // SAFETY: a plain system call; the process is our own child and not yet waited for.
            unsafe { libc::kill(self.0.id().cast_signed(), libc::SIGTERM) };
        }
        let _ = self.0.wait();
    }
}

impl Daemon {
    /// Starts a script in namespaces of its own and waits until its last program runs.
    fn start(program: &str, folder: &Path, script: &str) -> Option<Daemon> {
        let has = ["/usr/sbin", "/usr/bin"].iter().any(|bin| Path::new(bin).join(program).exists());
        if !has || !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: needs root and {program}");
            return None;
        }
        let child = Command::new("unshare")
            .args(["-n", "-m", "sh", "-c", script])
            .current_dir(folder)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut daemon = Daemon(child);
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Ok(Some(_)) = daemon.0.try_wait() {
                println!("SKIPPED: {program} or a namespace could not be started");
                return None;
            }
            let runs = std::fs::read_to_string(format!("/proc/{}/comm", daemon.0.id())).unwrap_or_default();
            // nginx has read its file once its worker runs, haproxy once it listens.
            if runs.trim() == program && is_ready(daemon.0.id(), program) {
                return Some(daemon);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{program} does not start");
    }

    fn pids(&self) -> Vec<u32> {
        let mut pids = children(self.0.id());
        if pids.is_empty() {
            pids.push(self.0.id());
        }
        pids
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn is_ready(pid: u32, program: &str) -> bool {
    let listens =
        || std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default().lines().count() > 1;
    if program == "nginx" { !children(pid).is_empty() } else { listens() }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const NGINX_HEAD: &str = "user root; daemon off; worker_processes 1; pid nginx.pid; error_log error.log; events { }
http { access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
include sites/*.conf; }";

#[test]
fn a_real_nginx_is_read_through_its_worker() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "nginx.conf", NGINX_HEAD);
    let site =
        "server { listen 4431; server_name shop.test; location / { proxy_pass http://origin.test:8080; } }";
    write(folder.path(), "sites/a.conf", site);
    write(folder.path(), "sites/.b.conf", "not read }");
    write(folder.path(), "hosts", "10.61.30.80 origin.test\nfd61::80 origin.test\n");
    // Its hosts file and its site exist in its own mount namespace alone.
    let script = "mount --make-rprivate / && mount --bind hosts /etc/hosts && cp -r sites real && \
        mount -t tmpfs none sites && cp real/a.conf sites && rm -r real && exec nginx -e error.log -p . -c nginx.conf";
    let Some(daemon) = Daemon::start("nginx", folder.path(), script) else { return };
    std::fs::remove_file(folder.path().join("sites/a.conf")).unwrap();
    let pids = daemon.pids();
    assert_ne!(pids, [daemon.0.id()]);
    let found = proxies(&pids);
    assert_eq!(found.unread, [], "{found:?}");
    assert_eq!(found.upstreams.len(), 1);
    let one = &found.upstreams[0];
    assert_eq!(one.server, "origin.test:8080");
    assert!(one.file.ends_with("/sites/a.conf") && one.listens == [4_431]);
    assert_eq!(one.resolves_to, [IpAddr::from([10, 61, 30, 80]), "fd61::80".parse().unwrap()]);
    // Both its processes are one nginx.
    let both = [pids, vec![daemon.0.id()]].concat();
    assert_eq!(proxies(&both).upstreams.len(), 1);
    assert_eq!(upstreams(&[std::process::id()]), (Vec::new(), Vec::new()));
}

#[test]
fn a_real_haproxy_says_the_state_of_its_servers() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("stats");
    let text = format!(
        "global\n stats socket {} level user\ndefaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n\
         frontend web\n bind :4432\n default_backend apps\nbackend apps\n server a 127.0.0.1:9\n server b 127.0.0.1:10 disabled\n",
        socket.display()
    );
    write(folder.path(), "conf/b.cfg", &text);
    write(folder.path(), "conf/a.cfg", "global\n maxconn 100\n");
    write(folder.path(), "conf/not.txt", "nonsense");
    let Some(daemon) = Daemon::start("haproxy", folder.path(), "exec haproxy -db -f conf") else { return };
    let began = Instant::now();
    let found = proxies(&daemon.pids());
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(found.unread, []);
    let seen: Vec<_> =
        found.upstreams.iter().map(|u| (u.server.as_str(), u.state.as_deref(), u.disabled)).collect();
    assert_eq!(seen, [("127.0.0.1:9", Some("no check"), false), ("127.0.0.1:10", Some("MAINT"), true)]);
    assert!(found.upstreams[0].file.ends_with("/conf/b.cfg"));
}

#[test]
fn a_file_changed_since_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\nlisten a\n bind :4433\n server a 127.0.0.1:9\n";
    write(folder.path(), "haproxy.cfg", text);
    let Some(daemon) = Daemon::start("haproxy", folder.path(), "exec haproxy -db -f haproxy.cfg") else {
        return;
    };
    let later = std::time::SystemTime::now() + Duration::from_secs(60);
    let file = std::fs::File::options().write(true).open(folder.path().join("haproxy.cfg")).unwrap();
    file.set_modified(later).unwrap();
    let found = proxies(&daemon.pids());
    assert_eq!(found.upstreams.len(), 1);
    assert!(found.unread[0].why.contains("changed after"), "{found:?}");
}
