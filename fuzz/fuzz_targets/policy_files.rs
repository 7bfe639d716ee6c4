//! Files of any kind together: what they are, what is wrong with them, who may reach whom, and what changes.
#![no_main]

#[path = "shared/estate.rs"]
mod estate;

use estate::plain;
use libfuzzer_sys::fuzz_target;
use netwhy_model::Lang;
use netwhy_policy::estate::{Ask, End};
use netwhy_policy::world::{Source, World};
use netwhy_policy::{changes, check, intents, lint, sarif};

/// How many endpoints are asked about, and how many intents.
const END_COUNT_MAX: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // Files stand behind lines of four equals signs with their names.
    let mut sources: Vec<Source> = Vec::new();
    for part in text.split("\n====") {
        let (name, text) = part.split_once('\n').unwrap_or(("f", part));
        sources.push(Source { file: name.into(), text: text.to_owned() });
    }
    let world = World::read(&sources, None);
    assert!(world.unread().iter().all(|gap| plain(&gap.text)));
    let found = world.lint(None);
    let report = sarif::sarif("0", &lint::kinds(), &found, Lang::Zh, &|place| world.utf16_column(place));
    assert!(report.is_ok());
    let ends: Vec<End> = world
        .endpoints()
        .take(END_COUNT_MAX)
        .map(|end| End::Known(end.id.clone()))
        .chain([End::Outside])
        .collect();
    for from in &ends {
        for to in &ends {
            let (from, to) = (from.clone(), to.clone());
            let _ = world.can(&Ask { from, to, protocol: 6, port: Some(443), request: None });
        }
    }
    let other = World::read(sources.get(1..).unwrap_or_default(), None);
    let _ = changes::between(&world, &other);
    for source in &sources {
        for intent in intents::intents(&source.file, &source.text).intents.iter().take(END_COUNT_MAX) {
            let _ = check::check(&world, intent);
        }
    }
});
