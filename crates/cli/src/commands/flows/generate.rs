//! `netwhy flows generate`: a made-up day of flow logs with attacks in it, and the truth about them.

use crate::failure::while_trying;
use crate::{Common, fail, warn};
use anyhow::Result;
use netwhy_flows::Names;
use netwhy_flows::generate::{Day, Variant, Writer};
use netwhy_model::Lang;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Write a day.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the records to this file, as an AWS flow log; stdout by default
    #[arg(value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Write the truth as JSON to this file
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// The same seed draws the same day
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// About so many records
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    records: u64,
    /// How much the attacks do, 1 for all of it
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    intensity: f64,
    /// Another estate: hosts that face the internet, other address plans, not every interface logged
    #[arg(long)]
    other: bool,
    /// The version of the AWS format: 2, or 5 with TCP flags
    #[arg(long = "aws", value_name = "VERSION", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=5))]
    version: u8,
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    if !(args.intensity > 0.0 && args.intensity <= 1.0) {
        let told = args.intensity;
        return Err(fail(
            (format!("{told} is not a value of --intensity"), format!("{told} 不是 --intensity 的值")),
            ("write a number above 0 and up to 1", "写大于 0 且不超过 1 的数"),
        ));
    }
    let variant = if args.other { Variant::Other } else { Variant::Plain };
    let (seed, records, intensity) = (args.seed, args.records, args.intensity);
    let day = Day { seed, records, intensity, variant, ..Day::default() };
    let names = Names::default();
    let out = BufWriter::with_capacity(BUFFER_BYTES, open(&args.out)?);
    let mut writer = Writer::new(out, &names, args.version)?;
    let mut failed = None;
    let truth = day.draw(&names, |flow| {
        if failed.is_none() {
            failed = writer.write(flow).err();
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    writer.end()?.flush()?;
    if let Some(path) = &args.truth {
        let text = netwhy_report::to_json(&truth, true)?;
        open(path)?.write_all(text.as_bytes())?;
    }
    let (attacks, like) = (truth.attacks.len(), truth.look_alikes.len());
    warn(&match common.lang {
        Lang::En => format!("{} records, {attacks} attacks, {like} look-alikes", truth.records),
        Lang::Zh => format!("{} 条记录，{attacks} 起攻击，{like} 个相似的正常行为", truth.records),
    });
    Ok(0)
}

fn open(path: &Path) -> Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdout()));
    }
    let name = path.display();
    let file = File::create(path)
        .map_err(|error| while_trying((format!("cannot write {name}"), format!("无法写入 {name}")), error))?;
    Ok(Box::new(file))
}
