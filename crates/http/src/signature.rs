//! Who wrote a response, and what an error page says: read from status, headers and body.

use crate::parse::{Head, title};
use crate::words::{DEFAULT_PAGES, PAGE_WORDS};
use std::borrow::Cow;

/// Bytes of a body in which a sign is looked for.
const LOOKED_BYTES_MAX: usize = 32 * 1024;
/// A page longer than this is no error page; only short ones are read for loose words.
const ERROR_PAGE_BYTES_MAX: usize = 16 * 1024;

/// Characters at the top of a page that is well in which a server's default page names itself.
const TOP_CHARS: usize = 600;

/// What the body and headers of a response say, with the words that say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// A value of the fact `http.signature`.
    pub value: &'static str,
    pub words: Cow<'static, str>,
}

/// Reads what an error response says; `expected` responses are only read for a server's own default page.
pub fn sign(head: &Head, body: &[u8], expected: bool) -> Sign {
    let text = lowered(body);
    // A page that is well may speak of such things further down; a default page begins with them.
    let end = text.char_indices().nth(TOP_CHARS).map_or(text.len(), |(at, _)| at);
    let looked = if expected { &text[..end] } else { text.as_str() };
    let vague = |words: &str| expected && words.contains("it works");
    if let Some(words) = DEFAULT_PAGES.iter().find(|words| looked.contains(**words) && !vague(words)) {
        return Sign { value: "default_site", words: Cow::Borrowed(words) };
    }
    let none = Sign { value: "none", words: Cow::Borrowed("") };
    if expected {
        return none;
    }
    if let Some(found) = by_header(head) {
        return found;
    }
    if text.len() <= ERROR_PAGE_BYTES_MAX {
        for (value, all) in PAGE_WORDS {
            if let Some(words) = all.iter().find(|words| text.contains(**words)) {
                return Sign { value, words: Cow::Borrowed(words) };
            }
        }
    }
    by_status(head).unwrap_or(none)
}

fn by_header(head: &Head) -> Option<Sign> {
    let sign = |value, words: String| Some(Sign { value, words: Cow::Owned(words) });
    if head.get("cf-mitigated").is_some_and(|v| v.eq_ignore_ascii_case("challenge")) {
        return sign("challenge", "cf-mitigated: challenge".into());
    }
    if matches!(head.status, 401 | 407) {
        let asked = head.get("www-authenticate").or_else(|| head.get("proxy-authenticate")).unwrap_or("none");
        return sign("auth", format!("{} with challenge: {asked}", head.status));
    }
    let waf = head.headers.iter().find(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name.contains("waf")
            || name.contains("x-sucuri-block")
            || name == "x-block-reason"
            || name == "x-blocked-by"
    });
    match waf {
        Some((name, value)) if (400..500).contains(&head.status) => sign("waf", format!("{name}: {value}")),
        _ => None,
    }
}

fn by_status(head: &Head) -> Option<Sign> {
    let value = match head.status {
        429 => "rate_limit",
        421 => "unknown_host",
        495 | 496 => "client_cert",
        497 => "plain_to_tls",
        502 => "bad_gateway",
        504 => "upstream_timeout",
        _ => return None,
    };
    Some(Sign { value, words: Cow::Owned(format!("status {}", head.status)) })
}

/// Who wrote the response, with the sign: a value of the fact `http.writer`.
pub fn writer(head: &Head, body: &[u8]) -> (&'static str, String) {
    let text = lowered(body);
    let server = head.get("server").unwrap_or("").to_ascii_lowercase();
    let error = head.status >= 400;
    if error && haproxy_page(&text, head) {
        return ("proxy", format!("haproxy's own {} page", head.status));
    }
    if error && (text.contains("no healthy upstream") || text.contains("upstream connect error")) {
        return ("proxy", "envoy's own error text".into());
    }
    if error && (text.contains("varnish cache server") || server == "varnish") {
        return ("proxy", "varnish's own error page".into());
    }
    if error && (head.get("x-squid-error").is_some() || server.starts_with("squid")) {
        return ("proxy", "squid's own error page".into());
    }
    let page = server_page(&text, head.status);
    if matches!(head.status, 502 | 504) {
        return ("proxy", format!("{} with {}", head.status, page.unwrap_or("a gateway's status")));
    }
    if let Some(edge) = edge_server(&server).filter(|_| error) {
        return ("proxy", format!("Server: {edge}"));
    }
    if let Some(page) = page.filter(|_| head.status >= 300) {
        return ("unknown", format!("{page}, of the edge or of the web server itself"));
    }
    application(head, &server, &text, error)
}

/// An answer that is no server's stock page.
fn application(head: &Head, server: &str, text: &str, error: bool) -> (&'static str, String) {
    let app_servers = [
        "python",
        "basehttp",
        "simplehttp",
        "werkzeug",
        "gunicorn",
        "uvicorn",
        "express",
        "jetty",
        "tomcat",
        "php",
        "puma",
        "kestrel",
        "aiohttp",
        "tornado",
        "waitress",
    ];
    if let Some(name) = app_servers.iter().find(|name| server.contains(**name)) {
        return ("service", format!("Server names an application server ({name})"));
    }
    if let Some(by) = head.get("x-powered-by") {
        return ("service", format!("X-Powered-By: {by}"));
    }
    if error && !text.is_empty() && (server.contains("nginx") || server.contains("apache")) {
        return ("service", "a page that is not the web server's own".into());
    }
    if error { ("unknown", "no sign".into()) } else { ("service", "a page of its own".into()) }
}

/// haproxy's built-in pages: no Server header, the status in an `h1`, one line of text (haproxy: http_err_msgs).
fn haproxy_page(text: &str, head: &Head) -> bool {
    head.get("server").is_none()
        && text.starts_with("<html><body><h1>")
        && text.trim_end().ends_with("</body></html>")
        && text.contains("</h1>\n")
        && text.len() < 400
}

