//! Listings as the tools of clouds print them: whose they are, what they hold, who may reach whom.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_policy::aws::Aws;
use netwhy_policy::cloud::READERS;
use netwhy_policy::doc::json;
use netwhy_policy::estate::{Ask, End, Estate};

/// How many endpoints are asked about.
const END_COUNT_MAX: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let read = json(&"listing.json".into(), &text);
    assert!(read.unread.iter().all(|gap| plain(&gap.text)));
    let aws = Aws::read(&[("listing.json".into(), &*text)]);
    let _ = aws.findings();
    ask(&aws);
    for reader in READERS.iter().filter(|reader| read.documents.iter().any(|one| (reader.claims)(one))) {
        let cloud = (reader.read)(&read.documents, Vec::new());
        let _ = cloud.findings();
        ask(&cloud);
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
