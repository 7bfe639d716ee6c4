//! `netwhy flows detect`: attacks in files, as the contract `netwhy.alerts/1`.

use super::alerts::page;
use super::inputs::{Fed, FedJson, Inputs};
use crate::{Common, fail, print, warn};
use anyhow::Result;
use netwhy_flows::detect::logs::LogDetectors;
use netwhy_flows::detect::{Alert, Detectors, Options, Report};
use netwhy_flows::source::Batch;
use netwhy_flows::{Address, Names};
use netwhy_model::Lang;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// Which attacks do these files know of?
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    pub(super) what: What,
}

/// What counts as an attack, and as ours.
#[derive(Debug, clap::Args)]
pub(super) struct What {
    /// An address of our own, where the records do not show it; may be repeated
    #[arg(long, value_name = "ADDR")]
    own: Vec<IpAddr>,
    /// Tell only what is at least so sure, between 0 and 1
    #[arg(long, value_name = "CONFIDENCE", default_value_t = 0.5)]
    least: f64,
}

impl What {
    /// The detectors for what follows.
    pub(super) fn finder(&self, names: &Arc<Names>) -> Result<Finder> {
        if !(0.0..=1.0).contains(&self.least) {
            let told = self.least;
            return Err(fail(
                (format!("{told} is not a value of --least"), format!("{told} 不是 --least 的值")),
                ("write a number between 0 and 1", "写 0 到 1 之间的数"),
            ));
        }
        let ours = self.own.iter().map(|address| Address::from(*address)).collect();
        Ok(Finder::new(names, ours))
    }

    /// Whether an alert is sure enough to be told.
    pub(super) fn tells(&self, confidence: f64) -> bool {
        confidence >= self.least
    }
}

/// The contract with what was read beside it.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    input: FedJson<'a>,
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let names = Arc::new(Names::default());
    let mut finder = args.what.finder(&names)?;
    let source = args.inputs.how.source(&names);
    let fed = args.inputs.read(&source, common, &mut |batch| finder.take(&batch))?;
    let mut report = finder.report();
    report.alerts.retain(|alert| args.what.tells(alert.confidence));
    tell(&report, &fed, common)?;
    Ok(u8::from(!report.alerts.is_empty()))
}

/// All detectors: on flows, and on what logs tell.
pub(super) struct Finder {
    flows: Detectors,
    logs: LogDetectors,
}

impl Finder {
    pub(super) fn new(names: &Arc<Names>, ours: Vec<Address>) -> Finder {
        let flows = Detectors::new(Options { names: Some(names.clone()), ours });
        Finder { flows, logs: LogDetectors::new(names.clone()) }
    }

    pub(super) fn take(&mut self, batch: &Batch) {
        match batch {
            Batch::Flows(flows) => flows.iter().for_each(|flow| self.flows.flow(flow)),
            Batch::Events(events) => events.iter().for_each(|event| self.logs.event(event)),
        }
    }

    /// What is known by now, each attack told once.
    pub(super) fn tick(&mut self, now_ms: i64) -> Vec<Alert> {
        self.logs.tick(now_ms).into_iter().for_each(|alert| self.flows.add(alert));
        self.flows.tick(now_ms)
    }

    /// The same at once and for the last time.
    pub(super) fn last(&mut self) -> Vec<Alert> {
        self.logs.finish().into_iter().for_each(|alert| self.flows.add(alert));
        self.flows.news()
    }

    /// All that was found; what logs and flows say of the same attack is one alert.
    pub(super) fn report(&mut self) -> Report {
        self.logs.finish().into_iter().for_each(|alert| self.flows.add(alert));
        self.flows.report()
    }
}

fn tell(report: &Report, fed: &Fed, common: &Common) -> Result<()> {
    fed.tell(common.lang);
    if common.json {
        return print(&netwhy_report::to_json(&Whole { report, input: fed.json() }, true)?);
    }
    if report.forgotten > 0 {
        warn(&match common.lang {
            Lang::En => format!(
                "{} things found no room in the tables: the counts are lower bounds",
                report.forgotten
            ),
            Lang::Zh => format!("{} 项因表已满未计入：各计数为下限", report.forgotten),
        });
    }
    print(&page(report, fed, common))
}
