//! Files of flow records and logs: found, opened, read, and what of them could not be read told.

use super::times::{ALWAYS, When};
use crate::commands::folder::{Folder, gather};
use crate::failure::while_trying;
use crate::{Common, fail, failure, warn};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use netwhy_flows::logs::Event;
use netwhy_flows::source::{Batch, Source, SourceError, Told};
use netwhy_flows::{Flow, Names, UnreadCount, export};
use netwhy_model::Lang;
use serde::Serialize;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of a folder and all below it.
pub(crate) const FOLDER: Folder = Folder {
    file_count_max: 1_000_000,
    hint: ("name the files or the folders of one day", "请直接指定文件，或某一天的目录"),
};
/// Places that were not understood, told on stderr.
const PLACE_LINE_COUNT_MAX: usize = 20;
/// Places and files in the JSON.
const PLACE_COUNT_MAX: usize = 1_000;

/// What to read.
#[derive(Debug, clap::Args)]
pub(crate) struct Inputs {
    /// Flow logs, captures, exports, access and authentication logs, folders of them, and lakes; '-' reads stdin
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
    #[command(flatten)]
    when: When,
}

/// How to read.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct How {
    /// The order of fields of AWS logs without a header line, as in the flow log's own definition
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
    /// Threads that read; as many as there are processors by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
}

/// What was read of all files, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    pub(crate) files: u64,
    pub(crate) count: UnreadCount,
    pub(crate) export: export::Counts,
    /// Files that ended early or were none, with the reason in both languages.
    pub(crate) broken: Vec<Broken>,
}

/// A file that was not read to its end.
#[derive(Debug, Serialize)]
pub(crate) struct Broken {
    file: String,
    why: String,
    #[serde(skip)]
    why_zh: String,
}

/// What was not understood, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct FedJson<'a> {
    files: u64,
    records: u64,
    unread: u64,
    places: Vec<PlaceJson<'a>>,
    broken: &'a [Broken],
    #[serde(skip_serializing_if = "Option::is_none")]
    exporters: Option<ExportJson>,
}

/// What exporters said and failed to say.
#[derive(Debug, Serialize)]
struct ExportJson {
    datagrams: u64,
    bad_datagrams: u64,
    lost_records: u64,
    sets_without_template: u64,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct PlaceJson<'a> {
    file: &'a str,
    number: u64,
    offset: u64,
    why: &'a str,
    text: &'a str,
}

impl How {
    /// Threads that read.
    pub(crate) fn workers(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.map_or_else(all, usize::from)
    }

    pub(crate) fn source(&self, names: &Arc<Names>) -> Source {
        Source { workers: self.workers(), fields: self.fields.clone(), ..Source::new(names.clone()) }
    }
}

impl Inputs {
    /// Reads all files one after the other; an error is only that nothing at all could be read.
    pub(crate) fn read(&self, source: &Source, common: &Common, each: &mut dyn FnMut(Batch)) -> Result<Fed> {
        read(&self.files, source, &self.when.range()?, common, each)
    }
}

/// Reads files, folders and lakes one after the other and gives what began within these times, in milliseconds since
/// 1970; an error is only that nothing at all could be read.
pub(crate) fn read(
    paths: &[PathBuf],
    source: &Source,
    times: &Range<i64>,
    common: &Common,
    each: &mut dyn FnMut(Batch),
) -> Result<Fed> {
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new("-") || lake::is_one(path)? {
            files.push((path.clone(), true));
        } else {
            gather(path, &FOLDER, &mut files)?;
        }
    }
    let bar = Bar::start(&files, common);
    let mut fed = Fed::default();
    let each: &mut dyn FnMut(Batch) = &mut |batch| cut(times, batch, each);
    for (path, asked_for) in &files {
        let name = if path == Path::new("-") { "stdin".into() } else { path.display().to_string() };
        bar.file(&name);
        #[cfg(feature = "lake")]
        if lake::is_one(path)? {
            lake::read(&name, source, times, &mut fed, each)?;
            continue;
        }
        #[cfg(feature = "lake")]
        if parquet::is_one(path) {
            fed.take(name, parquet::read(path, &source.names, each), *asked_for);
            continue;
        }
        let dated = Source { latest_ms: written_ms(path), ..source.clone() };
        let told = match open(path) {
            Ok(input) => dated.read(&name, bar.through(input), each),
            Err(error) if files.len() == 1 => return Err(error),
            Err(error) => {
                fed.broken(name, failure::sentence(&error, Lang::En), failure::sentence(&error, Lang::Zh));
                continue;
            }
        };
        fed.take(name, told, *asked_for);
    }
    bar.finish();
    if fed.count.read == 0 && !fed.broken.is_empty() {
        return Err(nothing(&fed));
    }
    Ok(fed)
}

