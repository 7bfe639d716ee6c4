//! The steps of a script: shell lines on a host, and a few verbs.

use crate::scenario::Shape;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest `wait`, in milliseconds.
const WAIT_MS_MAX: u64 = 20_000;

/// One step, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `@host line`; with `-` before the line its failure does not matter.
    Shell { host: String, line: String, may_fail: bool },
    /// `start web`, and so on.
    Service { verb: Verb, name: String, options: BTreeMap<String, serde_json::Value> },
    /// `cert shop expired`; without a profile: as the scenario has it.
    Cert { name: String, profile: Option<String>, names: Option<Vec<String>> },
    /// `link core loss=0.05`; without settings: as the scenario has it.
    Link { name: String, shape: Option<Shape> },
    /// `file NAME broken`; without `broken`: the first text.
    File { name: String, broken: bool },
    /// `wait 300ms`.
    Pause(Duration),
    /// `wait origin tcp:443`.
    Listening { host: String, socket: Listener },
}

/// What can be done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    /// SIGTERM, then SIGKILL.
    Stop,
    /// Stop and start; own servers take new options: `restart web status=503`.
    Restart,
    /// SIGKILL at once.
    Kill,
    /// SIGSTOP: the kernel still completes handshakes, nobody answers.
    Freeze,
    /// SIGCONT.
    Thaw,
}

/// A port on which somebody must listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    pub udp: bool,
    pub port: u16,
}

impl Listener {
    /// Reads `tcp:443` or `udp:53`.
    pub fn parse(text: &str) -> Option<Listener> {
        let (kind, port) = text.split_once(':')?;
        let udp = match kind {
            "tcp" => false,
            "udp" => true,
            _ => return None,
        };
        Some(Listener { udp, port: port.parse().ok()? })
    }
}

/// Reads one step; the error says what was not understood.
pub fn parse(text: &str) -> Result<Step, String> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('@') {
        let (host, line) = rest.split_once(char::is_whitespace).ok_or(format!("no command in {text:?}"))?;
        let line = line.trim();
        let (may_fail, line) = match line.strip_prefix('-') {
            Some(line) => (true, line.trim()),
            None => (false, line),
        };
        return Ok(Step::Shell { host: host.into(), line: line.into(), may_fail });
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [verb, name, rest @ ..] = words.as_slice() else { return Err(format!("{text:?} is not a step")) };
    let name = (*name).to_owned();
    match *verb {
        "cert" => cert(name, rest),
        "link" => link(name, rest),
        "file" => match rest {
            [] => Ok(Step::File { name, broken: false }),
            ["broken"] => Ok(Step::File { name, broken: true }),
            _ => Err(format!("{text:?}: write `file NAME` or `file NAME broken`")),
        },
        "wait" => wait(name, rest).ok_or(format!("{text:?}: write `wait 300ms` or `wait HOST tcp:443`")),
        _ => {
            let verb = service_verb(verb).ok_or(format!("{verb:?} in {text:?} is no verb"))?;
            let options = settings(rest)?.into_iter().map(|(key, value)| (key, json_of(&value))).collect();
            Ok(Step::Service { verb, name, options })
        }
    }
}

fn service_verb(text: &str) -> Option<Verb> {
    Some(match text {
        "start" => Verb::Start,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        "kill" => Verb::Kill,
        "freeze" => Verb::Freeze,
        "thaw" => Verb::Thaw,
        _ => return None,
    })
}

fn cert(name: String, rest: &[&str]) -> Result<Step, String> {
    let (profile, rest) = match rest {
        [profile, rest @ ..] if !profile.contains('=') => (Some((*profile).to_owned()), rest),
        rest => (None, rest),
    };
    let mut names = None;
    for (key, value) in settings(rest)? {
        match key.as_str() {
            "names" => names = Some(value.split(',').map(str::to_owned).collect()),
            _ => return Err(format!("cert has no setting {key:?}")),
        }
    }
    Ok(Step::Cert { name, profile, names })
}

fn link(name: String, rest: &[&str]) -> Result<Step, String> {
    if rest.is_empty() {
        return Ok(Step::Link { name, shape: None });
    }
    let map: serde_json::Map<String, serde_json::Value> =
        settings(rest)?.into_iter().map(|(key, value)| (key, json_of(&value))).collect();
    let shape = serde_json::from_value(map.into()).map_err(|error| format!("link {name}: {error}"))?;
    Ok(Step::Link { name, shape: Some(shape) })
}

fn wait(name: String, rest: &[&str]) -> Option<Step> {
    match rest {
        [] => {
            let millis: u64 = name.strip_suffix("ms")?.parse().ok()?;
            (millis <= WAIT_MS_MAX).then(|| Step::Pause(Duration::from_millis(millis)))
        }
        [socket] => Some(Step::Listening { host: name, socket: Listener::parse(socket)? }),
        _ => None,
    }
}

fn settings(words: &[&str]) -> Result<Vec<(String, String)>, String> {
    let split = |word: &&str| {
        let (key, value) = word.split_once('=').ok_or(format!("{word:?} is not key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    words.iter().map(split).collect()
}

/// Numbers, booleans and lists as JSON has them; anything else is a string.
fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_kind_of_step() {
        assert_eq!(
            parse("@r2 -ip route del default").unwrap(),
            Step::Shell { host: "r2".into(), line: "ip route del default".into(), may_fail: true }
        );
        let Step::Service { verb: Verb::Restart, name, options } =
            parse("restart web status=503 body=no").unwrap()
        else {
            panic!("not a service step")
        };
        assert_eq!((name.as_str(), &options["status"], &options["body"]), ("web", &503.into(), &"no".into()));
        let Step::Link { shape: Some(shape), .. } = parse("link core loss=0.05 delay_ms=20").unwrap() else {
            panic!("not a link step")
        };
        assert_eq!((shape.loss, shape.delay_ms), (0.05, 20.0));
        assert_eq!(parse("wait 300ms").unwrap(), Step::Pause(Duration::from_millis(300)));
        assert!(matches!(parse("wait origin tcp:443").unwrap(), Step::Listening { .. }));
        assert!(matches!(parse("cert shop expired names=a,b").unwrap(), Step::Cert { profile: Some(_), .. }));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "@r2",
            "dance web",
            "link core speed=1",
            "wait 99999999ms",
            "cert shop x colour=1",
            "file a b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }
    }
}
