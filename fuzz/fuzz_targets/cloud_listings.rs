//! Listings as the tools of clouds print them: whose they are, what they hold, who may reach whom.
#![no_main]

#[path = "shared/estate.rs"]
mod estate;

use estate::{ask, plain};
use libfuzzer_sys::fuzz_target;
use netwhy_policy::aws::Aws;
use netwhy_policy::cloud::READERS;
use netwhy_policy::doc::{Node, json};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let read = json(&"listing.json".into(), &text);
    assert!(read.unread.iter().all(|gap| plain(&gap.text)));
    let aws = Aws::read(&[("listing.json".into(), &*text)]);
    let _ = aws.findings();
    ask(&aws);
    let documents: Vec<Node> = read.documents.into_iter().map(Node::printable).collect();
    for reader in READERS.iter().filter(|reader| documents.iter().any(|one| (reader.claims)(one))) {
        let cloud = (reader.read)(&documents, Vec::new());
        let _ = cloud.findings();
        ask(&cloud);
    }
});
