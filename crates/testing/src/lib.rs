//! Only for tests: a network namespace of one's own, and the tools that fill it.
//!
//! A failed command is a failed test, so these panic, and what cannot run here says SKIPPED.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod desk;

pub use desk::Desk;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at something awaited: another process or the kernel gives no better sign.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Runs `test` on a thread of its own in a fresh network namespace with its loopback up.
///
/// Prints SKIPPED and returns without the privilege or one of the tools.
pub fn in_namespace(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    for tool in tools.iter().chain(&["ip"]) {
        if Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            println!("SKIPPED: {tool} is not installed");
            return;
        }
    }
    let thread = std::thread::spawn(move || {
        // SAFETY: plain system call; only this thread changes its namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            println!("SKIPPED: no privilege for a network namespace");
            return;
        }
        run("ip link set lo up");
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Waits until something holds, and fails when it does not within this time.
pub fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < end, "waited {within:?} in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Runs a shell command in the thread's namespace and gives its output.
pub fn output(command: &str) -> String {
    let output = Command::new("sh").arg("-euc").arg(command).output().expect("sh runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same without its output.
pub fn run(command: &str) {
    output(command);
}

/// Runs a command that may fail, such as one for what this kernel has no module for.
pub fn attempt(command: &str) -> bool {
    let status =
        Command::new("sh").arg("-c").arg(command).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
