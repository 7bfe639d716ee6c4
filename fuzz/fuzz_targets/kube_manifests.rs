//! Manifests of Kubernetes: what is wrong with them, who may connect to whom.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_policy::estate::{Ask, End, Estate};
use netwhy_policy::kube::{Kube, Options};

/// How many endpoints are asked about.
const END_COUNT_MAX: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let kube = Kube::read(&[("m.yaml".into(), &*text)], Options::default());
    assert!(kube.unread().iter().all(|gap| plain(&gap.text)));
    assert!(kube.faults().iter().all(|one| plain(&one.text.en) && plain(&one.within)));
    assert!(kube.connections().iter().all(|one| plain(&one.from) && plain(&one.to)));
    let ends: Vec<End> =
        kube.endpoints().iter().take(END_COUNT_MAX).map(|end| End::Known(end.id.clone())).collect();
    for from in ends.iter().chain([&End::Outside]) {
        for to in ends.iter().chain([&End::Outside]) {
            let _ = kube.way(&Ask { from: from.clone(), to: to.clone(), protocol: 6, port: Some(80) });
        }
    }
});

/// No control character reaches a terminal.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
