//! `netwhy lab run`: plays scenarios and tells what happens.

use super::{Source, Standpoint};
use crate::{Common, print};
use netwhy_lab::{Event, Measured, Phase, Row, Scenario, Script, ToolRun};
use netwhy_model::Verdict;
use std::path::{Path, PathBuf};

/// Which scenarios.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of scenarios; netwhy lab list shows them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Keep the verdicts and saved cases in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    standpoint: Standpoint,
    #[command(flatten)]
    source: Source,
}

/// What was measured while a script played.
#[derive(Debug, Default)]
pub struct Played {
    pub broken: Vec<Measured>,
    pub healed: Vec<Measured>,
    /// The toolbox, when it was run too.
    pub tools: Vec<ToolRun>,
    pub tools_healed: Vec<ToolRun>,
}

/// Plays each scenario in turn; 1 when netwhy was wrong about one of them.
pub async fn run(args: &Args, common: &Common) -> anyhow::Result<u8> {
    let library = args.source.library()?;
    let mut rows = Vec::new();
    for name in &args.names {
        let scenario = library.scenario(name).map_err(|error| unknown(&library, name, error))?;
        rows.push(tell(&scenario, args, common).await?);
    }
    let right = |row: &Row| {
        let found = if row.is_control() { row.named.is_empty() } else { row.acceptable() };
        row.skipped.is_some() || (row.failed.is_none() && found && row.healthy_again != Some(false))
    };
    let code = if rows.iter().all(right) { 0 } else { 1 };
    if common.json {
        print(&netwhy_report::to_json(&netwhy_lab::score(rows), true)?)?;
    }
    Ok(code)
}

fn unknown(library: &netwhy_lab::Library, name: &str, error: netwhy_lab::LabError) -> anyhow::Error {
    let names: Vec<String> = library.names().into_iter().map(|(_, name)| name).collect();
    match netwhy_catalogue::nearest(name, names.iter().map(String::as_str)) {
        Some(near) if matches!(error, netwhy_lab::LabError::Unknown { .. }) => crate::fail(
            (error.to_string(), format!("没有名为 {name:?} 的场景")),
            (
                format!("did you mean {near:?}? netwhy lab list shows all"),
                format!("是否想写 {near:?}？netwhy lab list 列出全部"),
            ),
        ),
        _ => error.into(),
    }
}

async fn tell(scenario: &Scenario, args: &Args, common: &Common) -> anyhow::Result<Row> {
    let head = &scenario.head;
    let teller = Teller { common, silent: common.json, stories: &[] };
    teller.story(scenario)?;
    let missing = netwhy_lab::missing(&scenario.network);
    if !missing.is_empty() {
        teller
            .say("SKIPPED", &format!("{} {}", common.lang.pick("missing:", "缺少："), missing.join(", ")))?;
        return Ok(Row::skipped(head, format!("missing: {}", missing.join(", "))));
    }
    let (mut script, oddities) = script_of(scenario, &args.source, args.keep.is_some(), common);
    script.ends = args.standpoint.ends();
    for oddity in oddities {
        teller.say(teller.pick("odd", "怪癖"), oddity)?;
    }
    let played = play(&script, &teller).await?;
    if let Some(directory) = &args.keep {
        keep(directory, &head.name, &played)?;
    }
    let row = Row::of(head, played.broken.first(), played.healed.first()).seen_from(script.ends);
    teller.judge(scenario, &row)?;
    Ok(row)
}

/// The script of a scenario as the user wants it played, and the oddities strewn over it.
pub fn script_of(
    scenario: &Scenario,
    source: &Source,
    save: bool,
    common: &Common,
) -> (Script, Vec<&'static str>) {
    let mut script = Script::of(scenario);
    script.program.clone_from(&source.program);
    script.seed = source.seed + 1;
    script.save = save;
    script.arguments = vec!["--lang".into(), common.lang.pick("en", "zh").into()];
    let oddities = if source.odd {
        netwhy_lab::sprinkle(&mut script.network, seed_of(scenario, source))
    } else {
        Vec::new()
    };
    (script, oddities)
}

/// Each scenario draws its own oddities.
fn seed_of(scenario: &Scenario, source: &Source) -> u64 {
    scenario
        .head
        .name
        .bytes()
        .fold(source.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// Plays a script, telling every event as it comes.
pub async fn play(script: &Script, teller: &Teller<'_>) -> anyhow::Result<Played> {
    let mut played = Played::default();
    let mut told = Ok(());
    let done = netwhy_lab::run(script, |event| {
        let now = teller.event(&event);
        if told.is_ok() {
            told = now;
        }
        match event {
            Event::Measured { phase: Phase::Broken, measured } => played.broken.push(*measured),
            Event::Measured { phase: Phase::Healed, measured } => played.healed.push(*measured),
            Event::Tools { phase: Phase::Broken, runs } => played.tools = runs,
            Event::Tools { phase: Phase::Healed, runs } => played.tools_healed = runs,
            _ => {}
        }
    })
    .await;
    told?;
    done?;
    Ok(played)
}

/// Writes verdicts and saved cases as `<name>.<phase>.<what>.json`.
pub fn keep(directory: &Path, name: &str, played: &Played) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    for (phase, measured) in [("broken", &played.broken), ("healed", &played.healed)] {
        for measured in measured {
            if let Some(verdict) = &measured.verdict {
                let text = netwhy_report::to_json(verdict, true)?;
                std::fs::write(directory.join(format!("{name}.{phase}.verdict.json")), text)?;
            }
            if let Some(saved) = &measured.saved {
                std::fs::write(directory.join(format!("{name}.{phase}.case.json")), saved)?;
            }
        }
    }
    Ok(())
}

/// Tells a user what happens, or nobody.
pub struct Teller<'a> {
    pub common: &'a Common,
    pub silent: bool,
    /// What is said when an act begins: its name, the English and the Chinese line.
    pub stories: &'a [(&'a str, &'a str, &'a str)],
}