/// The stock error page of a web server that may be edge or origin.
fn server_page(text: &str, status: u16) -> Option<&'static str> {
    let code = status.to_string();
    if !text.contains(&code) && !matches!(status, 400 | 494..=497) {
        return None;
    }
    if text.contains("<hr><center>nginx") || text.contains("<hr><center>openresty") {
        return Some("nginx's own error page");
    }
    if text.contains("<!doctype html public \"-//ietf//dtd html 2.0//en\">") {
        return Some("apache's own error page");
    }
    text.contains("microsoft-httpapi").then_some("Windows' own error page")
}

/// Server headers only a delivery network or a load balancer sends.
fn edge_server(server: &str) -> Option<&'static str> {
    [
        "cloudflare",
        "akamaighost",
        "cloudfront",
        "awselb",
        "tengine/edge",
        "envoy",
        "fastly",
        "sucuri",
        "imperva",
        "traefik",
        "haproxy",
        "bigip",
        "istio-envoy",
        "alb",
        "yunjiasu",
        "volc-dcdn",
    ]
    .into_iter()
    .find(|name| server.starts_with(name))
}

/// Signs that a proxy or cache stood on the way, whoever wrote the answer.
pub fn passed_by(head: &Head) -> Vec<String> {
    let names = [
        "via",
        "x-cache",
        "x-cache-status",
        "x-served-by",
        "x-proxy-cache",
        "cf-ray",
        "cf-cache-status",
        "x-amz-cf-id",
        "age",
        "x-edge",
        "x-varnish",
        "eagleid",
        "x-swift-cachetime",
    ];
    head.headers
        .iter()
        .filter(|(name, _)| names.contains(&name.to_ascii_lowercase().as_str()))
        .take(8)
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

/// What a cache says of itself: true for a hit, false for a miss, nothing when no cache speaks.
pub fn cache_hit(head: &Head) -> Option<bool> {
    let says =
        ["x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status", "x-nginx-cache", "x-cache-lookup"]
            .iter()
            .find_map(|name| head.get(name))
            .map(str::to_ascii_lowercase);
    if let Some(says) = says {
        let hit = ["hit", "stale", "updating", "revalidated"].iter().any(|word| says.contains(word));
        return Some(hit);
    }
    head.get("age").and_then(|age| age.trim().parse::<u64>().ok()).map(|age| age > 0)
}

/// What the page calls itself, or its first words: for excerpts.
pub fn page_name(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(LOOKED_BYTES_MAX)]);
    let odd = |c: &char| *c == char::REPLACEMENT_CHARACTER || (c.is_control() && !c.is_whitespace());
    if text.chars().take(200).filter(odd).count() > 2 {
        return "(binary)".to_owned();
    }
    title(&text).unwrap_or_else(|| {
        let plain = without_tags(&text);
        plain.chars().take(60).collect()
    })
}

fn without_tags(text: &str) -> String {
    let mut inside = false;
    let plain: String = text
        .chars()
        .take(600)
        .filter(|c| {
            match c {
                '<' => inside = true,
                '>' => {
                    inside = false;
                    return false;
                }
                _ => {}
            }
            !inside
        })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lowered(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(LOOKED_BYTES_MAX)]).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(status: u16, headers: &[(&str, &str)]) -> Head {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Head { version: "HTTP/1.1", status, reason: String::new(), headers }
    }

    const HAPROXY_503: &[u8] = b"<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n";
    const NGINX_502: &[u8] = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

    #[test]
    fn stock_pages() {
        assert_eq!(sign(&head(503, &[]), HAPROXY_503, false).value, "no_backend");
        assert_eq!(writer(&head(503, &[]), HAPROXY_503).0, "proxy");
        let nginx = head(502, &[("Server", "nginx/1.26")]);
        assert_eq!(sign(&nginx, NGINX_502, false).value, "bad_gateway");
        assert_eq!(writer(&nginx, NGINX_502).0, "proxy");
        let page = String::from_utf8_lossy(NGINX_502).replace("502 Bad Gateway", "404 Not Found");
        assert_eq!(writer(&head(404, &[("Server", "nginx")]), page.as_bytes()).0, "unknown");
        assert_eq!(sign(&head(404, &[("Server", "nginx")]), page.as_bytes(), false).value, "none");
    }

    #[test]
    fn a_page_that_is_well_accuses_nothing() {
        let page = b"<title>How we blocked an attack: captcha, maintenance and rate limits</title>";
        assert_eq!(sign(&head(200, &[]), page, true).value, "none");
        assert_eq!(sign(&head(401, &[("WWW-Authenticate", "Basic realm=x")]), b"", false).value, "auth");
        assert_eq!(sign(&head(200, &[]), b"<title>Welcome to nginx!</title>", true).value, "default_site");
        assert_eq!(
            sign(&head(200, &[]), b"<html><body><h1>It works!</h1></body></html>", true).value,
            "none"
        );
    }

    #[test]
    fn caches_speak() {
        assert_eq!(cache_hit(&head(200, &[("X-Cache", "HIT from edge")])), Some(true));
        assert_eq!(cache_hit(&head(200, &[("X-Cache-Status", "MISS")])), Some(false));
        assert_eq!(cache_hit(&head(200, &[("Age", "12")])), Some(true));
        assert_eq!(cache_hit(&head(200, &[])), None);
    }

    proptest! {
        #[test]
        fn never_panics(status in 0u16..700, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let head = head(status, &[("server", "x")]);
            let _ = sign(&head, &bytes, false);
            let _ = writer(&head, &bytes);
            let _ = page_name(&bytes);
        }
    }
}
