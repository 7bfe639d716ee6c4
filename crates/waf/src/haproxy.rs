//! What haproxy itself stops: `http-request deny`, `tcp-request reject` and their like, with the ACLs they ask, and
//! the rates that stick-tables count.

mod condition;
mod fetch;
mod rules;
mod syntax;

use crate::place::Unread;
use crate::request::Request;
use crate::seclang::{File, Library};
use crate::web::{Findings, WebAnswer};
use std::collections::BTreeMap;
pub use syntax::{Line, Section};

/// A configuration of haproxy.
#[derive(Debug, Clone, Default)]
pub struct Haproxy {
    sections: Vec<Section>,
    /// Lists that rules name with `-f`, by name.
    lists: BTreeMap<String, Vec<String>>,
    unread: Vec<Unread>,
}

impl Haproxy {
    /// Reads the files one after another.
    pub fn load(files: &[File], library: &dyn Library) -> Haproxy {
        let (sections, unread) = syntax::read(files);
        let lists = syntax::lists(&sections, library);
        Haproxy { sections, lists, unread }
    }

    /// What of the files was not understood.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// Which rules stop the request, in every frontend it could come to.
    pub fn ask(&self, request: &Request) -> WebAnswer {
        let mut findings = Findings::default();
        let fronts =
            self.sections.iter().filter(|section| matches!(section.kind.as_str(), "frontend" | "listen"));
        let answers: Vec<Findings> = fronts.map(|front| self.through(front, request)).collect();
        // Where only some of the frontends stop it, it depends on which one it comes to.
        let everywhere = answers.iter().all(|answer| !answer.stops.is_empty());
        for answer in answers {
            let stops = if everywhere { &mut findings.stops } else { &mut findings.unsure };
            answer.stops.into_iter().for_each(|rule| Findings::note(stops, rule));
            answer.limits.into_iter().for_each(|rule| Findings::note(&mut findings.limits, rule));
            answer.unsure.into_iter().for_each(|rule| Findings::note(&mut findings.unsure, rule));
        }
        findings.answer()
    }

    fn through(&self, front: &Section, request: &Request) -> Findings {
        let mut findings = Findings::default();
        let asked = rules::Asked { haproxy: self, request };
        if asked.section(front, &mut findings) {
            return findings;
        }
        for name in asked.backends(front) {
            let back = self.sections.iter().find(|section| section.kind == "backend" && section.name == name);
            if let Some(back) = back {
                asked.section(back, &mut findings);
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Verdict;
    use crate::seclang::NoLibrary;

    const TEXT: &str = r#"
global
    maxconn 100
frontend www
    bind :80
    stick-table type ip size 100k expire 30s store http_req_rate(10s),conn_cur
    http-request track-sc0 src
    acl office src 10.0.0.0/8
    acl admin path_beg -i /admin
    acl bad_agent hdr_sub(User-Agent) -i scanner sqlmap
    http-request allow if office
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }
    http-request deny if admin !office
    http-request tarpit if bad_agent || { method TRACE }
    http-request return status 418 unless { hdr(host) -m found }
    http-request deny if { ssl_fc_sni -m str x }
    use_backend api if { path -m beg /api/ }
    default_backend web
backend api
    http-request deny deny_status 405 if !METH_GET !METH_POST
backend web
    http-request deny if { path_reg ^/x[0-9]+$ } { url_param(a) 1 2 }
"#;

    fn asked(line: &str, client: &str, agent: &str) -> WebAnswer {
        let haproxy = Haproxy::load(&[File { name: "h".into(), text: TEXT.into() }], &NoLibrary);
        assert_eq!(haproxy.unread(), []);
        let raw = format!("{line} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: {agent}\r\n\r\n");
        let mut request = crate::request::raw(&"r".into(), raw.as_bytes()).requests.remove(0);
        request.client = client.parse().ok();
        haproxy.ask(&request)
    }

    #[test]
    fn each_rule_stops_what_its_acls_name() {
        let told = |line, client, agent| {
            let answer = asked(line, client, agent);
            (answer.verdict, answer.stops.first().map(|stop| (stop.place.line, stop.status)))
        };
        assert_eq!(told("GET /Admin", "10.1.1.1", "curl"), (Verdict::Passed, None));
        assert_eq!(told("GET /Admin", "8.8.8.8", "curl"), (Verdict::Blocked, Some((13, Some(403)))));
        assert_eq!(told("GET /", "8.8.8.8", "a Scanner"), (Verdict::Blocked, Some((14, Some(500)))));
        assert_eq!(told("TRACE /", "8.8.8.8", "curl"), (Verdict::Blocked, Some((14, Some(500)))));
        assert_eq!(told("PUT /api/", "8.8.8.8", "curl"), (Verdict::Blocked, Some((20, Some(405)))));
        assert_eq!(told("GET /x12?a=2", "8.8.8.8", "curl"), (Verdict::Blocked, Some((22, Some(403)))));
        assert_eq!(told("GET /x12?a=3", "8.8.8.8", "curl"), (Verdict::Depends, None));
    }

    #[test]
    fn a_rate_is_told_with_its_numbers_and_what_is_unknown_is_named() {
        let answer = asked("GET /", "8.8.8.8", "curl");
        let limit = &answer.limits[0];
        assert_eq!((limit.place.line, limit.status), (12, Some(429)));
        assert!(limit.why.en.contains("more than 20 requests in 10s from one address"), "{}", limit.why.en);
        assert_eq!(answer.unsure[0].place.line, 16);
        assert_eq!(asked("GET /admin", "", "curl").verdict, Verdict::Depends);
    }
}
