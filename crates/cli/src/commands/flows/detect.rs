//! `netwhy flows detect`: attacks in files, as the contract `netwhy.alerts/1`.

use super::alerts::page;
use super::inputs::{Fed, FedJson, Inputs};
use crate::{Common, fail, print, warn};
use anyhow::Result;
use netwhy_flows::detect::{Detectors, Options, Report};
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
    pub(super) fn detectors(&self, names: &Arc<Names>) -> Result<Detectors> {
        if !(0.0..=1.0).contains(&self.least) {
            let told = self.least;
            return Err(fail(
                (format!("{told} is not a value of --least"), format!("{told} 不是 --least 的值")),
                ("write a number between 0 and 1", "写 0 到 1 之间的数"),
            ));
        }
        let ours = self.own.iter().map(|address| Address::from(*address)).collect();
        Ok(Detectors::new(Options { names: Some(names.clone()), ours }))
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
    let mut detectors = args.what.detectors(&names)?;
    let source = args.inputs.how.source(&names);
    let fed = args.inputs.read(&source, common, &mut |batch| take(&mut detectors, batch))?;
    let mut report = detectors.report();
    report.alerts.retain(|alert| args.what.tells(alert.confidence));
    tell(&report, &fed, common)?;
    Ok(u8::from(!report.alerts.is_empty()))
}

/// Gives the detectors what was read.
pub(super) fn take(detectors: &mut Detectors, batch: Batch) {
    match batch {
        Batch::Flows(flows) => flows.iter().for_each(|flow| detectors.flow(flow)),
        Batch::Events(events) => events.iter().for_each(|event| detectors.event(event)),
    }
}

fn tell(report: &Report, fed: &Fed, common: &Common) -> Result<()> {
    fed.tell(common.lang);
    if common.json {
        return print(&netwhy_report::to_json(&Whole { report, input: fed.json() }, true)?);
    }
    if report.forgotten > 0 {
        warn(&match common.lang {
            Lang::En => format!("{} things found no room in the tables: the counts are lower bounds", report.forgotten),
            Lang::Zh => format!("{} 项因表已满未计入：各计数为下限", report.forgotten),
        });
    }
    print(&page(report, fed, common))
}
