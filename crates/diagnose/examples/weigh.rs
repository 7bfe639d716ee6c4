//! Weighs a saved case: the likeliest hypotheses and what each fact says for or against the causes named.
//!
//! `cargo run -p netwhy-diagnose --example weigh CASE.json [CAUSE...]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use netwhy_catalogue::Catalogue;
use netwhy_diagnose::{Posterior, Table};
use netwhy_model::SavedCase;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let saved = SavedCase::parse(&std::fs::read_to_string(&words[0]).unwrap()).unwrap();
    let inner = saved.evidence.iter().any(|e| e.leg == netwhy_model::Leg::Inner);
    let catalogue = Catalogue::embedded();
    let table = if inner { Table::with_inner(catalogue) } else { Table::new(catalogue) };
    let seen = table.observe(&saved.evidence);
    let posterior = Posterior::of(&table, &seen);
    for (names, probability) in posterior.named(&table, 12) {
        println!("{probability:.4}  {names}");
    }
    for cause in &words[1..] {
        println!("\n{cause}");
        for (place, fact, value, nats) in table.weigh(cause, &seen) {
            println!("  {place:<7} {nats:+7.2}  {fact} = {value}");
        }
    }
}
