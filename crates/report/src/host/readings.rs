//! Counters, limits and settings: the odd ones, or all of them.

use super::part::{Cell, Item, Part, Table};
use super::words::{delta, fill_of, percent, shown_limit, shown_value, source};
use super::{Looked, Topic};
use netwhy_model::Lang;
use netwhy_model::host::{Reading, Section, State};

/// Limits shown besides the odd ones, fullest first, unless everything is wanted.
const LIMIT_COUNT_MAX: usize = 6;
/// Least fill of a limit that is shown though it is well, 0 to 1.
const LIMIT_FILL_MIN: f64 = 0.1;
/// Odd readings of one topic shown unless everything is wanted.
const ODD_COUNT_MAX: usize = 20;
/// Readings of one section shown when everything is wanted.
const READING_FULL_COUNT_MAX: usize = 1_000;

/// The topic a section of the collector is told under; what it names that we do not know is a setting.
fn topic_of(section: &Section) -> Topic {
    match section.id.as_str() {
        "queues" | "counters" => Topic::Counters,
        "limits" | "pressure" => Topic::Limits,
        // Told by the firewall's own part.
        "rules" => Topic::Firewall,
        _ => Topic::Settings,
    }
}

/// All sections of one topic.
pub(super) fn part(looked: &Looked<'_>, topic: Topic) -> Part {
    let sections: Vec<&Section> =
        looked.snapshot.sections.iter().filter(|section| topic_of(section) == topic).collect();
    let readings: Vec<&Reading> = sections.iter().flat_map(|section| &section.readings).collect();
    if readings.is_empty() {
        return Part::default();
    }
    let window = looked.snapshot.window_ms;
    let title = match (topic, looked.lang) {
        (Topic::Counters, Lang::En) if window > 0 => format!("Queues and counters (+ is over {window} ms)"),
        (Topic::Counters, Lang::Zh) if window > 0 => format!("队列与计数器（+ 为 {window} 毫秒内的增量）"),
        (Topic::Counters, _) => looked.say("Queues and counters", "队列与计数器"),
        (Topic::Limits, _) => looked.say("Limits and pressure", "上限与压力"),
        _ => looked.say("Settings", "设置"),
    };
    let brief = match topic {
        Topic::Limits => limits(&readings, looked.lang),
        _ => odd(&readings, looked.lang),
    };
    Part { title, brief, full: everything(&sections, looked.lang), topic }
}

/// The odd ones with the reason, or how many were looked at and found well.
fn odd(readings: &[&Reading], lang: Lang) -> Vec<Item> {
    let mut odd: Vec<&Reading> = readings.iter().copied().filter(|r| r.state != State::Well).collect();
    odd.sort_by_key(|reading| std::cmp::Reverse(reading.state));
    if odd.is_empty() {
        let count = readings.len();
        return vec![Item::Line(
            State::Well,
            match lang {
                Lang::En => format!("none of {count} is odd; -v shows all"),
                Lang::Zh => format!("{count} 项中没有异常；-v 显示全部"),
            },
        )];
    }
    vec![table(&odd, lang).first(ODD_COUNT_MAX).into()]
}

/// The odd ones, then the fullest.
fn limits(readings: &[&Reading], lang: Lang) -> Vec<Item> {
    let mut shown: Vec<&Reading> = readings.iter().copied().filter(|r| r.state != State::Well).collect();
    shown.sort_by_key(|reading| std::cmp::Reverse(reading.state));
    shown.truncate(ODD_COUNT_MAX);
    let fill = |reading: &Reading| fill_of(reading).unwrap_or(0.0);
    let mut well: Vec<&Reading> = readings
        .iter()
        .copied()
        .filter(|reading| reading.state == State::Well && fill(reading) >= LIMIT_FILL_MIN)
        .collect();
    well.sort_by(|a, b| fill(b).total_cmp(&fill(a)));
    shown.extend(well.into_iter().take(LIMIT_COUNT_MAX));
    if shown.is_empty() {
        let count = readings.len();
        return vec![Item::Line(
            State::Well,
            match lang {
                Lang::En => format!("none of {count} is near its limit; -v shows all"),
                Lang::Zh => format!("{count} 项均远低于上限；-v 显示全部"),
            },
        )];
    }
    vec![table(&shown, lang).into()]
}

/// Every reading, under the collector's own titles.
fn everything(sections: &[&Section], lang: Lang) -> Vec<Item> {
    let mut items = Vec::new();
    for section in sections.iter().filter(|section| !section.readings.is_empty()) {
        // One section alone is what the part's own title says.
        if sections.len() > 1 {
            let title = format!("{}{}", section.title.get(lang), lang.pick(":", "："));
            items.push(Item::Line(State::Well, title));
        }
        let readings: Vec<&Reading> = section.readings.iter().collect();
        items.push(table(&readings, lang).first(READING_FULL_COUNT_MAX).into());
    }
    items
}

/// Readings of one kind with all there is to say of them.
pub(super) fn table(readings: &[&Reading], lang: Lang) -> Table {
    let mut table = Table::new(&[
        lang.pick("name", "名称"),
        lang.pick("?#fill", "?#占用"),
        lang.pick("?>share", "?>比例"),
        lang.pick(">value", ">数值"),
        lang.pick(">limit", ">上限"),
        ">+",
        lang.pick("read from", "来源"),
    ]);
    lang.pick("why it matters", "说明").clone_into(&mut table.below);
    for reading in readings {
        let fill = fill_of(reading);
        table.row_above(
            reading.state,
            vec![
                reading.name.clone().into(),
                Cell::Fill(fill),
                fill.map_or_else(String::new, percent).into(),
                shown_value(reading, lang).into(),
                shown_limit(reading, lang).into(),
                delta(reading.delta).into(),
                source(reading).into(),
            ],
            reading.note.as_ref().map_or("", |note| note.get(lang)),
        );
    }
    table.without_empty_columns()
}
