//! Files of Terraform, plans and states: their resources, the estates of AWS and the other clouds, the balancers.
#![no_main]

#[path = "shared/estate.rs"]
mod estate;

use estate::{ask, plain};
use libfuzzer_sys::fuzz_target;
use netwhy_policy::aws::Aws;
use netwhy_policy::cloud::READERS;
use netwhy_policy::{balancer, terraform};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (name, text) = match text.strip_prefix('!') {
        Some(rest) => ("plan.tf.json", rest),
        None => ("main.tf", &*text),
    };
    let files = [(name.into(), text)];
    let read = terraform::resources(&files);
    assert!(read.unread.iter().all(|gap| plain(&gap.text)));
    let found = balancer::terraform(&read);
    for one in &found.balancers {
        let _ = balancer::faults(one, &balancer::Known::default());
    }
    let aws = Aws::read(&files);
    let _ = aws.findings();
    ask(&aws);
    for reader in READERS {
        let nodes = (reader.terraform)(&read.resources);
        ask(&(reader.read)(&nodes, Vec::new()));
    }
});
