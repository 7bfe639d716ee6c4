//! How alerts are written for people.

use super::inputs::Fed;
use super::times::shown;
use crate::Common;
use crate::commands::scan::words::thousands;
use netwhy_flows::detect::{Alert, Radiation, Report, Technique, Way};
use netwhy_model::{Lang, Text};
use netwhy_report::{clean, padded, wrapped};

/// Columns before what a label says.
const LABEL_COLUMNS: usize = 12;
/// Records and addresses shown of one alert.
const SHOWN_COUNT_MAX: usize = 4;

/// All alerts, one block each, and what there was to see.
pub(super) fn page(report: &Report, fed: &Fed, common: &Common) -> String {
    let mut page: Vec<String> = report.alerts.iter().map(|alert| block(alert, common) + "\n").collect();
    if let Some(line) = radiation(&report.radiation, common.lang) {
        page.push(line);
    }
    page.push(summary(report.alerts.len(), fed, common.lang));
    page.concat()
}

/// One alert.
pub(super) fn block(alert: &Alert, common: &Common) -> String {
    let lang = common.lang;
    let mut page = Page { text: String::new(), common };
    page.head(alert);
    page.said(lang.pick("when", "时间"), &when(alert, lang));
    page.said(lang.pick("why", "依据"), alert.why(lang));
    if alert.process.is_some() || alert.unit.is_some() {
        let process = alert.process.as_deref().unwrap_or("?");
        let unit = alert.unit.as_deref().map_or_else(String::new, |unit| format!(", {unit}"));
        page.said(lang.pick("process", "进程"), &format!("{process}{unit}"));
    }
    page.said(lang.pick("from", "来源"), &some(&alert.sources, lang));
    page.said(lang.pick("against", "目标"), &some(&alert.victims, lang));
    if let Some(break_in) = &alert.break_in {
        page.said(lang.pick("break-in", "入侵"), &entered(break_in, lang));
    }
    for proof in alert.proof.iter().take(SHOWN_COUNT_MAX) {
        let place =
            if proof.file.is_empty() { String::new() } else { format!("{}@{}: ", proof.file, proof.offset) };
        page.said(lang.pick("proof", "证据"), &format!("{place}{}", proof.text));
    }
    page.steps(lang.pick("stop", "止损"), &alert.plan.stop);
    page.steps(lang.pick("limit", "限制"), &alert.plan.limit);
    page.steps(lang.pick("keep", "留证"), &alert.plan.keep);
    page.said(lang.pick("if wrong", "误判代价"), alert.cost_if_wrong.get(lang));
    page.text
}

struct Page<'a> {
    text: String,
    common: &'a Common,
}

impl Page<'_> {
    /// The cause, how sure, who and whom.
    fn head(&mut self, alert: &Alert) {
        let arrow = if self.common.unicode { "→" } else { "->" };
        let sure = (alert.confidence * 100.0).round();
        let whom = whom(alert, self.common.lang);
        let who = match alert.direction {
            Way::Out => format!("{} {arrow} {whom}", alert.entity),
            Way::In => match alert.sources.as_slice() {
                [one] if *one == alert.entity => format!("{one} {arrow} {whom}"),
                _ => format!("{arrow} {} ({whom})", alert.entity),
            },
        };
        let id =
            if self.common.color { format!("\u{1b}[31m{}\u{1b}[0m", alert.id) } else { alert.id.clone() };
        self.text.push_str(&format!("{id}  {sure} %  {}\n", clean(&who)));
    }

    /// A label and what it says, over as many lines as that needs; nothing where there is nothing to say.
    fn said(&mut self, label: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut label = label;
        for line in wrapped(&clean(text), self.common.width.saturating_sub(LABEL_COLUMNS)) {
            self.text.push_str(&format!("  {}{line}\n", padded(label, LABEL_COLUMNS - 2)));
            label = "";
        }
    }

    fn steps(&mut self, label: &str, steps: &[Text]) {
        for (number, step) in steps.iter().enumerate() {
            self.said(if number == 0 { label } else { "" }, step.get(self.common.lang));
        }
    }
}

fn whom(alert: &Alert, lang: Lang) -> String {
    let count = thousands(alert.targets);
    let port = alert.port;
    match (alert.technique, lang) {
        (Technique::Vertical, Lang::En) => format!("{count} ports"),
        (Technique::Vertical, Lang::Zh) => format!("{count} 个端口"),
        (_, Lang::En) => {
            let hosts = if alert.targets == 1 { "host" } else { "hosts" };
            if port == 0 { format!("{count} {hosts}") } else { format!("{count} {hosts}, port {port}") }
        }
        (_, Lang::Zh) if port == 0 => format!("{count} 台主机"),
        (_, Lang::Zh) => format!("{count} 台主机，端口 {port}"),
    }
}

fn when(alert: &Alert, lang: Lang) -> String {
    let (start, end) = (shown(alert.start * 1_000), shown(alert.end * 1_000));
    let minutes = (alert.end - alert.start).max(0) / 60;
    let records = thousands(alert.records);
    match lang {
        Lang::En => format!("{start} to {end} UTC, {minutes} min, {records} records"),
        Lang::Zh => format!("{start} 至 {end}（UTC），{minutes} 分钟，{records} 条记录"),
    }
}

fn entered(break_in: &netwhy_flows::detect::BreakIn, lang: Lang) -> String {
    let (at, bytes) = (shown(break_in.at * 1_000), thousands(break_in.bytes));
    let (source, host) = (&break_in.source, &break_in.host);
    let then = break_in.followed_by.as_deref().map_or_else(String::new, |id| match lang {
        Lang::En => format!("; then {id}"),
        Lang::Zh => format!("；随后 {id}"),
    });
    match lang {
        Lang::En => format!("{source} got into {host} at {at} UTC, {bytes} bytes{then}"),
        Lang::Zh => format!("{source} 于 {at}（UTC）登入 {host}，{bytes} 字节{then}"),
    }
}

fn some(addresses: &[String], lang: Lang) -> String {
    let shown =
        addresses.iter().take(SHOWN_COUNT_MAX).cloned().collect::<Vec<_>>().join(lang.pick(", ", "、"));
    if addresses.len() > SHOWN_COUNT_MAX { shown + ", …" } else { shown }
}

fn radiation(radiation: &Radiation, lang: Lang) -> Option<String> {
    let (sources, records) = (thousands(radiation.sources), thousands(radiation.records));
    (radiation.sources > 0).then(|| match lang {
        Lang::En => format!(
            "{sources} strangers knocked at closed doors, {records} records: the internet's usual noise\n"
        ),
        Lang::Zh => format!("{sources} 个陌生来源敲过关闭的端口，共 {records} 条记录：互联网的日常噪声\n"),
    })
}

fn summary(alerts: usize, fed: &Fed, lang: Lang) -> String {
    let (records, files) = (thousands(fed.count.read), thousands(fed.files));
    match (lang, alerts) {
        (Lang::En, 0) => format!("no attack found in {records} records of {files} files\n"),
        (Lang::En, _) => format!("{alerts} attacks found in {records} records of {files} files\n"),
        (Lang::Zh, 0) => format!("{files} 个文件的 {records} 条记录中未发现攻击\n"),
        (Lang::Zh, _) => format!("{files} 个文件的 {records} 条记录中发现 {alerts} 起攻击\n"),
    }
}
