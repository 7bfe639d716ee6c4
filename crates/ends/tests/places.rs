//! Real places: command prefixes, namespaces, copies, and programs that are no place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::{apart, at, eventually, helper, is_alive, is_root, open, options, refusal};
use netwhy_ends::{EndError, EndName, Ends, FaultCode, Place, Request, RunSpec};
use netwhy_model::Case;
use netwhy_model::host::WatchSpec;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Whether a command works here.
fn works(command: &str) -> bool {
    Command::new("sh").args(["-c", command]).output().is_ok_and(|output| output.status.success())
}

/// A stand-in for the shell over there: it greets as the real one does, then does this.
fn greets(word: &str, then: &str) -> String {
    format!("o=exec:sh -c 'for n; do :; done; echo \"netwhy-end/1 $n {word}\"; {then}'")
}

#[tokio::test]
async fn a_visible_program_is_started_in_place_and_fast() {
    let begun = Instant::now();
    let ends = open(&["origin=exec:sh -c 'exec \"$@\"' --"]).await;
    let took = begun.elapsed();
    let origin = &ends.opened()[0];
    assert!(!origin.unchecked && !origin.hello.boot_id.is_empty());
    origin.end.watch(WatchSpec { port: 443, ..WatchSpec::default() }).await.unwrap();
    assert_eq!(origin.end.look().await.unwrap().spec.port, 443);
    origin.end.unwatch().await.unwrap();
    let program = origin.end.snapshot(0, false).await.unwrap().kernel;
    assert_eq!(Path::new(&program), helper().canonicalize().unwrap(), "no copy was made");
    assert!(took < Duration::from_millis(500), "{took:?}");
    println!("open took {took:?}");
    ends.close().await;
}

#[tokio::test]
async fn a_program_seen_by_its_path_alone_is_not_copied() {
    let prefix = "unshare -p -f --mount-proc";
    if !works(&format!("{prefix} true")) {
        println!("SKIPPED: needs the right to make PID namespaces");
        return;
    }
    let ends = open(&[&format!("origin=exec:{prefix}")]).await;
    let program = ends.opened()[0].end.snapshot(0, false).await.unwrap().kernel;
    assert_eq!(Path::new(&program), helper().canonicalize().unwrap());
    ends.close().await;
}

