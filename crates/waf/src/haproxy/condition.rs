//! Conditions: `if admin !office || { path_beg /x }`, and the ACLs they name.

use super::fetch::Sample;
use super::rules::Asked;
use super::{Line, Section};
use crate::operator::Net;
use crate::pattern::Pattern;
use crate::place::both;
use crate::web::Truth;
use netwhy_model::Text;

/// How many values an ACL may be compared with.
const VALUES_COUNT_MAX: usize = 1_000_000;

/// A condition, asked.
pub struct Condition {
    pub truth: Truth,
    /// Rates it depends on: "more than 20 requests in 10s from one address".
    pub rates: Vec<Text>,
}

impl Condition {
    /// Asks what stands after `if` or `unless`; without them it holds.
    pub fn read(asked: &Asked, section: &Section, line: &Line) -> Condition {
        let mut condition = Condition { truth: Truth::Yes, rates: Vec::new() };
        let Some(at) = line.words.iter().position(|word| word == "if" || word == "unless") else {
            return condition;
        };
        let unless = line.words[at] == "unless";
        let words = &line.words[at + 1..];
        let mut any = Truth::No;
        for alternative in words.split(|word| word == "||" || word.eq_ignore_ascii_case("or")) {
            any = any.or(condition.all(asked, section, alternative));
        }
        condition.truth = any.negated(unless);
        condition
    }

    /// Terms that must all hold.
    fn all(&mut self, asked: &Asked, section: &Section, words: &[String]) -> Truth {
        let mut truth = Truth::Yes;
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let bare = word.trim_start_matches('!');
            let mut negated = (word.len() - bare.len()) % 2 == 1;
            let mut name = bare;
            // `! name` is one term.
            if bare.is_empty() {
                at += 1;
                name = words.get(at).map(String::as_str).unwrap_or_default();
                negated = true;
            }
            let term = if name == "{" {
                let end = words[at..].iter().position(|word| word == "}").map_or(words.len(), |end| at + end);
                let inner = &words[at + 1..end];
                at = end;
                self.acl(asked, section, inner)
            } else {
                self.named(asked, section, name)
            };
            truth = truth.and(term.negated(negated));
            at += 1;
        }
        truth
    }

    fn named(&mut self, asked: &Asked, section: &Section, name: &str) -> Truth {
        let lines = section.lines.iter().filter(|line| line.word(0) == "acl" && line.word(1) == name);
        let lines: Vec<&Line> = lines.collect();
        if lines.is_empty() {
            return predefined(name, asked).unwrap_or_else(|| {
                Truth::Unknown(both(format!("the ACL {name} is not defined"), format!("未定义 ACL {name}")))
            });
        }
        // Of several lines of one name any will do.
        lines.iter().fold(Truth::No, |any, line| {
            any.or(self.acl(asked, section, line.words.get(2..).unwrap_or_default()))
        })
    }

    /// `fetch flags values`.
    fn acl(&mut self, asked: &Asked, section: &Section, words: &[String]) -> Truth {
        let Some(fetch) = words.first() else { return Truth::No };
        let mut test = Test::default();
        let mut at = 1;
        while let Some(flag) = words.get(at).filter(|word| word.starts_with('-') && word.len() <= 3) {
            at += 1;
            let value = words.get(at).map(String::as_str).unwrap_or_default();
            match flag.as_str() {
                "-i" => test.any_case = true,
                "-m" => {
                    test.method = value.to_owned();
                    at += 1;
                }
                "-f" => {
                    match asked.haproxy.lists.get(value) {
                        Some(list) => test.values.extend(list.iter().cloned()),
                        None => test.missing = Some(value.to_owned()),
                    }
                    at += 1;
                }
                "-M" | "-u" => at += 1,
                "-n" => {}
                _ => break,
            }
            if flag == "--" {
                break;
            }
        }
        test.values.extend(words.get(at..).unwrap_or_default().iter().take(VALUES_COUNT_MAX).cloned());
        match super::fetch::sample(asked, section, fetch) {
            Sample::Text(values, kind) => test.texts(&values, kind),
            Sample::Rate(what) => {
                self.rates.push(rate(&what, &test.values));
                Truth::Unknown(both("it depends on the rate", "取决于速率"))
            }
            Sample::Unknown(why) => Truth::Unknown(why),
        }
    }
}

/// What values are compared with.
#[derive(Default)]
struct Test {
    any_case: bool,
    method: String,
    values: Vec<String>,
    missing: Option<String>,
}

impl Test {
    /// Whether any of the samples fits any of the values.
    fn texts(&self, samples: &[String], kind: &str) -> Truth {
        let method = if self.method.is_empty() { kind } else { &self.method };
        if method == "found" {
            return Truth::of(!samples.is_empty());
        }
        let mut truth = Truth::No;
        for sample in samples {
            if method == "bool" && self.values.is_empty() {
                return Truth::of(sample != "0" && sample != "false");
            }
            for one in self.compare_each(sample, method) {
                truth = truth.or(Truth::from(one));
                if truth == Truth::Yes {
                    return truth;
                }
            }
        }
        match &self.missing {
            Some(name) => truth.or(Truth::Unknown(both(
                format!("the list {name} is not among the files"),
                format!("文件中没有列表 {name}"),
            ))),
            None => truth,
        }
    }