/// Gives on what began within some times.
fn cut(times: &Range<i64>, batch: Batch, each: &mut dyn FnMut(Batch)) {
    match batch {
        _ if *times == ALWAYS => each(batch),
        Batch::Flows(flows) => {
            let within = |flow: &&Flow| times.contains(&flow.start_ms);
            each(Batch::Flows(&flows.iter().filter(within).copied().collect::<Vec<Flow>>()));
        }
        Batch::Events(events) => {
            let within = |event: &&Event| times.contains(&event.time_ms);
            each(Batch::Events(&events.iter().filter(within).cloned().collect::<Vec<Event>>()));
        }
    }
}

/// When a file was last written, in milliseconds since 1970; zero where nothing tells.
fn written_ms(path: &Path) -> i64 {
    let written = std::fs::metadata(path).and_then(|about| about.modified()).ok();
    let since = written.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.and_then(|time| i64::try_from(time.as_millis()).ok()).unwrap_or(0)
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let name = path.display();
    let file = File::open(path)
        .map_err(|error| while_trying((format!("reading {name}"), format!("读取 {name}")), error))?;
    Ok(Box::new(file))
}

/// Lakes among the files, each read as its manifest says.
#[cfg(feature = "lake")]
mod lake {
    use super::*;
    use crate::commands::flows::lake::Stores;
    use netwhy_lake::{Lake, LakeOptions};

    pub fn is_one(path: &Path) -> Result<bool> {
        Ok(Lake::is_one(path))
    }

    pub fn read(
        name: &str,
        source: &Source,
        times: &Range<i64>,
        fed: &mut Fed,
        each: &mut dyn FnMut(Batch),
    ) -> Result<()> {
        let trying =
            |error| while_trying((format!("reading the lake {name}"), format!("读取数据湖 {name}")), error);
        let options = LakeOptions { store: Stores::default().options()?, ..LakeOptions::default() };
        let lake = Lake::open(name, options).map_err(trying)?;
        let mut flows = |flows: &[Flow]| each(Batch::Flows(flows));
        let (count, torn) = lake.records(times, &source.names, &mut flows).map_err(trying)?;
        fed.files += 1;
        fed.count.append(count);
        fed.torn(torn);
        Ok(())
    }
}

#[cfg(not(feature = "lake"))]
mod lake {
    use super::*;

    /// A lake cannot be read here, and must not be taken for a folder of files.
    pub fn is_one(path: &Path) -> Result<bool> {
        let is_store = path.to_str().is_some_and(|text| text.contains("://"));
        let is_lake = is_store || ["manifest", "data"].iter().all(|name| path.join(name).is_dir());
        if is_lake { Err(crate::commands::flows::lake::not_built()) } else { Ok(false) }
    }
}

/// Parquet files, read without asking a lake.
#[cfg(feature = "lake")]
mod parquet {
    use super::*;
    use netwhy_flows::source::PARQUET;

    pub fn is_one(path: &Path) -> bool {
        let mut head = [0; PARQUET.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *PARQUET
    }

    pub fn read(path: &Path, names: &Names, each: &mut dyn FnMut(Batch)) -> Told {
        let fed = netwhy_lake::read_parquet(path, names, &mut |flows| each(Batch::Flows(flows)));
        let error = fed.torn.map(|why| SourceError::Input(std::io::Error::other(why.en)));
        Told { kind: None, count: fed.count, export: export::Counts::default(), error }
    }
}

fn nothing(fed: &Fed) -> anyhow::Error {
    let first = &fed.broken[0];
    fail(
        (
            format!("nothing could be read: {}: {}", first.file, first.why),
            format!("没有可读取的内容：{}：{}", first.file, first.why_zh),
        ),
        ("netwhy flows --help names the formats that are read", "netwhy flows --help 列出可读取的格式"),
    )
}

impl Fed {
    /// What an answer from so many files, or from one lake, could not read.
    #[cfg(feature = "lake")]
    pub(crate) fn of_answer(files: u64, count: UnreadCount, torn: Vec<netwhy_lake::Torn>) -> Fed {
        let mut fed = Fed { files, count, ..Fed::default() };
        fed.torn(torn);
        fed
    }