#[tokio::test]
async fn a_copy_is_started_where_the_program_is_not_visible_and_leaves_no_file() {
    let Some(apart) = apart() else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = format!("origin=exec:env TMPDIR={} {}", directory.path().display(), apart);
    let begun = Instant::now();
    let ends = open(&[&place]).await;
    println!("open with a copy took {:?}", begun.elapsed());
    let origin = &ends.opened()[0];
    assert!(!origin.unchecked, "sha256sum is here");
    let program = origin.end.snapshot(0, false).await.unwrap().kernel;
    assert!(program.starts_with(directory.path().to_str().unwrap()), "{program}");
    assert!(program.ends_with("(deleted)"), "{program}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "already while it runs");
    ends.close().await;
}

#[tokio::test]
async fn without_any_hash_tool_the_size_is_compared_and_that_is_said() {
    let Some(apart) = apart() else { return };
    let tools = tempfile::tempdir().unwrap();
    for tool in ["sh", "uname", "mktemp", "chmod", "rm", "head", "wc", "stat", "env"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
        let path = String::from_utf8(found.stdout).unwrap();
        std::os::unix::fs::symlink(path.trim(), tools.path().join(tool)).unwrap();
    }
    let tools = tools.path().display();
    let ends = open(&[&format!("origin=exec:{apart} env PATH={tools}")]).await;
    assert!(ends.opened()[0].unchecked);
    ends.close().await;
}

#[tokio::test]
async fn a_directory_that_may_not_hold_programs_is_passed_over() {
    let Some(apart) = apart() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let mount = format!("mount -t tmpfs -o noexec none {path} && exec env TMPDIR={path} \"$@\"");
    let ends = open(&[&format!("origin=exec:{apart} sh -c '{mount}' --")]).await;
    let program = ends.opened()[0].end.snapshot(0, false).await.unwrap().kernel;
    assert!(program.starts_with("/tmp/netwhy."), "{program}");
    ends.close().await;
    let all = "for d in /tmp /dev/shm /run /var/tmp; do mount -t tmpfs -o noexec none $d; done; exec \"$@\"";
    let refused = refusal(&format!("origin=exec:{apart} sh -c '{all}' --"), &options()).await;
    assert!(matches!(refused, EndError::NoDirectory { .. }), "{refused}");
}

#[tokio::test]
async fn a_copy_that_does_not_arrive_whole_is_not_started() {
    let Some(apart) = apart() else { return };
    let directory = tempfile::tempdir().unwrap();
    let lossy = directory.path().join("head");
    std::fs::write(&lossy, "#!/bin/sh\ncat /proc/self/maps; /usr/bin/head \"$@\" > /dev/null\n").unwrap();
    works(&format!("chmod +x {}", lossy.display()));
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let refused = refusal(&format!("origin=exec:{apart} env PATH={path}"), &options()).await;
    assert!(matches!(refused, EndError::Damaged { .. }), "{refused}");
    std::fs::write(&lossy, "#!/bin/sh\n/usr/bin/head \"$@\" | tr a b\n").unwrap();
    let refused = refusal(&format!("origin=exec:{apart} env PATH={path}"), &options()).await;
    assert!(refused.to_string().contains("SHA-256"), "{refused}");
}

#[tokio::test]
async fn a_program_that_cannot_run_there_is_refused_by_what_is_missing() {
    let Some(apart) = apart() else { return };
    let directory = tempfile::tempdir().unwrap();
    let uname = directory.path().join("uname");
    std::fs::write(&uname, "#!/bin/sh\n[ $1 = -s ] && echo Linux || echo mips64\n").unwrap();
    works(&format!("chmod +x {}", uname.display()));
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let refused = refusal(&format!("origin=exec:{apart} env PATH={path}"), &options()).await;
    assert!(matches!(&refused, EndError::Machine { found, .. } if found == "Linux mips64"), "{refused}");
    // Netwhy's place is taken by a program that fails.
    let mut broken = options();
    let hidden = tempfile::NamedTempFile::new_in(helper().parent().unwrap()).unwrap();
    std::fs::copy("/bin/false", hidden.path()).unwrap();
    broken.program = Some(hidden.path().to_owned());
    let refused = refusal(&format!("origin=exec:{apart}"), &broken).await;
    assert!(matches!(refused, EndError::CopyFails { .. }), "{refused}");
    let refused = refusal("origin=exec:env", &broken).await;
    assert!(matches!(refused, EndError::Gone { .. }), "{refused}");
}

#[tokio::test]
async fn a_place_without_the_loader_is_refused_by_name() {
    // A program whose loader is nowhere: as glibc's is in an image of musl.
    let mut program = std::fs::read(helper()).unwrap();
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    let Some(at) = program.windows(loader.len()).position(|window| window == loader) else {
        println!("SKIPPED: another machine");
        return;
    };
    program[at + loader.len() - 2] = b'9';
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("foreign");
    std::fs::write(&path, program).unwrap();
    works(&format!("chmod +x {}", path.display()));
    let mut foreign = options();
    foreign.program = Some(path);
    let refused = refusal("origin=exec:env", &foreign).await;
    assert!(
        matches!(&refused, EndError::Loader { loader } if loader == "/lib64/ld-linux-x86-64.so.9"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_network_namespace_is_entered_without_a_shell() {
    let name = format!("netwhy-ends-{}", std::process::id());
    if !works(&format!("ip netns add {name}")) {
        println!("SKIPPED: needs the right to make network namespaces");
        return;
    }
    let begun = Instant::now();
    let ends = open(&[&format!("origin=netns:{name}")]).await;
    println!("open in a namespace took {:?}", begun.elapsed());
    let inside = ends.opened()[0].end.snapshot(0, false).await.unwrap().hostname;
    let called = std::fs::read_to_string(format!("/proc/{}/comm", pid_of(&ends).await)).unwrap();
    assert_eq!(called, "netwhy-end\n");
    let outside = std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    assert_ne!(inside, outside);
    assert!(ends.opened()[0].hello.addresses.is_empty());
    ends.close().await;
    assert!(works(&format!("ip netns del {name}")));
    let refused = refusal(&format!("origin=netns:{name}"), &options()).await;
    assert!(matches!(refused, EndError::Netns { .. }), "{refused}");
}

#[tokio::test]
async fn a_namespace_has_its_own_files_of_etc() {
    let name = format!("netwhy-etc-{}", std::process::id());
    if !is_root() || !works(&format!("ip netns add {name}")) {
        println!("SKIPPED: needs root");
        return;
    }
    let own = Path::new("/etc/netns").join(&name);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("resolv.conf"), "nameserver 192.0.2.53\n").unwrap();
    let ends = open(&[&format!("origin=netns:{name}")]).await;
    let pid = pid_of(&ends).await;
    let seen = std::fs::read_to_string(format!("/proc/{pid}/root/etc/resolv.conf")).unwrap();
    ends.close().await;
    std::fs::remove_dir_all(&own).unwrap();
    works("rmdir /etc/netns");
    works(&format!("ip netns del {name}"));
    assert_eq!(seen, "nameserver 192.0.2.53\n");
}

/// The process that answers as the first end.
async fn pid_of(ends: &Ends) -> u32 {
    ends.opened()[0].end.snapshot(0, false).await.unwrap().processes[0].pid
}

#[tokio::test]
async fn a_case_run_over_there_watches_the_other_ends_through_us() {
    let ends = open(&["client=exec:env", "origin=exec:env", "edge=local"]).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let case = Case::new("https://shop.example/".parse().unwrap());
    let spec = RunSpec {
        case,
        ends: vec![EndName::new("origin"), EndName::new("edge"), EndName::new("nobody")],
        label: "client".into(),
    };
    // Ours, in a lane of its own, is not disturbed.
    let origin = ends.end("origin").unwrap();
    origin.watch(WatchSpec { port: 1, ..WatchSpec::default() }).await.unwrap();
    let events = Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
    let saved = ends.end("client").unwrap().run(spec, events).await.unwrap();
    assert_eq!(*told.lock().unwrap(), ["asking about client"]);
    assert_eq!(saved.case.header("origin"), Some("origin saw port 7 1"));
    assert_eq!(saved.case.header("edge"), Some("edge saw port 7 1"));
    assert!(saved.case.header("nobody").unwrap().contains("no end \"nobody\""));
    assert_eq!(origin.look().await.unwrap().spec.port, 1);
    // The run left its watches behind; they end with it, so that the same can run again and again.
    for _ in 0..20 {
        let case = Case::new("https://shop.example/".parse().unwrap());
        let spec = RunSpec { case, ends: vec![EndName::new("origin")], label: String::new() };
        let saved = ends.end("client").unwrap().run(spec, Arc::new(|_| {})).await.unwrap();
        assert_eq!(saved.case.header("origin"), Some("origin saw port 7 1"));
    }
    let failing = RunSpec {
        case: Case { method: "FAIL".into(), ..Case::new("https://shop.example/".parse().unwrap()) },
        ends: Vec::new(),
        label: String::new(),
    };
    let failed = ends.end("client").unwrap().run(failing, Arc::new(|_| {})).await.unwrap_err();
    assert!(matches!(&failed, EndError::Fault(fault) if fault.code == FaultCode::Failed), "{failed}");
    ends.close().await;
}

#[tokio::test]
async fn an_end_reaches_others_only_while_it_runs_a_case_of_them() {
    // It asks for the origin without being told to run anything, and shows the answer in its introduction.
    let asks = "read -r l; echo \"{\\\"request\\\":{\\\"id\\\":1,\\\"end\\\":\\\"origin\\\",\\\"request\\\":\\\"look\\\"}}\"; \
                read -r reply; echo \"$reply\" >&2";
    let spy = greets("same", asks).replacen("o=", "spy=", 1);
    let ends = Ends::open(&at(&[&spy, "origin=local"]), &options()).await;
    let why = ends.failed()[0].2.to_string();
    assert!(why.contains("no end"), "{why}");
    ends.close().await;
}

#[tokio::test]
async fn programs_that_are_no_place_are_refused_quickly_and_clearly() {
    let refused = refusal("o=exec:/does/not/exist x", &options()).await;
    assert!(matches!(&refused, EndError::Start { program, .. } if program == "/does/not/exist"), "{refused}");
    let refused = refusal("o=exec:sh -c 'echo no such container >&2; exit 1'", &options()).await;
    assert_eq!(refused.to_string(), "the command ended before netwhy could start there: no such container");
    let refused = refusal("o=exec:sh -c 'cat /dev/zero | tr \"\\0\" a'", &options()).await;
    assert!(matches!(refused, EndError::TooLong { .. }), "{refused}");
    let refused = refusal("o=exec:sh -c yes", &options()).await;
    assert!(matches!(refused, EndError::Garbage { .. } | EndError::TooLong { .. }), "{refused}");
    let refused = refusal(&greets("terminal", ""), &options()).await;
    assert!(matches!(refused, EndError::Terminal), "{refused}");
}

#[tokio::test]
async fn helpers_that_misbehave_are_a_clear_error_and_never_a_hang() {
    let refused = refusal(&greets("same", "echo hello"), &options()).await;
    assert!(matches!(&refused, EndError::Garbage { excerpt } if excerpt == "hello"), "{refused}");
    let refused = refusal(&greets("same", "printf {"), &options()).await;
    assert!(matches!(refused, EndError::Truncated), "{refused}");
    let refused = refusal(&greets("same", "echo it broke >&2; exit 3"), &options()).await;
    assert_eq!(refused.to_string(), "the other side is gone: it broke");
    let refused = refusal(&greets("same", "tr \"\\0\" a < /dev/zero"), &options()).await;
    assert!(matches!(refused, EndError::TooLong { .. }), "{refused}");
    let wrong = "read -r l; echo \"{\\\"reply\\\":{\\\"id\\\":1,\\\"reply\\\":{\\\"Ok\\\":\\\"done\\\"}}}\"; cat > /dev/null";
    let refused = refusal(&greets("same", wrong), &options()).await;
    assert!(matches!(refused, EndError::Unexpected), "{refused}");
    let refused = refusal(&greets("copy Linux x86_64 yes", "exit 1"), &options()).await;
    assert!(
        matches!(refused, EndError::NotStarted { .. } | EndError::Damaged { .. } | EndError::Machine { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn an_end_that_dies_fails_its_calls_at_once() {
    let ends = open(&["origin=exec:env"]).await;
    let (end, pid) = (ends.opened()[0].end.clone(), pid_of(&ends).await);
    let call = tokio::spawn(async move { end.snapshot(20_000, false).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(works(&format!("kill -9 {pid}")));
    let begun = Instant::now();
    let ended = call.await.unwrap();
    assert!(matches!(ended, Err(EndError::Gone { .. })), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
    let after = ends.opened()[0].end.call(Request::Look).await;
    assert!(matches!(after, Err(EndError::Gone { .. })), "{after:?}");
}

#[tokio::test]
async fn what_ignores_its_closed_input_is_ended_with_its_whole_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let stubborn = format!(
        "trap \"\" TERM HUP INT; sleep 1000 & echo $! > {}; exec 3<&0; while :; do sleep 1000; done",
        file.display()
    );
    let reply = "read -r l; echo \"{\\\"reply\\\":{\\\"id\\\":1,\\\"reply\\\":{\\\"Ok\\\":{\\\"hello\\\":{\\\"version\\\":1}}}}}\";";
    let ends = Ends::open(&at(&[&greets("same", &format!("{reply} {stubborn}"))]), &options()).await;
    assert_eq!(ends.opened().len(), 1, "{:?}", ends.failed().first().map(|failed| failed.2.to_string()));
    eventually("the pid is written", || file.exists()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let pid: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid));
    let begun = Instant::now();
    ends.close().await;
    assert!(begun.elapsed() < Duration::from_secs(6));
    eventually("the sleeping child of the child is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn dropped_ends_are_gone_soon() {
    let ends = open(&["origin=exec:env", "edge=local"]).await;
    let pid = pid_of(&ends).await;
    assert!(is_alive(pid));
    drop(ends);
    eventually("the helper is gone", || !is_alive(pid)).await;
}

/// A netwhy that opened an end and is killed.
struct Controller(std::process::Child);

impl Controller {
    fn start(place: &str) -> Controller {
        let mut command = Command::new(helper());
        command.args(["control", place]).stdout(std::process::Stdio::piped());
        Controller(command.spawn().unwrap())
    }

    /// The process over there, once it answered.
    fn pid(&mut self) -> u32 {
        use std::io::BufRead;
        let mut line = String::new();
        std::io::BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_killed_controller_leaves_nothing_running() {
    for place in ["o=exec:env", "o=exec:sh -c 'trap \"\" TERM; \"$@\"' --", "o=exec:setsid -w"] {
        let mut controller = Controller::start(place);
        let pid = controller.pid();
        assert!(is_alive(pid), "{place}");
        controller.kill();
        eventually(place, || !is_alive(pid)).await;
    }
    // This one never reads: the kernel ends it when the controller dies.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let controller =
        Controller::start(&format!("o=exec:sh -c 'echo $$ > {}; exec sleep 1000'", file.display()));
    eventually("it runs", || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await;
    let pid: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(is_alive(pid));
    controller.kill();
    eventually("the one that never reads is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_controller_killed_while_it_copies_leaves_no_file() {
    let Some(apart) = apart() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (tools, kept) = (directory.path().join("bin"), directory.path().join("tmp"));
    std::fs::create_dir(&tools).unwrap();
    std::fs::create_dir(&kept).unwrap();
    let begun = directory.path().join("begun");
    let slow = format!("#!/bin/sh\necho $$ > {}\nsleep 2\nexec /usr/bin/head \"$@\"\n", begun.display());
    std::fs::write(tools.join("head"), slow).unwrap();
    works(&format!("chmod +x {}/head", tools.display()));
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let place = format!("o=exec:env PATH={path} TMPDIR={} {apart}", kept.display());
    let controller = Controller::start(&place);
    eventually("the copy begins", || begun.exists()).await;
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0, "it has no name any more");
    controller.kill();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
}

#[tokio::test]
async fn an_agent_without_credentials_is_refused_before_anything_is_sent() {
    let refused = refusal("o=agent://127.0.0.1:1", &options()).await;
    assert!(matches!(refused, EndError::NoCredentials), "{refused}");
    assert_eq!("local".parse::<Place>().unwrap(), Place::Local);
}