impl Teller<'_> {
    fn pick<'b>(&self, en: &'b str, zh: &'b str) -> &'b str {
        self.common.lang.pick(en, zh)
    }

    /// One line: what it is, and what there is to say.
    pub fn say(&self, label: &str, text: &str) -> anyhow::Result<()> {
        if self.silent {
            return Ok(());
        }
        let room = 8usize.saturating_sub(netwhy_report::display_width(label));
        print(&format!("{label}{} {text}\n", " ".repeat(room)))
    }

    /// A paragraph of its own.
    pub fn paragraph(&self, text: &str) -> anyhow::Result<()> {
        if self.silent { Ok(()) } else { print(&format!("{text}\n\n")) }
    }

    /// A paragraph that stands out.
    pub fn heading(&self, text: &str) -> anyhow::Result<()> {
        let (on, off) = if self.common.color { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        self.paragraph(&format!("{on}{text}{off}"))
    }

    fn story(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let words = scenario.head.words(self.common.lang);
        self.heading(&format!("{}: {}", scenario.head.name, words.title))?;
        self.paragraph(&words.what)
    }

    fn event(&self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Built { hosts, services, millis } => {
                let text = format!("{} ({}; {millis} ms)", hosts.join(" "), services.join(" "));
                self.say(self.pick("built", "搭建"), &text)
            }
            Event::Step { phase, text, output } => self.step(*phase, text, output),
            Event::Measured { phase, measured } => self.measured(*phase, measured),
            Event::Act { name } => match self.stories.iter().find(|(act, ..)| act == name) {
                Some((_, en, zh)) => self.heading(&format!("\n{}", self.pick(en, zh))),
                None => Ok(()),
            },
            Event::Tools { .. } | Event::Failed { .. } | Event::Done => Ok(()),
        }
    }

    fn step(&self, phase: Phase, text: &str, output: &str) -> anyhow::Result<()> {
        let label = match phase {
            Phase::Broken => self.pick("broke", "破坏"),
            Phase::Healed => self.pick("mended", "恢复"),
        };
        self.say(label, text)?;
        if self.common.verbose == 0 || output.is_empty() { Ok(()) } else { self.say("", output) }
    }

    /// What came of one run of netwhy.
    pub fn measured(&self, phase: Phase, measured: &Measured) -> anyhow::Result<()> {
        if self.silent {
            return Ok(());
        }
        self.paragraph(&format!("\n$ {}", measured.command))?;
        let verdict: Option<Verdict> =
            measured.verdict.clone().and_then(|verdict| serde_json::from_value(verdict).ok());
        match (verdict, &measured.verdict) {
            (Some(verdict), _) if phase == Phase::Healed && verdict.healthy => {
                self.paragraph(&format!("{} ({} ms)", verdict.sentence, measured.wall_ms))
            }
            (Some(verdict), _) => {
                self.paragraph(netwhy_report::verdict_text(&verdict, &self.common.style()).trim_end())
            }
            (None, Some(other)) => self.paragraph(&netwhy_report::to_json(other, true)?),
            (None, None) => {
                let why = self.pick("netwhy gave no verdict:", "netwhy 没有给出结论：");
                self.paragraph(&format!("{why} {}", measured.complaint))
            }
        }
    }

    fn judge(&self, scenario: &Scenario, row: &Row) -> anyhow::Result<()> {
        let nothing = self.pick("nothing is wrong", "没有故障");
        let list = |ids: &[String]| if ids.is_empty() { nothing.to_owned() } else { ids.join(", ") };
        self.say(self.pick("truth", "真相"), &list(&row.truth))?;
        let right = if row.is_control() { row.named.is_empty() } else { row.strict() };
        let mark = match (right, row.in_group(), row.acceptable()) {
            (true, ..) => self.pick("right", "正确"),
            (_, true, _) | (_, _, true) => self.pick("in the named group", "在所列范围内"),
            _ => self.pick("wrong", "错误"),
        };
        self.say(self.pick("found", "结论"), &format!("{} ({mark})", list(&row.named)))?;
        let fix = &scenario.head.words(self.common.lang).fix;
        if !fix.is_empty() {
            self.say(self.pick("fix", "修复"), fix)?;
        }
        if let Some(again) = row.healthy_again {
            let text = if again {
                self.pick("mended, and netwhy finds nothing wrong any more", "修复后 netwhy 不再发现问题")
                    .to_owned()
            } else {
                let still = self.pick("mended, yet netwhy still names", "修复后 netwhy 仍指出");
                format!("{still} {}", list(&row.named_after))
            };
            self.say(self.pick("after", "之后"), &text)?;
        }
        if self.silent { Ok(()) } else { print("\n") }
    }
}
