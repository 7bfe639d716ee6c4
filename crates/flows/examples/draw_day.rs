//! Draws a day of flow logs: `draw_day SEED RECORDS INTENSITY plain|other VERSION FILE`; the truth goes to `FILE.truth.json`.

use netwhy_flows::Names;
use netwhy_flows::generate::{Day, Variant, Writer};
use std::io::BufWriter;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [seed, records, intensity, variant, version, file] = words.as_slice() else {
        return Err("draw_day SEED RECORDS INTENSITY plain|other VERSION FILE[.gz]".into());
    };
    let variant = if variant == "other" { Variant::Other } else { Variant::Plain };
    let day = Day {
        seed: seed.parse()?,
        records: records.parse()?,
        intensity: intensity.parse()?,
        variant,
        ..Day::default()
    };
    let names = Names::default();
    let out = BufWriter::with_capacity(1 << 20, std::fs::File::create(file)?);
    let mut writer = Writer::new(out, &names, version.parse()?)?;
    let mut failed = None;
    let truth = day.draw(&names, |flow| {
        if failed.is_none() {
            failed = writer.write(flow).err();
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    writer.end()?;
    std::fs::write(format!("{file}.truth.json"), serde_json::to_vec_pretty(&truth)?)?;
    Ok(())
}