    #[cfg(feature = "lake")]
    fn torn(&mut self, torn: Vec<netwhy_lake::Torn>) {
        for one in torn {
            self.broken(one.file, one.why.en, one.why.zh);
        }
    }

    /// Whether something could not be read.
    #[cfg(feature = "lake")]
    pub(crate) fn is_incomplete(&self) -> bool {
        self.count.unread > 0 || !self.broken.is_empty()
    }

    fn take(&mut self, name: String, told: Told, asked_for: bool) {
        self.files += 1;
        self.count.append(told.count);
        let (mine, more) = (&mut self.export, told.export);
        mine.datagrams += more.datagrams;
        mine.bad_datagrams += more.bad_datagrams;
        mine.flows += more.flows;
        mine.lost_records += more.lost_records;
        mine.sets_without_template += more.sets_without_template;
        mine.refused += more.refused;
        match told.error {
            // A folder may hold anything.
            Some(SourceError::Unknown) if !asked_for => self.files -= 1,
            Some(error) => {
                let error = anyhow::Error::from(error);
                self.broken(name, failure::sentence(&error, Lang::En), failure::sentence(&error, Lang::Zh));
            }
            None => {}
        }
    }

    fn broken(&mut self, file: String, why: String, why_zh: String) {
        if self.broken.len() < PLACE_COUNT_MAX {
            self.broken.push(Broken { file, why, why_zh });
        }
    }

    /// Tells on stderr what was not understood, at most so many lines of it.
    pub(crate) fn tell(&self, lang: Lang) {
        for one in &self.broken {
            warn(&netwhy_report::clean(&format!("{}: {}", one.file, lang.pick(&one.why, &one.why_zh))));
        }
        let places = self.count.places.values().flatten();
        for place in places.take(PLACE_LINE_COUNT_MAX) {
            let line = format!("{}:{}: {}: {}", place.file, place.number, place.why.get(lang), place.excerpt);
            warn(&netwhy_report::clean(&line));
        }
        let (read, unread) = (self.count.read, self.count.unread);
        if unread > 0 {
            warn(&match lang {
                Lang::En => format!("{unread} of {} records could not be read", read + unread),
                Lang::Zh => format!("{} 条记录中有 {unread} 条无法读取", read + unread),
            });
        }
        if self.export.lost_records > 0 {
            let lost = self.export.lost_records;
            warn(&match lang {
                Lang::En => format!("{lost} records that exporters sent never came"),
                Lang::Zh => format!("导出器发出的 {lost} 条记录未收到"),
            });
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> FedJson<'_> {
        let places = self.count.places.values().flatten().take(PLACE_COUNT_MAX);
        let places = places.map(|place| PlaceJson {
            file: &place.file,
            number: place.number,
            offset: place.offset,
            why: &place.why.en,
            text: &place.excerpt,
        });
        FedJson {
            files: self.files,
            records: self.count.read,
            unread: self.count.unread,
            places: places.collect(),
            broken: &self.broken,
            exporters: (self.export.datagrams > 0).then_some(ExportJson {
                datagrams: self.export.datagrams,
                bad_datagrams: self.export.bad_datagrams,
                lost_records: self.export.lost_records,
                sets_without_template: self.export.sets_without_template,
                refused: self.export.refused,
            }),
        }
    }
}

/// How far the reading is, on stderr where that is a terminal.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn start(files: &[(PathBuf, bool)], common: &Common) -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar(None);
        }
        let bytes = files.iter().filter_map(|(path, _)| path.metadata().ok()).map(|meta| meta.len()).sum();
        let bar = ProgressBar::new(bytes);
        let marks = if common.unicode { "━━╌" } else { "#>-" };
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3} %  {bytes_per_sec} {wide_msg}")
        {
            bar.set_style(style.progress_chars(marks));
        }
        Bar(Some(bar))
    }

    fn file(&self, name: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(netwhy_report::clean(name));
        }
    }

    fn through(&self, input: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match &self.0 {
            Some(bar) => Box::new(bar.wrap_read(input)),
            None => input,
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
