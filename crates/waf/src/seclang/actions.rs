//! Actions: `id:1,phase:2,block,t:none,setvar:'tx.score=+5',ctl:ruleRemoveTargetById=942100;ARGS:q`.

use super::target::target;
use crate::place::both;
use crate::rule::{Change, Control, Disruptive, Engine, Scope, SetVar, Template};
use crate::transform::Transform;
use netwhy_model::Text;
use std::ops::RangeInclusive;

/// How many transformations, variables or tags one rule may have.
const ACTIONS_COUNT_MAX: usize = 10_000;

/// The actions of one rule.
#[derive(Debug, Clone, Default)]
pub struct Actions {
    pub id: Option<u64>,
    pub phase: Option<u8>,
    pub msg: Option<String>,
    pub severity: Option<String>,
    pub tags: Vec<String>,
    pub logged: Option<bool>,
    pub disruptive: Option<Disruptive>,
    pub status: Option<u16>,
    pub skip_after: Option<String>,
    pub skip: usize,
    /// Whether `t:none` stands among the transformations: those of the default do not count then.
    pub transforms_reset: bool,
    pub transforms: Vec<Transform>,
    pub multi_match: bool,
    pub capture: bool,
    pub chain: bool,
    pub sets: Vec<SetVar>,
    pub controls: Vec<Control>,
    /// What is not understood of them; the first of `doubts` keeps the rule in doubt.
    pub unread: Vec<Text>,
    pub doubt: Option<Text>,
}

/// Reads a list of actions.
pub fn actions(text: &str) -> Actions {
    let mut actions = Actions::default();
    for piece in split(text).into_iter().take(ACTIONS_COUNT_MAX) {
        let (name, value) = match piece.split_once(':') {
            Some((name, value)) => (name.trim(), unquoted(value.trim())),
            None => (piece.as_str(), String::new()),
        };
        if !actions.flow(&name.to_ascii_lowercase(), &value) {
            actions.rest(&name.to_ascii_lowercase(), &value);
        }
    }
    actions
}

impl Actions {
    /// What becomes of the request.
    fn flow(&mut self, name: &str, value: &str) -> bool {
        let disruptive = match name {
            "pass" => Disruptive::Pass,
            "block" => Disruptive::Block,
            "deny" => Disruptive::Deny,
            "drop" => Disruptive::Drop,
            "redirect" => Disruptive::Redirect(value.to_owned()),
            "proxy" => Disruptive::Proxy,
            "allow" => Disruptive::Allow(match value {
                "phase" => Scope::Phase,
                "request" => Scope::Request,
                _ => Scope::All,
            }),
            _ => return false,
        };
        self.disruptive = Some(disruptive);
        true
    }

    fn rest(&mut self, name: &str, value: &str) {
        match name {
            "id" => self.id = value.parse().ok(),
            "phase" => self.phase = phase(value),
            "msg" => self.msg = Some(value.to_owned()),
            "severity" => self.severity = Some(severity(value)),
            "tag" => self.tags.push(value.to_owned()),
            "log" => self.logged = Some(true),
            "nolog" => self.logged = Some(false),
            "status" => self.status = value.parse().ok(),
            "skipafter" => self.skip_after = Some(value.to_owned()),
            "skip" => self.skip = value.parse().unwrap_or(0),
            "multimatch" => self.multi_match = true,
            "capture" => self.capture = true,
            "chain" => self.chain = true,
            "t" => self.transform(value),
            "setvar" => self.sets.push(set(value)),
            "ctl" => self.control(value),
            // Of no consequence for what is asked here.
            "accuracy"
            | "append"
            | "auditlog"
            | "noauditlog"
            | "deprecatevar"
            | "exec"
            | "expirevar"
            | "initcol"
            | "logdata"
            | "maturity"
            | "pause"
            | "prepend"
            | "rev"
            | "sanitisearg"
            | "sanitisematched"
            | "sanitisematchedbytes"
            | "sanitiserequestheader"
            | "sanitiseresponseheader"
            | "setenv"
            | "setrsc"
            | "setsid"
            | "setuid"
            | "ver"
            | "xmlns" => {}
            other => self
                .unread
                .push(both(format!("the action {other} is not known"), format!("不认识动作 {other}"))),
        }
    }

    fn transform(&mut self, name: &str) {
        if name.eq_ignore_ascii_case("none") {
            self.transforms.clear();
            self.transforms_reset = true;
            return;
        }
        match Transform::named(name) {
            Some(transform) => self.transforms.push(transform),
            None => {
                let why =
                    both(format!("the transformation {name} is not known"), format!("不认识变换 {name}"));
                self.doubt.get_or_insert(why);
            }
        }
    }

    fn control(&mut self, text: &str) {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match control(&name.trim().to_ascii_lowercase(), value.trim()) {
            Some(Some(control)) => self.controls.push(control),
            Some(None) => {}
            None => {
                self.unread.push(both(format!("ctl:{text} is not understood"), format!("不理解 ctl:{text}")))
            }
        }
    }
}

