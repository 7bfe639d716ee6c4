//! The rules of a section, in their order: the first that decides ends it.

use super::condition::Condition;
use super::{Haproxy, Line, Section};
use crate::place::both;
use crate::request::Request;
use crate::web::{Findings, Truth, WebRule};
use netwhy_model::Text;

/// What haproxy answers to what it denies, and to what it holds up first.
const DENIED_STATUS: u16 = 403;
const TARPIT_STATUS: u16 = 500;
/// The status from which on an answer is a refusal.
const REFUSAL_MIN: u16 = 400;

pub struct Asked<'a> {
    pub haproxy: &'a Haproxy,
    pub request: &'a Request,
}

/// What a rule does where its condition holds.
enum Does {
    Refuses(Option<u16>, Text),
    /// Nothing more of the section is asked.
    Ends,
}

impl Asked<'_> {
    /// Asks the rules of a section; whether the request surely ends there.
    pub fn section(&self, section: &Section, findings: &mut Findings) -> bool {
        // Connections are looked at before requests.
        for kind in ["tcp-request", "http-request"] {
            for line in section.lines.iter().filter(|line| line.word(0) == kind) {
                let Some(does) = does(line) else { continue };
                let condition = Condition::read(self, section, line);
                match (does, condition.truth) {
                    (_, Truth::No) => {}
                    (Does::Ends, Truth::Yes) if kind == "http-request" => return line.word(1) != "allow",
                    (Does::Ends, _) => {}
                    (Does::Refuses(status, _), truth)
                        if !condition.rates.is_empty() && truth != Truth::Yes =>
                    {
                        for why in condition.rates {
                            let why = answered(why, status);
                            Findings::note(
                                &mut findings.limits,
                                WebRule::new(&line.place, &line.text(), status, why),
                            );
                        }
                    }
                    (Does::Refuses(status, why), Truth::Yes) => {
                        Findings::note(
                            &mut findings.stops,
                            WebRule::new(&line.place, &line.text(), status, why),
                        );
                        return true;
                    }
                    (Does::Refuses(status, _), Truth::Unknown(why)) => {
                        Findings::note(
                            &mut findings.unsure,
                            WebRule::new(&line.place, &line.text(), status, why),
                        );
                    }
                }
            }
        }
        false
    }

    /// The backends that a frontend may hand the request to.
    pub fn backends(&self, section: &Section) -> Vec<String> {
        let mut names = Vec::new();
        for line in section.lines.iter().filter(|line| line.word(0) == "use_backend") {
            match Condition::read(self, section, line).truth {
                Truth::No => {}
                Truth::Yes => {
                    names.push(line.word(1).to_owned());
                    return names;
                }
                Truth::Unknown(_) => names.push(line.word(1).to_owned()),
            }
        }
        let default = section.lines.iter().rfind(|line| line.word(0) == "default_backend");
        names.extend(default.map(|line| line.word(1).to_owned()));
        names
    }
}

fn answered(why: Text, status: Option<u16>) -> Text {
    match status {
        Some(status) => both(format!("{} are answered {status}", why.en), format!("{}返回 {status}", why.zh)),
        None => both(format!("{} are cut off", why.en), format!("{}连接被断开", why.zh)),
    }
}

/// What a rule does; none for those that let the request go on.
fn does(line: &Line) -> Option<Does> {
    let option = |names: &[&str]| {
        let at = line.words.iter().position(|word| names.contains(&word.as_str()))?;
        line.word(at + 1).parse::<u16>().ok()
    };
    let (tcp, action) = match (line.word(0), line.word(1)) {
        ("tcp-request", "connection" | "content" | "session") => (true, line.word(2)),
        ("tcp-request", _) => return None,
        (_, action) => (false, action),
    };
    Some(match action {
        "deny" => Does::Refuses(
            option(&["deny_status", "status"]).or(Some(DENIED_STATUS)),
            both("its condition holds, and it denies", "条件成立，请求被拒绝"),
        ),
        "tarpit" => Does::Refuses(
            option(&["deny_status", "status"]).or(Some(TARPIT_STATUS)),
            both(
                "its condition holds: the request is held up, then refused",
                "条件成立：请求先被拖延，再被拒绝",
            ),
        ),
        "reject" | "silent-drop" => Does::Refuses(
            None,
            both("its condition holds, and the connection is cut", "条件成立，连接被断开"),
        ),
        "return" => match option(&["status"]).unwrap_or(200) {
            status if status >= REFUSAL_MIN => Does::Refuses(
                Some(status),
                both("its condition holds, and it refuses", "条件成立，请求被拒绝"),
            ),
            _ => Does::Ends,
        },
        "auth" => Does::Refuses(Some(401), both("it asks for a name and a password", "需要用户名和密码")),
        "redirect" | "allow" => Does::Ends,
        "accept" if tcp => Does::Ends,
        _ => return None,
    })
}
