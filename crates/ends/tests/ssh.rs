//! OpenSSH for real: a server of this test's own on a loopback port, OpenSSH's client, keys in a temporary directory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{at, eventually, is_alive, is_root, options};
use netwhy_ends::{EndError, Ends, OpenOptions};
use netwhy_model::host::WatchSpec;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Server {
    child: Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path) -> bool {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    made.is_ok_and(|status| status.success())
}

/// A server whose only key runs this command, or whatever was asked for when that is empty.
fn server(command: &str) -> Option<Server> {
    let program = Path::new("/usr/sbin/sshd");
    if !is_root() || !program.exists() {
        println!("SKIPPED: needs root and sshd");
        return None;
    }
    let _ = std::fs::create_dir("/run/sshd");
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    assert!(keygen(&at("host")) && keygen(&at("user")));
    let key = std::fs::read_to_string(at("user.pub")).unwrap();
    let forced = match command {
        "" => String::new(),
        _ => format!("command=\"{}\" ", command.replace('"', "\\\"")),
    };
    std::fs::write(at("keys"), format!("{forced}{key}")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\nAuthorizedKeysFile {0}/keys\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n",
        directory.path().display()
    );
    std::fs::write(at("sshd_config"), config).unwrap();
    let config = format!(
        "IdentityFile {0}/user\nIdentitiesOnly yes\nUserKnownHostsFile {0}/known\nGlobalKnownHostsFile none\n\
         StrictHostKeyChecking accept-new\nHost aliased\n  HostName 127.0.0.1\n  Port {port}\n  User root\n",
        directory.path().display()
    );
    std::fs::write(at("ssh_config"), config).unwrap();
    let child = Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(at("sshd_config"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(Server { child, directory, port })
}

impl Server {
    fn options(&self) -> OpenOptions {
        let config = self.directory.path().join("ssh_config").display().to_string();
        OpenOptions { ssh_options: vec!["-F".into(), config], ..options() }
    }

    async fn open(&self, place: &str) -> Ends {
        let ends = Ends::open(&at(&[place]), &self.options()).await;
        if let Some((_, place, why)) = ends.failed().first() {
            panic!("{place}: {why}");
        }
        ends
    }
}

#[tokio::test]
async fn an_end_behind_ssh_answers_and_is_gone_when_closed() {
    let Some(server) = server("") else { return };
    let begun = Instant::now();
    let ends = server.open(&format!("origin=ssh://root@127.0.0.1:{}", server.port)).await;
    println!("open over ssh took {:?}", begun.elapsed());
    let end = &ends.opened()[0].end;
    end.watch(WatchSpec { port: 22, ..WatchSpec::default() }).await.unwrap();
    assert_eq!(end.look().await.unwrap().spec.port, 22);
    let pid = end.snapshot(0, false).await.unwrap().processes[0].pid;
    assert!(is_alive(pid));
    let begun = Instant::now();
    ends.close().await;
    println!("close took {:?}", begun.elapsed());
    eventually("the helper behind ssh is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn the_users_own_configuration_counts() {
    let Some(server) = server("") else { return };
    server.open("origin=ssh://aliased").await.close().await;
}

#[tokio::test]
async fn banners_are_passed_over_and_a_copy_is_made_where_nothing_is_visible() {
    let Some(apart) = common::apart() else { return };
    let command =
        format!("echo Welcome; printf 'No newline: '; exec {apart} sh -c \"$SSH_ORIGINAL_COMMAND\"");
    let Some(server) = server(&command) else { return };
    let begun = Instant::now();
    let ends = server.open("origin=ssh://aliased").await;
    println!("open over ssh with a copy took {:?}", begun.elapsed());
    let program = ends.opened()[0].end.snapshot(0, false).await.unwrap().kernel;
    assert!(program.ends_with("(deleted)"), "{program}");
    ends.close().await;
}

#[tokio::test]
async fn what_ssh_says_is_the_reason() {
    let Some(server) = server("") else { return };
    let mut wrong = server.options();
    let other = server.directory.path().join("other");
    assert!(keygen(&other));
    wrong.ssh_options = vec!["-F".into(), "/dev/null".into()];
    for option in [
        format!("IdentityFile={}", other.display()),
        "IdentitiesOnly=yes".into(),
        "StrictHostKeyChecking=no".into(),
        "UserKnownHostsFile=/dev/null".into(),
    ] {
        wrong.ssh_options.extend(["-o".into(), option]);
    }
    let refused = common::refusal(&format!("o=ssh://root@127.0.0.1:{}", server.port), &wrong).await;
    assert!(
        matches!(&refused, EndError::NotStarted { said } if said.contains("Permission denied")),
        "{refused}"
    );
    let refused = common::refusal("o=ssh://127.0.0.1:1", &server.options()).await;
    assert!(
        matches!(&refused, EndError::NotStarted { said } if said.contains("Connection refused")),
        "{refused}"
    );
    let missing = OpenOptions { ssh_program: Some("/does/not/exist".into()), ..options() };
    let refused = common::refusal("o=ssh://127.0.0.1:1", &missing).await;
    assert!(matches!(refused, EndError::Start { .. }), "{refused}");
}

#[tokio::test]
async fn a_server_killed_in_the_middle_is_a_clear_error() {
    let Some(server) = server("") else { return };
    let ends = server.open("origin=ssh://aliased").await;
    let end = ends.opened()[0].end.clone();
    let pid = end.snapshot(0, false).await.unwrap().processes[0].pid;
    let call = tokio::spawn(async move { end.snapshot(20_000, false).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The server process of this one connection is the parent of the helper or of its shell.
    let parent = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("PPid:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    let name = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let mut above = parent(pid);
    while !name(above).starts_with("sshd") {
        above = parent(above);
    }
    assert!(Command::new("kill").args(["-9", &above.to_string()]).status().unwrap().success());
    let ended = call.await.unwrap();
    assert!(matches!(ended, Err(EndError::Gone { .. })), "{ended:?}");
    eventually("the helper reads the end of its input", || !is_alive(pid)).await;
}
