//! A machine without memory for the ring: a correct result or a clear error, never a crash.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{Net, TARGET, in_namespace, plan, scanned};
use netwhy_scan::{ScanError, State};
use nix::sys::resource::{Resource, setrlimit};
use std::process::{Command, Stdio};

/// Tells the child how many bytes of address space it has besides what it holds.
const BESIDES: &str = "NETWHY_SCAN_TEST_BYTES";
const OPEN: [u16; 3] = [22, 80, 443];

/// Not a test of its own: what the next one starts.
#[test]
fn child_with_little_memory() {
    let Ok(besides) = std::env::var(BESIDES) else { return };
    let besides: u64 = besides.parse().expect("a number");
    in_namespace(&[], move || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &OPEN);
        let statm = std::fs::read_to_string("/proc/self/statm").expect("what we hold");
        let pages: u64 = statm.split(' ').next().and_then(|pages| pages.parse().ok()).expect("pages");
        let (limit, plan) = (pages * 4_096 + besides, plan(TARGET, "1-2000"));
        setrlimit(Resource::RLIMIT_AS, limit, limit).expect("a limit");
        let told = scanned(&plan);
        match &told.summary {
            Ok(summary) => {
                assert_eq!(told.with(State::Open), OPEN, "{told:?}");
                assert!(summary.complete);
            }
            Err(error) => assert!(matches!(error, ScanError::System { .. }), "{error}"),
        }
    });
}

#[test]
fn little_memory_is_no_crash() {
    in_namespace(&[], || {
        for megabytes in [2, 4, 8, 16, 32] {
            let child = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "child_with_little_memory", "--nocapture"])
                .env(BESIDES, (megabytes << 20).to_string())
                .stdin(Stdio::null())
                .output()
                .expect("the child");
            let said = String::from_utf8_lossy(&child.stderr);
            assert!(child.status.success(), "with {megabytes} MiB: {}\n{said}", child.status);
        }
    });
}
