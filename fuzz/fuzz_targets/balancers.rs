//! Load balancers in every form, what is wrong with them, and histories of what their members were.
#![no_main]

#[path = "shared/estate.rs"]
mod estate;

use estate::plain;
use libfuzzer_sys::fuzz_target;
use netwhy_policy::balancer::{self, Balancers, History, Known, flapping};
use netwhy_policy::doc::json;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (kind, text) = match text.char_indices().nth(1) {
        Some((at, _)) => text.split_at(at),
        None => (&*text, ""),
    };
    let documents = || json(&"b.json".into(), text).documents;
    let found = match kind {
        "n" => balancer::nginx_files(&[("nginx.conf".into(), text)]),
        "h" => balancer::haproxy(&"haproxy.cfg".into(), text),
        "a" => balancer::aws(&documents()),
        "g" => balancer::gcp(&documents()),
        "l" => balancer::aliyun(&documents()),
        _ => Balancers::default(),
    };
    assert!(found.unread.iter().all(|gap| plain(&gap.text)));
    let mut known = Known::default();
    known.listens("10.0.0.1:80");
    known.answer("*:80/=302>/login");
    for one in &found.balancers {
        let _ = balancer::faults(one, &known);
        let _ = balancer::check_asks(one);
    }
    let history = History::read(&"h.jsonl".into(), text);
    let _ = flapping(&history).iter().map(balancer::Flap::finding).count();
    let (_, _) = (known.listens(text), known.answer(text));
});
