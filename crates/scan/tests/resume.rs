//! Checkpoints: a scan that was killed goes on where it was, and a bad checkpoint is named.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{Net, TARGET, in_namespace, meanwhile, plan, scanned};
use netwhy_scan::{Checkpoint, Pace, Plan, State};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Tells the child which file it keeps.
const FILE: &str = "NETWHY_SCAN_TEST_CHECKPOINT";
/// How long the child may take to keep half of its scan.
const HALF_WITHIN: Duration = Duration::from_secs(30);
const PORTS: &str = "1-20000";
const RATE: u64 = 4_000;
const OPEN: [u16; 6] = [22, 80, 443, 5_000, 12_345, 19_999];

fn slow_plan(file: &Path) -> Plan {
    let mut plan = plan(TARGET, PORTS);
    plan.pace = Pace::Rate(RATE);
    plan.checkpoint = Some(file.to_owned());
    plan
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("netwhy-scan-{name}-{}.checkpoint", std::process::id()))
}

/// Not a test of its own: what the next one starts and kills.
#[test]
fn child_that_is_killed() {
    if let Some(file) = std::env::var_os(FILE) {
        let _ = scanned(&slow_plan(Path::new(&file)));
    }
}

#[test]
fn a_killed_scan_goes_on_where_it_was() {
    in_namespace(&[], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &OPEN);
        let file = temporary("killed");
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child_that_is_killed"])
            .env(FILE, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the child");
        let settled = || Checkpoint::load(&file).map_or(0, |kept| kept.settled_count());
        common::until("a quarter of the scan", HALF_WITHIN, || settled() >= 5_000);
        // SIGKILL.
        child.kill().expect("killing the child");
        child.wait().expect("its end");
        let kept = Checkpoint::load(&file).expect("a checkpoint that is whole");
        let before = kept.settled_count();
        assert!((5_000..20_000).contains(&before), "{before}");
        let (asked, sent, elapsed) = (kept.asked, kept.sent, kept.elapsed);
        assert!(asked >= before && sent >= asked && elapsed >= Duration::from_secs(1), "{asked}, {sent}");
        let mut again = slow_plan(&file);
        again.pace = Pace::Fast;
        kept.check(&again, &file).expect("of this plan");
        again.resume = Some(Arc::new(kept));
        let mut least = u64::MAX;
        let stop = AtomicBool::new(false);
        let told = meanwhile(&again, &stop, |progress| least = least.min(progress.asked));
        let summary = told.summary();
        assert!(summary.complete, "{told:?}");
        // The sums are of the whole scan.
        assert!(least >= asked, "{least} after {asked}");
        assert!(u128::from(summary.elapsed_ms) >= elapsed.as_millis(), "{summary:?}");
        assert_eq!((summary.open, summary.closed), (6, 19_994), "{told:?}");
        // What was settled is not asked again, a few questions that were on their way apart.
        assert!(
            (sent..sent + 2 * (20_000 - before) + 1_000).contains(&summary.packets_sent),
            "{} after {before} with {sent}",
            summary.packets_sent
        );
        let _ = std::fs::remove_file(&file);
    });
}

#[test]
fn a_torn_checkpoint_is_named() {
    in_namespace(&[], || {
        let net = Net::new();
        let _open = net.target.listen(TARGET, &OPEN);
        let file = temporary("torn");
        let mut plan = slow_plan(&file);
        plan.max_duration = Some(Duration::from_millis(2_500));
        let told = scanned(&plan);
        assert!(!told.summary().complete, "{told:?}");
        let whole = std::fs::read(&file).expect("the checkpoint");
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).expect("tearing it");
            assert!(
                Checkpoint::load(&file).is_err(),
                "{length} of {} bytes were taken for whole",
                whole.len()
            );
        }
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        std::fs::write(&file, &flipped).expect("damaging it");
        assert!(Checkpoint::load(&file).is_err());
        std::fs::write(&file, &whole).expect("mending it");
        let kept = Checkpoint::load(&file).expect("whole again");
        let other = common::plan(TARGET, "1-100");
        assert!(kept.check(&other, &file).is_err(), "it is of another plan");
        let _ = std::fs::remove_file(&file);
    });
}

#[test]
fn a_full_disk_does_not_end_the_scan_in_silence() {
    in_namespace(&["mount"], || {
        // SAFETY: plain system call; the mounts of this thread are its own from here on.
        if unsafe { libc::unshare(libc::CLONE_FS | libc::CLONE_NEWNS) } != 0 {
            println!("SKIPPED: no privilege for a mount namespace");
            return;
        }
        let folder = std::env::temp_dir().join(format!("netwhy-scan-full-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let at = folder.display();
        common::run(&format!("mount --make-rprivate /; mount -t tmpfs -o size=16k none {at}"));
        common::run(&format!("dd if=/dev/zero of={at}/filler bs=4k count=4 2>/dev/null || true"));
        let net = Net::new();
        let _open = net.target.listen(TARGET, &OPEN);
        let mut plan = plan(TARGET, PORTS);
        plan.checkpoint = Some(folder.join("scan.checkpoint"));
        let told = scanned(&plan);
        match &told.summary {
            // Either it says so before anything else, or it says so and finishes.
            Err(error) => assert!(error.to_string().contains("checkpoint"), "{error}"),
            Ok(_) => {
                assert_eq!(told.with(State::Open), OPEN, "{told:?}");
                assert!(
                    format!("{:?}", told.notices).to_lowercase().contains("checkpoint"),
                    "{:?}",
                    told.notices
                );
            }
        }
        let _ = std::process::Command::new("umount").arg(&folder).status();
        let _ = std::fs::remove_dir_all(&folder);
    });
}
