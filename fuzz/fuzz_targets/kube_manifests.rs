//! Manifests of Kubernetes: what is wrong with them, who may connect to whom.
#![no_main]

#[path = "shared/estate.rs"]
mod estate;

use estate::{ask, plain};
use libfuzzer_sys::fuzz_target;
use netwhy_policy::estate::Estate;
use netwhy_policy::kube::{Kube, Options};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let kube = Kube::read(&[("m.yaml".into(), &*text)], Options::default());
    assert!(kube.unread().iter().all(|gap| plain(&gap.text)));
    assert!(kube.faults().iter().all(|one| plain(&one.text.en) && plain(&one.within)));
    assert!(kube.connections().iter().all(|one| plain(&one.from) && plain(&one.to)));
    ask(&kube);
});
