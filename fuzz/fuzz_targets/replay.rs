//! Any evidence the catalogue knows, with any words in it, gives a verdict and pages without control characters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netwhy_catalogue::Catalogue;
use netwhy_model::{Case, Evidence, Lang, SAVED_SCHEMA, SavedCase, Stamp, Target};
use netwhy_report::Style;

/// Facts of one case.
const FACTS_COUNT_MAX: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<2>() else { return };
    let (picks, words) = rest.split_at(rest.len().min(usize::from(head[0]) % FACTS_COUNT_MAX * 3));
    let words = String::from_utf8_lossy(words);
    let facts: Vec<_> = Catalogue::embedded().facts().collect();
    let pick = |(number, pick): (usize, &[u8])| {
        let fact = facts[usize::from(u16::from_be_bytes([pick[0], pick[1]])) % facts.len()];
        let value =
            fact.values.keys().nth(usize::from(pick[2]) % fact.values.len()).map_or("", String::as_str);
        let mut evidence =
            Evidence::seen(&fact.name, value, fact.link, Stamp::default(), "fuzz", words.as_ref());
        evidence.id = format!("E{}", number + 1);
        evidence
    };
    let evidence: Vec<Evidence> = picks.chunks_exact(3).enumerate().map(pick).collect();
    let Ok(target) = "https://shop.example.test/".parse::<Target>() else { return };
    let lang = if head[1] & 1 == 0 { Lang::En } else { Lang::Zh };
    let saved = SavedCase {
        schema: SAVED_SCHEMA.into(),
        case: Case::new(target),
        started: Stamp::default(),
        total_ms: 7,
        evidence,
    };
    let verdict = netwhy_engine::replay(&saved, lang);
    let style =
        Style { lang, color: false, unicode: true, width: usize::from(head[1]), verbose: head[1] & 2 == 0 };
    let text = netwhy_report::verdict_text(&verdict, &style);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    let page = netwhy_report::verdict_html(&[verdict], lang);
    assert!(!page.contains("<script"), "{page}");
});
