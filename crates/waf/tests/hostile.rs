//! No bytes upset a reader: they are read as far as they go, bounded, without control characters.

use netwhy_waf::haproxy::Haproxy;
use netwhy_waf::nginx::Nginx;
use netwhy_waf::{File, NoLibrary, Request, Unread, Waf, exclusion, request};
use proptest::prelude::*;

/// Words that lead a reader into its corners.
const WORDS: &[&str] = &[
    "SecRule",
    "SecAction",
    "SecMarker",
    "SecDefaultAction",
    "SecRuleUpdateTargetById",
    "SecRuleRemoveByTag",
    "Include",
    "ARGS",
    "&ARGS:/a/",
    "!REQUEST_HEADERS:Cookie",
    "XML:/*",
    "TX:/x/",
    "\"@rx (a+)+$\"",
    "\"@pm a|41|b\"",
    "\"!@within %{tx.a}\"",
    "\"@rx %{MATCHED_VAR}\"",
    "\"@ipMatch 1.2.3.4/33\"",
    "\"@nosuch\"",
    "\"id:1,phase:1,deny,chain\"",
    "\"id:2,phase:2,t:none,t:urlDecodeUni,multiMatch,capture,setvar:'tx.a=+%{tx.0}',skipAfter:X\"",
    "\"ctl:ruleRemoveTargetById=1-9;ARGS:q,ctl:requestBodyProcessor=XML\"",
    "\\\n",
    "\n",
    "#",
    "\"",
    "'",
    "|",
    "%{",
    "}",
    "{",
    ";",
    "location",
    "~",
    "if",
    "($http_x ~ a)",
    "map",
    "$a",
    "return 403",
    "server",
    "http",
    "deny all",
    "limit_req zone=a",
    "frontend",
    "acl",
    "x",
    "hdr(a),lower",
    "-m",
    "reg",
    "http-request deny if",
    "||",
    "!",
    "{ src 1 }",
    "GET /?q=1 HTTP/1.1\r\n",
    "Content-Type: multipart/form-data; boundary=b\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n\r\n--b\r\n",
    "ffffffffffffffff\r\n",
    "{\"uri\":\"/\",\"body\":\"",
    "<a b='&x;'>",
    "[[[[",
    "\u{0}",
    "\u{7f}",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![8 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

fn plain(unread: &[Unread]) -> bool {
    unread.iter().all(|one| !one.text.chars().any(char::is_control))
}

fn files(text: String) -> [File; 1] {
    [File { name: "f".into(), text }]
}

proptest! {
    #[test]
    fn rules_of_any_words_are_read_and_run(rules in text(), asked in text()) {
        let waf = Waf::load(&files(rules), &NoLibrary);
        prop_assert!(plain(waf.unread()));
        for request in request::requests("r", asked.as_bytes()).requests.iter().take(4) {
            let answer = waf.ask(request);
            prop_assert!(answer.tripped.iter().all(|one| !one.matched.chars().any(char::is_control)));
            prop_assert!(exclusion::plan(&waf, request).exclusions.len() < 1000);
        }
    }

    #[test]
    fn requests_of_any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400), words in text()) {
        for bytes in [bytes.as_slice(), words.as_bytes()] {
            prop_assert!(plain(&request::requests("r", bytes).unread));
        }
    }

    #[test]
    fn bodies_of_any_bytes_are_taken_apart(body in prop::collection::vec(any::<u8>(), 0..400), words in text()) {
        let rules = "SecRule ARGS|XML:/*|XML://@*|FILES|MULTIPART_PART_HEADERS \"@rx .\" \"id:1,phase:2,pass\"";
        let waf = Waf::load(&files(rules.to_owned()), &NoLibrary);
        for kind in ["multipart/form-data; boundary=b", "application/json", "text/xml", "application/x-www-form-urlencoded"] {
            for body in [body.clone(), words.clone().into_bytes()] {
                let headers = vec![("Content-Type".to_owned(), kind.as_bytes().to_vec())];
                let request = Request { method: "POST".into(), uri: b"/".to_vec(), version: "HTTP/1.1".into(), headers, body, ..Request::default() };
                let _ = waf.ask(&request);
            }
        }
    }

    #[test]
    fn configurations_of_any_words_are_read_and_asked(words in text(), asked in text()) {
        let (nginx, haproxy) = (Nginx::load(&files(words.clone()), &NoLibrary), Haproxy::load(&files(words), &NoLibrary));
        prop_assert!(plain(nginx.unread()) && plain(haproxy.unread()));
        for request in request::requests("r", asked.as_bytes()).requests.iter().take(4) {
            let rules = [nginx.ask(request), haproxy.ask(request)];
            let told = rules.iter().flat_map(|answer| answer.stops.iter().chain(&answer.limits).chain(&answer.unsure));
            prop_assert!(told.into_iter().all(|rule| !rule.rule.chars().any(char::is_control)));
        }
    }
}

#[test]
fn deep_long_and_cyclic_things_end() {
    let deep = Nginx::load(&files("a {".repeat(100_000)), &NoLibrary);
    assert!(!deep.unread().is_empty());
    let map = "map $a $b { default $a; }\nmap $b $a { default $b$b; }\nserver { if ($a) { return 403; } }";
    let answer = Nginx::load(&files(map.to_owned()), &NoLibrary)
        .ask(&Request { uri: b"/".to_vec(), ..Request::default() });
    assert_eq!(answer.unsure.len(), 1);
    let chain = "SecRule ARGS \"@rx a\" \"id:1,chain\"\n".repeat(100_000);
    let waf = Waf::load(&files(chain), &NoLibrary);
    assert!(waf.unread().len() > 90_000);
    let grows = "SecAction \"id:1,phase:1,pass,setvar:tx.a=aa\"\n".to_owned()
        + &"SecAction \"phase:1,pass,setvar:'tx.a=%{tx.a}%{tx.a}'\"\n".repeat(100);
    let _ = Waf::load(&files(grows), &NoLibrary).ask(&Request { uri: b"/".to_vec(), ..Request::default() });
}

#[test]
fn a_pattern_that_needs_too_many_steps_is_not_decided() {
    let rules = "SecRule ARGS:a \"@rx ^(?:(?:a+)+)+$\" \"id:1,phase:1,deny\"";
    let waf = Waf::load(&files(rules.to_owned()), &NoLibrary);
    let request =
        Request { uri: [b"/?a=".as_slice(), &b"a".repeat(64), b"!"].concat(), ..Request::default() };
    let answer = waf.ask(&request);
    assert_eq!(answer.verdict, netwhy_waf::answer::Verdict::Depends);
    assert_eq!((answer.unsure[0].id, answer.unsure[0].line), (1, 1));
}
