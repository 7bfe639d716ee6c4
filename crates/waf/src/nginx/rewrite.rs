//! What happens before the access lists are asked: `set`, `if`, `return`, `rewrite`.

use super::Directive;
use super::values::Values;
use crate::pattern::Pattern;
use crate::place::both;
use crate::web::{Findings, Truth, WebRule};
use netwhy_model::Text;

/// The status from which on an answer is a refusal.
const REFUSAL_MIN: u16 = 400;

/// Runs the directives of one block; whether the request ends here.
pub fn run(block: &[Directive], values: &mut Values, findings: &mut Findings) -> bool {
    for directive in block {
        match directive.name() {
            "set" => values.set(directive.word(1), directive.word(2)),
            "return" => return end(directive, Truth::Yes, directive, findings),
            "if" => {
                let holds = condition(&directive.words[1..], values);
                if inside(directive, holds, values, findings) {
                    return true;
                }
            }
            "rewrite" if rewritten(directive, values, findings) => return true,
            "break" => return false,
            _ => {}
        }
    }
    false
}

fn inside(branch: &Directive, holds: Truth, values: &mut Values, findings: &mut Findings) -> bool {
    if holds == Truth::No {
        return false;
    }
    for directive in &branch.block {
        match directive.name() {
            "return" => return end(directive, holds, branch, findings),
            "set" if holds == Truth::Yes => values.set(directive.word(1), directive.word(2)),
            "rewrite" if holds == Truth::Yes && rewritten(directive, values, findings) => return true,
            _ => {}
        }
    }
    false
}

/// A `return`, noted where it refuses; whether the request surely ends.
fn end(directive: &Directive, holds: Truth, branch: &Directive, findings: &mut Findings) -> bool {
    let status = directive.word(1).parse::<u16>().ok();
    let refuses = status.is_some_and(|status| status >= REFUSAL_MIN);
    let rule = if branch == directive {
        directive.text()
    } else {
        format!("{} {{ {}; }}", branch.text(), directive.text())
    };
    // 444 closes the connection without a word.
    let told = status.filter(|status| *status != 444);
    match holds {
        Truth::Yes if refuses => {
            let why = both("its condition holds, and it refuses", "条件成立，请求被拒绝");
            Findings::note(&mut findings.stops, WebRule::new(&directive.place, &rule, told, why));
            true
        }
        Truth::Unknown(why) if refuses => {
            Findings::note(&mut findings.unsure, WebRule::new(&directive.place, &rule, told, why));
            false
        }
        holds => holds == Truth::Yes,
    }
}

/// A `rewrite` that matches: a redirection ends the request, anything else leads to where it is not followed.
fn rewritten(directive: &Directive, values: &Values, findings: &mut Findings) -> bool {
    let matches = Truth::from(Pattern::new(directive.word(1)).is_match(values.path().as_bytes()));
    let redirects =
        matches!(directive.word(3), "redirect" | "permanent") || directive.word(2).contains("://");
    match matches {
        Truth::No => false,
        Truth::Yes if redirects => true,
        _ => {
            let why = both("the path is rewritten, which is not followed here", "路径被改写，此处不再跟踪");
            Findings::note(
                &mut findings.unsure,
                WebRule::new(&directive.place, &directive.text(), None, why),
            );
            false
        }
    }
}

/// The words of a condition, its parentheses among them.
fn condition(words: &[String], values: &Values) -> Truth {
    let joined = words.join(" ");
    let inner =
        joined.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(&joined).trim();
    let mut parts = inner.splitn(2, char::is_whitespace);
    let left = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default().trim();
    if left.trim_start_matches('!').starts_with('-') {
        return Truth::Unknown(both("it asks for a file of the server", "取决于服务器上的文件"));
    }
    let value = match values.expanded(left) {
        Ok(value) => value,
        Err(why) => return Truth::Unknown(why),
    };
    if rest.is_empty() {
        return Truth::of(!value.is_empty() && value != "0");
    }
    let (sign, operand) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    compared(&value, sign, operand.trim(), values).unwrap_or_else(Truth::Unknown)
}

fn compared(value: &str, sign: &str, operand: &str, values: &Values) -> Result<Truth, Text> {
    let matches = |pattern: Pattern| pattern.is_match(value.as_bytes()).map(Truth::of);
    Ok(match sign {
        "=" => Truth::of(value == values.expanded(operand)?),
        "!=" => Truth::of(value != values.expanded(operand)?),
        "~" => matches(Pattern::new(operand))?,
        "~*" => matches(Pattern::any_case(operand))?,
        "!~" => matches(Pattern::new(operand))?.negated(true),
        "!~*" => matches(Pattern::any_case(operand))?.negated(true),
        _ => return Err(both("its condition is not understood", "条件无法理解")),
    })
}
