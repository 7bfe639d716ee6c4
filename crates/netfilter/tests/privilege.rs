//! Without privilege nothing is read silently wrong: what is missing is named.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod common;

use common::{fill_conntrack, load};
use netwhy_model::host::WatchSpec;
use netwhy_netfilter::{NetfilterError, Tracer, conntrack_flows, conntrack_state, ruleset};
use netwhy_testing::in_namespace;

/// Gives up root for this thread alone, which the C library's own call would do for all of them.
fn become_nobody() {
    const NOBODY: libc::c_long = 65_534;
    // SAFETY: plain system call; only this thread changes its identity.
    let done = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
    assert_eq!(done, 0);
}

#[test]
fn what_root_would_read_is_named() {
    in_namespace(&["nft"], || {
        load("table inet filter { chain input { type filter hook input priority 0; policy drop; } }");
        fill_conntrack(10);
        become_nobody();
        let (rules, unread) = ruleset();
        assert_eq!(rules.rules, []);
        assert!(unread.iter().any(|unread| unread.what == "nf_tables" && unread.root_helps), "{unread:?}");
        let error = Tracer::start(&WatchSpec { port: 80, ..WatchSpec::default() }).unwrap_err();
        assert!(error.root_helps(), "{error:?}");
        let error = conntrack_flows(|_| {}).unwrap_err();
        assert!(error.root_helps() && matches!(error, NetfilterError::Read { .. }), "{error:?}");
        let table = conntrack_state().unwrap();
        assert_eq!(table.count, 10);
        assert!(table.from.contains("root"), "{}", table.from);
    });
}
