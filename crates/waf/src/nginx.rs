//! What nginx itself stops: access lists, conditions that return, limits of methods, bodies, rates and connections.

mod access;
mod choose;
mod limits;
mod rewrite;
mod syntax;
mod values;

use crate::place::Unread;
use crate::request::Request;
use crate::seclang::{File, Library};
use crate::web::{Findings, WebAnswer};
pub use syntax::Directive;
use values::Values;

/// A configuration of nginx.
#[derive(Debug, Clone, Default)]
pub struct Nginx {
    main: Vec<Directive>,
    unread: Vec<Unread>,
}

/// The blocks a request is in, the outermost first.
type Chain<'a> = Vec<&'a Directive>;

impl Nginx {
    /// Reads the files one after another, with what they include.
    pub fn load(files: &[File], library: &dyn Library) -> Nginx {
        let (main, unread) = syntax::read(files, library);
        Nginx { main, unread }
    }

    /// What of the files was not understood.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// Which rules stop the request.
    pub fn ask(&self, request: &Request) -> WebAnswer {
        let mut findings = Findings::default();
        let Some(chain) = choose::server(&self.main, request) else { return findings.answer() };
        let mut values = Values::new(&self.main, request);
        let ended =
            rewrite::run(chain.last().map_or(&[][..], |server| &server.block), &mut values, &mut findings);
        if ended {
            return findings.answer();
        }
        let (chain, doubt) = choose::location(chain, &values);
        findings.unsure.extend(doubt);
        // The length of the body is asked as soon as the location is known.
        limits::body(&chain, request, &mut findings);
        let inner = chain.last().map_or(&[][..], |block| &block.block);
        if rewrite::run(inner, &mut values, &mut findings) {
            return findings.answer();
        }
        limits::rates(&self.main, &chain, &values, &mut findings);
        access::check(&chain, request, &mut findings);
        findings.answer()
    }
}

/// The directives of a name that hold in the innermost block: the nearest block that has any decides.
fn inherited<'a>(chain: &Chain<'a>, names: &[&str]) -> Vec<&'a Directive> {
    let own = |block: &&'a Directive| -> Vec<&'a Directive> {
        block.block.iter().filter(|directive| names.contains(&directive.name())).collect()
    };
    chain.iter().rev().map(own).find(|own| !own.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Verdict;
    use crate::seclang::NoLibrary;

    const TEXT: &str = r#"
http {
  limit_req_zone $binary_remote_addr zone=one:10m rate=10r/s;
  limit_conn_zone $server_name zone=all:1m;
  map $http_user_agent $bad { default 0; ~*scanner 1; }
  client_max_body_size 10;
  server {
    listen 80 default_server; server_name other;
    return 444;
  }
  server {
    server_name shop.example *.shop.example;
    if ($bad) { return 403; }
    if ($request_method !~ ^(GET|POST|PUT)$ ) { return 405; }
    location / { limit_req zone=one burst=20 nodelay; }
    location ^~ /admin/ { allow 10.0.0.0/8; deny all; }
    location ~ \.(bak|sql)$ { deny all; }
    location /api/ { limit_except GET POST { deny all; } limit_conn all 5; limit_conn_status 429; }
    location = /old { return 301 /new; }
  }
}"#;

    fn asked(line: &str, client: &str, agent: &str) -> WebAnswer {
        let nginx = Nginx::load(&[File { name: "n".into(), text: TEXT.into() }], &NoLibrary);
        assert_eq!(nginx.unread(), []);
        let raw = format!("{line} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: {agent}\r\n\r\n");
        let mut request = crate::request::raw(&"r".into(), raw.as_bytes()).requests.remove(0);
        request.client = client.parse().ok();
        nginx.ask(&request)
    }

    #[test]
    fn each_rule_stops_what_it_names_with_its_line() {
        let told = |line, client, agent| {
            let answer = asked(line, client, agent);
            (answer.verdict, answer.stops.first().map(|stop| (stop.place.line, stop.status)))
        };
        assert_eq!(told("GET /", "8.8.8.8", "curl"), (Verdict::Depends, None));
        assert_eq!(told("GET /", "8.8.8.8", "AScanner"), (Verdict::Blocked, Some((13, Some(403)))));
        assert_eq!(told("DELETE /", "8.8.8.8", "curl"), (Verdict::Blocked, Some((14, Some(405)))));
        assert_eq!(told("GET /admin/x.sql", "10.1.1.1", "curl"), (Verdict::Passed, None));
        assert_eq!(told("GET /x/../admin/", "8.8.8.8", "curl"), (Verdict::Blocked, Some((16, Some(403)))));
        assert_eq!(told("GET /a/dump.sql", "10.1.1.1", "curl"), (Verdict::Blocked, Some((17, Some(403)))));
        assert_eq!(told("PUT /api/1", "10.1.1.1", "curl"), (Verdict::Blocked, Some((18, Some(403)))));
        assert_eq!(asked("GET /admin/", "", "curl").verdict, Verdict::Depends);
        assert_eq!(asked("GET /old", "", "curl").verdict, Verdict::Passed);
    }

    #[test]
    fn a_limit_is_told_with_its_numbers() {
        let limit = &asked("GET /", "8.8.8.8", "curl").limits[0];
        assert_eq!((limit.place.line, limit.status), (15, Some(503)));
        assert!(limit.why.en.contains("more than 10 requests a second from one address"), "{}", limit.why.en);
        assert!(limit.why.en.contains("20"), "{}", limit.why.en);
        let limit = &asked("GET /api/", "8.8.8.8", "curl").limits[0];
        assert_eq!(limit.status, Some(429));
    }
}
