//! `allow`, `deny`, `limit_except`, `satisfy`, and what asks for a name and a password.

use super::{Chain, Directive, inherited};
use crate::operator::Net;
use crate::place::both;
use crate::request::Request;
use crate::web::{Findings, Truth, WebRule};

/// Asks the access lists of the innermost block.
pub fn check(chain: &Chain, request: &Request, findings: &mut Findings) {
    let any = inherited(chain, &["satisfy"]).first().is_some_and(|directive| directive.word(1) == "any");
    let mut own = Findings::default();
    list(&inherited(chain, &["allow", "deny"]), request, &mut own);
    let passes_list = own.stops.is_empty() && own.unsure.is_empty();
    let listed = !inherited(chain, &["allow", "deny"]).is_empty();
    let mut names = Findings::default();
    credentials(chain, request, &mut names);
    let passes_names = names.stops.is_empty() && names.unsure.is_empty();
    let asked = inherited(chain, &["auth_basic", "auth_request", "auth_jwt"]);
    // With `any`, one of the two is enough.
    let enough = any && listed && !asked.is_empty() && (passes_list || passes_names);
    if !enough {
        findings.stops.extend(own.stops.into_iter().chain(names.stops));
        findings.unsure.extend(own.unsure.into_iter().chain(names.unsure));
    }
    methods(chain, request, findings);
}

/// The first entry that means the client decides; every entry before it that might is told.
fn list(entries: &[&Directive], request: &Request, findings: &mut Findings) {
    for entry in entries {
        let denies = entry.name() == "deny";
        match means(entry.word(1), request) {
            Truth::No => {}
            Truth::Yes => {
                if denies {
                    let why = both("the client's address is denied", "客户端地址被拒绝");
                    Findings::note(
                        &mut findings.stops,
                        WebRule::new(&entry.place, &entry.text(), Some(403), why),
                    );
                }
                return;
            }
            Truth::Unknown(why) => {
                // An allow in doubt matters only if something later denies.
                if denies {
                    Findings::note(
                        &mut findings.unsure,
                        WebRule::new(&entry.place, &entry.text(), Some(403), why),
                    );
                } else {
                    let mut rest = Findings::default();
                    let at = entries
                        .iter()
                        .position(|other| std::ptr::eq(*other, *entry))
                        .unwrap_or(entries.len());
                    list(&entries[(at + 1).min(entries.len())..], request, &mut rest);
                    for mut rule in rest.stops.into_iter().chain(rest.unsure) {
                        rule.why = why.clone();
                        Findings::note(&mut findings.unsure, rule);
                    }
                    return;
                }
            }
        }
    }
}

fn means(word: &str, request: &Request) -> Truth {
    if word == "all" {
        return Truth::Yes;
    }
    let unknown = || Truth::Unknown(both("the client's address is not said", "未说明客户端地址"));
    if word == "unix:" {
        return Truth::No;
    }
    match (Net::read(word), request.client) {
        (Some(net), Some(client)) => Truth::of(net.holds(client)),
        _ => unknown(),
    }
}

/// What is asked of methods that `limit_except` does not name.
fn methods(chain: &Chain, request: &Request, findings: &mut Findings) {
    for limit in
        chain.last().map_or(&[][..], |block| &block.block).iter().filter(|own| own.name() == "limit_except")
    {
        let named = limit
            .words
            .iter()
            .skip(1)
            .any(|method| *method == request.method || (method == "GET" && request.method == "HEAD"));
        if !named {
            let inner: Vec<&Directive> =
                limit.block.iter().filter(|own| matches!(own.name(), "allow" | "deny")).collect();
            list(&inner, request, findings);
        }
    }
}

fn credentials(chain: &Chain, request: &Request, findings: &mut Findings) {
    for asked in inherited(chain, &["auth_basic", "auth_request", "auth_jwt"]) {
        if asked.word(1) == "off" {
            continue;
        }
        let basic = asked.name() == "auth_basic";
        if basic && request.header("authorization").is_none() {
            let why = both(
                "it asks for a name and a password, and the request has none",
                "需要用户名和密码，请求中没有",
            );
            Findings::note(&mut findings.stops, WebRule::new(&asked.place, &asked.text(), Some(401), why));
        } else {
            let why = both("it depends on whom the request comes from", "取决于请求者的身份");
            Findings::note(&mut findings.unsure, WebRule::new(&asked.place, &asked.text(), Some(401), why));
        }
    }
}