    fn compare_each<'a>(&'a self, sample: &'a str, method: &'a str) -> Vec<Result<bool, Text>> {
        if matches!(method, "int" | "len") {
            let number = if method == "len" { sample.len().to_string() } else { sample.to_owned() };
            return vec![numbers(&number, &self.values)];
        }
        self.values.iter().map(|value| self.compare(sample, value, method)).collect()
    }

    fn compare(&self, sample: &str, value: &str, method: &str) -> Result<bool, Text> {
        let (sample, value) = match self.any_case && method != "reg" {
            true => (sample.to_lowercase(), value.to_lowercase()),
            false => (sample.to_owned(), value.to_owned()),
        };
        let between = |marks: &[char]| {
            let wanted = value.trim_matches(marks);
            sample
                .split(marks)
                .collect::<Vec<_>>()
                .windows(wanted.split(marks).count())
                .any(|piece| piece.join("/") == wanted.replace(marks, "/"))
        };
        Ok(match method {
            "str" => sample == value,
            "beg" => sample.starts_with(&value),
            "end" => sample.ends_with(&value),
            "sub" => sample.contains(&value),
            "dir" => between(&['/']),
            "dom" => between(&['.', ':', '/']),
            "ip" => match (Net::read(&value), sample.parse()) {
                (Some(net), Ok(address)) => net.holds(address),
                (None, _) => {
                    return Err(both("a network of its list cannot be read", "列表中有无法识别的网段"));
                }
                _ => false,
            },
            "reg" => {
                let pattern = if self.any_case { Pattern::any_case(&value) } else { Pattern::new(&value) };
                pattern.is_match(sample.as_bytes())?
            }
            other => {
                return Err(both(format!("-m {other} is not modelled"), format!("尚未模拟 -m {other}")));
            }
        })
    }
}

/// `gt 5`, `eq 1`, `10:20`, `7`.
fn numbers(sample: &str, values: &[String]) -> Result<bool, Text> {
    let wrong = || both("its numbers are not understood", "数值无法理解");
    let sample: i64 = sample.trim().parse().map_err(|_| wrong())?;
    let mut sign = "eq";
    for value in values {
        if matches!(value.as_str(), "eq" | "ge" | "gt" | "le" | "lt") {
            sign = value;
            continue;
        }
        let bounds = value.split_once(':').unwrap_or((value, value));
        let first: i64 = bounds.0.parse().map_err(|_| wrong())?;
        let last: i64 = bounds.1.parse().map_err(|_| wrong())?;
        let holds = match sign {
            "ge" => sample >= first,
            "gt" => sample > first,
            "le" => sample <= first,
            "lt" => sample < first,
            _ => (first..=last).contains(&sample),
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A rate and its bound in words.
fn rate(what: &Text, values: &[String]) -> Text {
    let (en, zh, number) = match values {
        [sign, number, ..] if sign == "gt" => ("more than", "超过", number.as_str()),
        [sign, number, ..] if sign == "ge" => ("at least", "达到", number.as_str()),
        [sign, number, ..] if sign == "lt" => ("fewer than", "少于", number.as_str()),
        [sign, number, ..] if sign == "le" => ("at most", "不超过", number.as_str()),
        [number, ..] => ("", "", number.as_str()),
        [] => ("any", "任何", ""),
    };
    let told = |words: &str, what: &str| {
        [words, number, what].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    both(told(en, &what.en), told(zh, &what.zh))
}

/// The ACLs that haproxy brings.
fn predefined(name: &str, asked: &Asked) -> Option<Truth> {
    let method = asked.request.method.as_str();
    Some(match name {
        "TRUE" | "HTTP" | "REQ_CONTENT" | "WAIT_END" => Truth::Yes,
        "FALSE" => Truth::No,
        "METH_GET" => Truth::of(matches!(method, "GET" | "HEAD")),
        "HTTP_1.0" => Truth::of(asked.request.version == "HTTP/1.0"),
        "HTTP_1.1" => Truth::of(asked.request.version == "HTTP/1.1"),
        "HTTP_CONTENT" => Truth::of(!asked.request.body.is_empty()),
        "HTTP_URL_STAR" => Truth::of(asked.request.uri == b"*"),
        "HTTP_URL_SLASH" => Truth::of(asked.request.uri.starts_with(b"/")),
        "HTTP_URL_ABS" => Truth::of(asked.request.uri.windows(3).any(|window| window == b"://")),
        "LOCALHOST" => match asked.request.client {
            Some(client) => Truth::of(client.is_loopback()),
            None => Truth::Unknown(both("the client's address is not said", "未说明客户端地址")),
        },
        _ => Truth::of(method == name.strip_prefix("METH_")?),
    })
}
