//! Other ends as a user reaches them: the hidden helper, the agent, and what goes wrong. Nothing leaves this host.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn netwhy(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwhy"));
    command.env_clear().env("LANG", "en_US.UTF-8").env("PATH", "/usr/bin:/bin").env("HOME", folder);
    command.current_dir(folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    netwhy(folder).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A port of loopback nobody listens at.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_helper_speaks_only_the_protocol_and_ends_with_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = netwhy(folder.path())
        .arg("end-stdio")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"request\":{\"id\":1,\"request\":{\"hello\":{\"version\":1}}}}\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"reply\":{\"id\":1,\"reply\":{\"Ok\":{\"hello\":{\"version\":1,"), "{line}");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(
        !text(&run(folder.path(), &["--help"]).stdout).contains("end-stdio"),
        "it is no command for users"
    );
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_lets_its_clients_look_and_says_who_came() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(folder.path(), &["agent", "init", "files", "--address", "127.0.0.1"]);
    assert_eq!(text(&made.stdout).lines().count(), 5, "{}", text(&made.stderr));
    let port = closed_port();
    let listen = format!("127.0.0.1:{port}");
    let mut agent = Agent(
        netwhy(folder.path())
            .args(["agent", "--agent-dir", "files", "--listen", &listen])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut log = BufReader::new(agent.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = log.next().unwrap();
    assert!(first.starts_with(&format!("netwhy agent listens at {listen} · only looks")), "{first}");
    let (target, place) = (format!("127.0.0.1:{}", closed_port()), format!("origin=agent://{listen}"));
    let saved = ["--at", &place, "--agent-dir", "files", "--save", "case.json"];
    let asked = run(folder.path(), &[&[target.as_str()][..], &saved].concat());
    assert_eq!(asked.status.code(), Some(1), "{}", text(&asked.stderr));
    let case = std::fs::read_to_string(folder.path().join("case.json")).unwrap();
    assert!(case.contains("\"name\": \"origin\""), "the agent's record is kept");
    assert!(log.next().unwrap().ends_with("came in · O=netwhy agent, CN=client"));
    assert!(log.next().unwrap().contains("left · O=netwhy agent, CN=client"));
    let stopped = Command::new("kill").args(["-TERM", &agent.0.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(agent.0.wait().unwrap().code(), Some(0));
}

#[test]
fn slips_are_told_in_both_languages_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["agent", "init", "files", "--name", "a.example"]).status.success());
    for (arguments, english, chinese) in [
        (vec!["agent"], "the agent has no certificates", "代理没有证书"),
        (vec!["agent", "--agent-dir", "none"], "cannot use \"none/ca.pem\"", "无法使用 \"none/ca.pem\""),
        (vec!["agent", "init", "x"], "nothing says how clients will call", "没有说明客户端如何称呼"),
        (vec!["agent", "init", "files", "--name", "b"], "nothing is overwritten", "无法使用"),
        (vec!["a:1", "--at", "origin"], "is not of the form NAME=PLACE", "不是 NAME=PLACE 的形式"),
        (vec!["a:1", "--at", "o=root@host"], "is of no known kind", "种类未知"),
        (vec!["a:1", "--at", "o=exec:a 'b"], "opens a quote and never closes it", "引号没有闭合"),
    ] {
        let english_told = run(folder.path(), &arguments);
        assert_eq!(english_told.status.code(), Some(2), "{arguments:?}");
        let told = text(&english_told.stderr);
        assert!(told.contains(english) && told.contains("hint: "), "{arguments:?}: {told}");
        let told = text(&run(folder.path(), &[&arguments[..], &["--lang", "zh"]].concat()).stderr);
        assert!(told.contains(chinese) && told.contains("提示："), "{arguments:?}: {told}");
    }
}
