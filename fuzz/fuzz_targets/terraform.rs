//! Files of Terraform, plans and states: their resources, the estates of AWS and the other clouds, the balancers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_policy::aws::Aws;
use netwhy_policy::cloud::READERS;
use netwhy_policy::estate::{Ask, End, Estate};
use netwhy_policy::{balancer, terraform};

/// How many endpoints are asked about.
const END_COUNT_MAX: usize = 4;

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

fn ask(estate: &dyn Estate) {
    let ends: Vec<End> = estate
        .endpoints()
        .iter()
        .take(END_COUNT_MAX)
        .inspect(|end| assert!(plain(&end.id)))
        .map(|end| End::Known(end.id.clone()))
        .chain([End::Outside])
        .collect();
    for from in &ends {
        for to in &ends {
            let _ = estate.way(&Ask { from: from.clone(), to: to.clone(), protocol: 6, port: Some(443) });
        }
    }
}

/// No control character reaches a terminal.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
