//! Network namespaces of one thread, and the tools that fill them.

#![allow(dead_code)]

use std::process::{Command, Stdio};

/// Runs `test` on a thread of its own in a fresh network namespace; prints SKIPPED without the privilege or a tool.
pub fn in_namespace(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    for tool in tools {
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

/// Runs a shell command in the thread's namespace and gives its output.
pub fn output(command: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(command).output().expect("sh runs");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn run(command: &str) {
    output(command);
}

/// Runs a command that may fail, such as a rule this kernel has no module for.
pub fn attempt(command: &str) -> bool {
    let status =
        Command::new("sh").arg("-c").arg(command).stderr(Stdio::null()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