/// A control; none inside for those of no consequence here.
fn control(name: &str, value: &str) -> Option<Option<Control>> {
    let on = value.eq_ignore_ascii_case("on");
    let (what, aim) = value.split_once(';').unwrap_or((value, ""));
    Some(Some(match name {
        "ruleengine" => Control::Engine(engine(value)?),
        "ruleremovebyid" => Control::RemoveById(ids(value)?),
        "ruleremovebytag" => Control::RemoveByTag(value.to_owned()),
        "ruleremovebymsg" => Control::RemoveByMsg(value.to_owned()),
        "ruleremovetargetbyid" => Control::RemoveTargetById(ids(what)?, target(aim)),
        "ruleremovetargetbytag" => Control::RemoveTargetByTag(what.to_owned(), target(aim)),
        "ruleremovetargetbymsg" => Control::RemoveTargetByMsg(what.to_owned(), target(aim)),
        "requestbodyprocessor" => Control::BodyProcessor(value.to_ascii_uppercase()),
        "requestbodyaccess" => Control::BodyAccess(on),
        "forcerequestbodyvariable" => Control::ForceBodyVariable(on),
        "auditengine"
        | "auditlogparts"
        | "debugloglevel"
        | "hashengine"
        | "hashenforcement"
        | "requestbodylimit"
        | "responsebodyaccess"
        | "responsebodylimit"
        | "responsebodyprocessor"
        | "forceresponsebodyvariable" => {
            return Some(None);
        }
        _ => return None,
    }))
}

/// `On`, `Off`, `DetectionOnly`.
pub fn engine(text: &str) -> Option<Engine> {
    Some(match text.to_ascii_lowercase().as_str() {
        "on" => Engine::On,
        "off" => Engine::Off,
        "detectiononly" => Engine::DetectionOnly,
        _ => return None,
    })
}

/// `942100`, `942100-942999`, several of them.
pub fn ids(text: &str) -> Option<Vec<RangeInclusive<u64>>> {
    let pieces = text.split([',', ' ']).map(str::trim).filter(|piece| !piece.is_empty());
    let range = |piece: &str| -> Option<RangeInclusive<u64>> {
        let (first, last) = piece.split_once('-').unwrap_or((piece, piece));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    pieces.map(range).collect::<Option<Vec<_>>>().filter(|ranges| !ranges.is_empty())
}

fn phase(text: &str) -> Option<u8> {
    match text.to_ascii_lowercase().as_str() {
        "request" => Some(2),
        "response" => Some(4),
        "logging" => Some(5),
        number => number.parse().ok().filter(|phase| (1..=5).contains(phase)),
    }
}

fn severity(text: &str) -> String {
    const NAMES: [&str; 8] =
        ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];
    let numbered = text.parse::<usize>().ok().and_then(|number| NAMES.get(number));
    numbered.map_or_else(|| text.to_ascii_uppercase(), |name| (*name).to_owned())
}

/// `tx.a=1`, `tx.a=+1`, `!tx.a`, `tx.a`.
fn set(text: &str) -> SetVar {
    let (remove, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let (collection, key) = name.split_once('.').unwrap_or((name, ""));
    let change = match value {
        _ if remove => Change::Remove,
        None => Change::Set(Template::read("1")),
        Some(value) => match value.as_bytes().first() {
            Some(b'+') => Change::Add(Template::read(&value[1..])),
            Some(b'-') => Change::Take(Template::read(&value[1..])),
            _ => Change::Set(Template::read(value)),
        },
    };
    SetVar { collection: collection.trim().to_ascii_lowercase(), key: Template::read(key.trim()), change }
}

/// Cuts at commas that stand in no quotes.
fn split(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for character in text.chars() {
        if character == ',' && !quoted {
            pieces.push(String::new());
            continue;
        }
        quoted ^= character == '\'' && !escaped;
        escaped = character == '\\' && !escaped;
        if let Some(last) = pieces.last_mut() {
            last.push(character);
        }
    }
    let trimmed = pieces.iter().map(|piece| piece.trim().to_owned());
    trimmed.filter(|piece| !piece.is_empty()).collect()
}

fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_with_quotes_and_macros() {
        let read = actions(
            "id:7,phase:request, block ,msg:'a, \\'b\\'',t:none,t:lowercase,setvar:'tx.a_%{tx.n}=+%{tx.b}',ctl:ruleRemoveTargetById=1-3;ARGS:q,whatever",
        );
        assert_eq!((read.id, read.phase, read.msg.as_deref()), (Some(7), Some(2), Some("a, 'b'")));
        assert_eq!(read.transforms, [Transform::Lowercase]);
        assert!(matches!(&read.sets[0].change, Change::Add(_)));
        assert!(
            matches!(&read.controls[0], Control::RemoveTargetById(ids, target) if ids[0] == (1..=3) && target.text() == "ARGS:q")
        );
        assert_eq!(read.unread.len(), 1);
    }
}
