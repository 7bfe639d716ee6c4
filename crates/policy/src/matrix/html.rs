//! The table as one page of HTML that needs nothing else: the heads stay in sight, every cell has its word.

use super::{Cell, Matrix, SHOWN_COUNT_MAX, escaped};
use netwhy_model::Lang;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2024;--paper:#fff;--line:#d0d7de;--head:#f3f5f7;
--a:#dff3e4;--p:#e4efd0;--d:#fbe3e1;--q:#fff2cc;--i:#eceff2;--u:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--paper:#15181b;--line:#3a4148;--head:#20252a;
--a:#17402a;--p:#37421c;--d:#4f2320;--q:#4a3c0f;--i:#2a3036;--u:#15181b}}
body{margin:1.5rem;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif}
.scroll{overflow:auto;max-height:85vh;border:1px solid var(--line)}
table{border-collapse:separate;border-spacing:0}
th,td{padding:.35rem .6rem;border-right:1px solid var(--line);border-bottom:1px solid var(--line);text-align:left;
white-space:nowrap;vertical-align:top}
th{background:var(--head);font-weight:600}
thead th{position:sticky;top:0;z-index:1}
tbody th{position:sticky;left:0}
thead th:first-child{left:0;z-index:2}
td small{display:block;white-space:normal;max-width:18rem}
.a{background:var(--a)}.p{background:var(--p)}.d{background:var(--d)}.q{background:var(--q)}.i{background:var(--i)}
td:focus{outline:2px solid currentColor}
@media print{.scroll{overflow:visible;max-height:none}}
";

/// The whole page.
pub fn html(matrix: &Matrix, lang: Lang) -> String {
    let title = escaped(matrix.title.get(lang));
    let columns: Vec<String> =
        matrix.columns.iter().take(SHOWN_COUNT_MAX).map(|name| escaped(name)).collect();
    let code = lang.pick("en", "zh-CN");
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{code}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1><p>{}</p>\
         <div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">{}</th>",
        escaped(&matrix.summary(lang)),
        lang.pick("from \\ to", "来源 \\ 目的"),
    );
    for column in &columns {
        out += &format!("<th scope=\"col\">{column}</th>");
    }
    out += "</tr></thead><tbody>\n";
    for (at, row) in matrix.rows.iter().take(SHOWN_COUNT_MAX).enumerate() {
        out += &format!("<tr><th scope=\"row\">{}</th>", escaped(row));
        for column in 0..columns.len() {
            out += &cell(matrix, at, column, lang);
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>";
    out += &matrix.cut(lang).map_or(String::new(), |cut| format!("<p>{}</p>", escaped(&cut)));
    out + "</body></html>\n"
}

fn cell(matrix: &Matrix, row: usize, column: usize, lang: Lang) -> String {
    let verdict = matrix.verdict(row, column);
    let small = |text: &str| match text {
        "" => String::new(),
        text => format!("<small>{}</small>", escaped(text)),
    };
    let (on, why) =
        matrix.cell(row, column).map_or(("", ""), |Cell { on, why, .. }| (on.as_str(), why.get(lang)));
    let title = if why.is_empty() { String::new() } else { format!(" title=\"{}\"", escaped(why)) };
    let (class, sign, word) = (verdict.class(), verdict.sign(), verdict.word(lang));
    format!("<td class=\"{class}\"{title}>{sign} {word}{}</td>", small(on))
}
