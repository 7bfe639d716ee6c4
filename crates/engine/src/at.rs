//! Cases whose probing, or whose other ends, are elsewhere.

use crate::field::{conclude, failure};
use crate::run::{Event, Run, replay, run_at};
use netwhy_ends::{BoxFuture, End, EndError, EndName, Ends, Events, RunSpec, Runner};
use netwhy_model::host::Record;
use netwhy_model::{Case, Lang, Leg, LegRecord, Question, SavedCase, Vantage};
use std::net::IpAddr;
use std::sync::Arc;

/// Runs cases for whoever asks over a session.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineRunner;

impl Runner for EngineRunner {
    fn run(
        &self,
        spec: RunSpec,
        ends: Vec<(EndName, End)>,
        events: Events,
    ) -> BoxFuture<'_, Result<SavedCase, String>> {
        Box::pin(async move {
            let told = move |event: Event| {
                if let Event::Asking(question) = event {
                    events(&question.0);
                }
            };
            // The language is the asker's business: only what was seen goes back.
            Ok(run_at(spec.case, ends, Vec::new(), true, Lang::En, &told).await.saved)
        })
    }
}

/// Runs one case with the ends the user named: from the client among them, else from here.
///
/// # Errors
/// When the client's end fails: without it nothing was asked.
pub async fn run_with(
    case: Case,
    ends: &Ends,
    watch_self: bool,
    lang: Lang,
    on_event: Arc<dyn Fn(Event) + Send + Sync>,
) -> Result<Run, EndError> {
    let failed: Vec<(String, String)> =
        ends.failed().iter().map(|(name, _, error)| (name.name.clone(), error.to_string())).collect();
    let (clients, others): (Vec<&End>, Vec<&End>) =
        ends.opened().iter().map(|opened| &opened.end).partition(|end| end.name().vantage == Vantage::Source);
    let Some(client) = clients.first() else {
        let others = others.into_iter().map(|end| (end.name().clone(), end.clone())).collect();
        return Ok(run_at(case, others, failed, watch_self, lang, &*on_event).await);
    };
    let spec = RunSpec {
        case,
        ends: others.into_iter().map(|end| end.name().clone()).collect(),
        label: client.name().name.clone(),
    };
    let events: Events =
        Arc::new(move |question: &str| on_event(Event::Asking(Question(question.to_owned()))));
    let mut saved = client.run(spec, events).await?;
    for (name, why) in failed {
        let mut unread = failure(&name, &why, saved.started);
        unread.id = format!("E{}", saved.evidence.len() + 1);
        saved.evidence.push(unread);
    }
    let verdict = replay(&saved, lang);
    Ok(Run { saved, verdict })
}

/// Joins what another end recorded by itself into a saved case, as if it had been watching for it.
pub fn join(saved: &mut SavedCase, records: Vec<Record>) {
    let targets: Vec<IpAddr> = saved
        .records
        .iter()
        .find(|r| r.leg.is_front())
        .map(|r| r.record.spec.targets.clone())
        .or_else(|| records.first().map(|r| r.spec.targets.clone()))
        .unwrap_or_default();
    saved.records.extend(records.into_iter().map(|record| LegRecord { leg: Leg::Front, record }));
    let all: Vec<Record> =
        saved.records.iter().filter(|r| r.leg.is_front()).map(|r| r.record.clone()).collect();
    saved.evidence.retain(|e| e.collector != "ends" || !e.leg.is_front());
    for mut item in conclude(&saved.case, &targets, &all, saved.started) {
        item.id = format!("J{}", saved.evidence.len() + 1);
        saved.evidence.push(item);
    }
}
