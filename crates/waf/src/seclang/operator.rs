//! Operators: `@rx …`, `!@within …`, and what stands without a name, which is `@rx`.

use super::Library;
use crate::operator::{Compare, Net, Operator, Test, Words};
use crate::pattern::Pattern;
use crate::place::both;
use crate::rule::Template;
use netwhy_model::Text;
use std::sync::Arc;

/// How many words a list may have.
const WORDS_COUNT_MAX: usize = 1_000_000;

/// Reads an operator; what it cannot model it names, and the rule stays in doubt.
pub fn operator(text: &str, from: &str, library: &dyn Library) -> (Operator, Option<Text>) {
    let text = text.trim_start();
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let (name, operand) = match text.strip_prefix('@') {
        Some(named) => named.split_once(char::is_whitespace).unwrap_or((named, "")),
        None => ("rx", text),
    };
    let test = test(&name.to_ascii_lowercase(), operand, from, library);
    match test {
        Ok(test) => (Operator { negated, test }, None),
        Err(why) => (Operator::unknown(why.clone()), Some(why)),
    }
}

fn test(name: &str, operand: &str, from: &str, library: &dyn Library) -> Result<Test, Text> {
    let template = || Template::read(operand);
    Ok(match name {
        "rx" | "rxglobal" if operand.contains("%{") => Test::RxOf(template()),
        "rx" | "rxglobal" => Test::Rx(Pattern::new(operand)),
        "pm" => Test::Pm(Words::new(operand.split_whitespace().map(word).collect())),
        "pmf" | "pmfromfile" => {
            Test::Pm(Words::new(listed(operand, from, library)?.iter().map(|text| word(text)).collect()))
        }
        "within" => Test::Within(template()),
        "contains" | "strmatch" => Test::Contains(template()),
        "containsword" => Test::ContainsWord(template()),
        "beginswith" => Test::BeginsWith(template()),
        "endswith" => Test::EndsWith(template()),
        "streq" => Test::StrEq(template()),
        "eq" => Test::Number(Compare::Equal, template()),
        "ge" => Test::Number(Compare::AtLeast, template()),
        "gt" => Test::Number(Compare::More, template()),
        "le" => Test::Number(Compare::AtMost, template()),
        "lt" => Test::Number(Compare::Less, template()),
        "ipmatch" => Test::IpMatch(nets(operand.split(',').map(str::to_owned).collect())?),
        "ipmatchf" | "ipmatchfromfile" => Test::IpMatch(nets(listed(operand, from, library)?)?),
        "detectsqli" => Test::DetectSqli,
        "detectxss" => Test::DetectXss,
        "validatebyterange" => Test::ByteRange(Arc::new(byte_range(operand)?)),
        "validateurlencoding" => Test::UrlEncoding,
        "validateutf8encoding" => Test::Utf8Encoding,
        "unconditionalmatch" => Test::Always,
        "nomatch" => Test::Never,
        other => {
            return Err(both(
                format!("the operator @{other} is not modelled"),
                format!("尚未模拟操作符 @{other}"),
            ));
        }
    })
}

/// The lines of a list, without blanks and comments.
fn listed(names: &str, from: &str, library: &dyn Library) -> Result<Vec<String>, Text> {
    let mut lines = Vec::new();
    for name in names.split_whitespace() {
        let data = library.data(from, name).ok_or_else(|| {
            both(format!("the list {name} is not among the files"), format!("文件中没有列表 {name}"))
        })?;
        let text = String::from_utf8_lossy(&data);
        let kept = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(kept.take(WORDS_COUNT_MAX - lines.len()).map(str::to_owned));
    }
    Ok(lines)
}

/// A word of `@pm`, in which `|41 42|` are bytes.
fn word(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, piece) in text.split('|').enumerate() {
        let bytes = piece.split_whitespace().map(|pair| u8::from_str_radix(pair, 16));
        match bytes.collect::<Result<Vec<u8>, _>>() {
            Ok(bytes) if at % 2 == 1 && !bytes.is_empty() => out.extend(bytes),
            _ if at % 2 == 1 => return text.as_bytes().to_vec(),
            _ => out.extend(piece.bytes()),
        }
    }
    out
}

fn nets(texts: Vec<String>) -> Result<Vec<Net>, Text> {
    let wanted = texts.iter().map(|text| text.split('#').next().unwrap_or_default().trim());
    let nets: Option<Vec<Net>> = wanted.filter(|text| !text.is_empty()).map(Net::read).collect();
    nets.ok_or_else(|| both("a network of its list cannot be read", "列表中有无法识别的网段"))
}

fn byte_range(text: &str) -> Result<[bool; 256], Text> {
    let mut allowed = [false; 256];
    let wrong = || both("its range of bytes cannot be read", "字节范围无法识别");
    for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
        let number = |text: &str| text.trim().parse::<u8>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        for byte in first..=last {
            allowed[usize::from(byte)] = true;
        }
    }
    Ok(allowed)
}
