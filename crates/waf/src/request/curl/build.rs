//! What a command line of curl asks for, put together as curl sends it.

use super::super::{REQUEST_BYTES_MAX, Request, too_large};
use crate::place::both;
use crate::transform::base64_encode;
use netwhy_model::Text;

/// What stands between the parts of a form; curl draws its end by lot.
const BOUNDARY: &str = "------------------------netwhy0000000000";
/// What curl calls itself; the version is its own.
const AGENT: &str = "curl/8";

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub urls: Vec<String>,
    method: Option<String>,
    headers: Vec<(String, String)>,
    /// Headers that are not to be sent.
    without: Vec<String>,
    data: Option<Vec<u8>>,
    json: bool,
    form: Vec<(String, String)>,
    queries: Vec<String>,
    cookies: Vec<String>,
    agent: Option<String>,
    referer: Option<String>,
    user: Option<String>,
    bearer: Option<String>,
    range: Option<String>,
    target: Option<String>,
    version: Option<&'static str>,
    /// Its data goes into the query.
    get: bool,
    head: bool,
    compressed: bool,
    as_is: bool,
}

impl Wanted {
    /// Takes one option; those that do not bear on the request are passed over.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Text> {
        let text = || Some(value.to_owned());
        match name {
            "url" => self.urls.push(value.to_owned()),
            "request" => self.method = text(),
            "header" => self.header(value)?,
            "data" | "data-ascii" | "data-binary" => self.data(not_a_file(value)?, "&")?,
            "data-raw" => self.data(value, "&")?,
            "data-urlencode" => self.data(&url_encoded(value)?, "&")?,
            "json" => {
                self.json = true;
                // Several are put together as they are.
                self.data(not_a_file(value)?, "")?;
            }
            "form" => self.form.push(form(value)?),
            "form-string" => {
                self.form.extend(value.split_once('=').map(|(name, value)| (name.into(), value.into())))
            }
            "url-query" => self.queries.push(match value.strip_prefix('+') {
                Some(raw) => raw.to_owned(),
                None => url_encoded(value)?,
            }),
            // Without a sign of equality it is a file, and a jar that is not here has no cookies.
            "cookie" if value.contains('=') => self.cookies.push(value.to_owned()),
            "user-agent" => self.agent = text(),
            "referer" => self.referer = text().map(|text| text.trim_end_matches(";auto").to_owned()),
            "user" => self.user = text(),
            "oauth2-bearer" => self.bearer = text(),
            "range" => self.range = text(),
            "request-target" => self.target = text(),
            "upload-file" => return Err(from_file("--upload-file", value)),
            "config" => return Err(from_file("--config", value)),
            "get" => self.get = true,
            "head" => self.head = true,
            "compressed" => self.compressed = true,
            "path-as-is" => self.as_is = true,
            "http1.0" => self.version = Some("HTTP/1.0"),
            "http1.1" => self.version = Some("HTTP/1.1"),
            "http2" | "http2-prior-knowledge" => self.version = Some("HTTP/2.0"),
            "http3" | "http3-only" => self.version = Some("HTTP/3.0"),
            _ => {}
        }
        Ok(())
    }

    /// `Name: value`, `Name;` for an empty one, `Name:` to leave it out.
    fn header(&mut self, text: &str) -> Result<(), Text> {
        if text.starts_with('@') {
            return Err(from_file("--header", text));
        }
        match (text.split_once(':'), text.strip_suffix(';')) {
            (Some((name, value)), _) if value.trim().is_empty() => self.without.push(name.trim().to_owned()),
            (Some((name, value)), _) => self.headers.push((name.trim().to_owned(), value.trim().to_owned())),
            (None, Some(name)) => self.headers.push((name.trim().to_owned(), String::new())),
            (None, None) => {}
        }
        Ok(())
    }

    fn data(&mut self, text: &str, between: &str) -> Result<(), Text> {
        match &mut self.data {
            Some(data) => {
                data.extend(between.as_bytes());
                data.extend(text.as_bytes());
            }
            None => self.data = Some(text.as_bytes().to_vec()),
        }
        let length = self.data.as_ref().map_or(0, Vec::len);
        if length > REQUEST_BYTES_MAX { Err(too_large()) } else { Ok(()) }
    }

    /// One request for each URL. All of them together may take so many bytes as are left.
    pub fn requests(mut self, left_bytes: &mut usize) -> Result<Vec<Request>, Text> {
        if self.urls.is_empty() {
            return Err(both("the command names no URL", "命令中没有 URL"));
        }
        let needed = self.urls.len().saturating_mul(self.shared_bytes());
        let Some(rest) = left_bytes.checked_sub(needed) else {
            return Err(both(
                "each of its URLs sends the data again, and all of that is too much",
                "每个 URL 都会重复发送数据，总量过大",
            ));
        };
        *left_bytes = rest;
        let urls = std::mem::take(&mut self.urls);
        Ok(urls.iter().map(|url| self.request(url)).collect())
    }

    /// About how many bytes each request has besides its URL.
    fn shared_bytes(&self) -> usize {
        let pair = |(name, value): &(String, String)| name.len() + value.len();
        let pairs = self.headers.iter().chain(&self.form).map(pair);
        let words = self.queries.iter().chain(&self.cookies).map(String::len);
        let data = self.data.as_ref().map_or(0, Vec::len);
        pairs.chain(words).fold(data, usize::saturating_add)
    }

    fn request(&self, url: &str) -> Request {
        let (host, target, credentials) = cut(url, self.as_is);
        let in_query = self.get.then(|| self.data.as_deref().map(String::from_utf8_lossy)).flatten();
        let queries = self.queries.iter().map(String::as_str).chain(in_query.as_deref());
        let target = queries.fold(target, |target, query| {
            let sign = if target.contains('?') { '&' } else { '?' };
            format!("{target}{sign}{query}")
        });
        let sends = !self.get && !self.head;
        let body = match () {
            () if sends && !self.form.is_empty() => multipart(&self.form),
            () if sends => self.data.clone().unwrap_or_default(),
            () => Vec::new(),
        };
        let method = match () {
            () if self.head => "HEAD",
            () if sends && (self.data.is_some() || !self.form.is_empty()) => "POST",
            () => "GET",
        };
        let mut request = Request {
            name: Some(url.to_owned()),
            method: self.method.clone().unwrap_or_else(|| method.to_owned()),
            uri: self.target.clone().unwrap_or(target).into_bytes(),
            version: self.version.unwrap_or("HTTP/1.1").to_owned(),
            body,
            ..Request::default()
        };
        self.add_headers(&mut request, &host, credentials.as_deref());
        request.with_length()
    }

    /// The headers in curl's order: its own first, unless they are given or taken away, then those of the command.
    fn add_headers(&self, request: &mut Request, host: &str, credentials: Option<&str>) {
        let sends = !request.body.is_empty();
        let own = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let basic = self.user.as_deref().or(credentials).map(basic);
        let agent = self.agent.clone().unwrap_or_else(|| AGENT.to_owned());
        let kind = match () {
            () if !sends => None,
            () if !self.form.is_empty() => Some(format!("multipart/form-data; boundary={BOUNDARY}")),
            () if self.json => Some("application/json".to_owned()),
            () => Some("application/x-www-form-urlencoded".to_owned()),
        };
        let accept = if self.json { "application/json" } else { "*/*" };
        let cookies = (!self.cookies.is_empty()).then(|| self.cookies.join("; "));
        let written = [
            ("Host", Some(host.to_owned())),
            ("Authorization", self.bearer.as_ref().map(|token| format!("Bearer {token}")).or(basic)),
            ("Range", self.range.as_ref().map(|range| format!("bytes={range}"))),
            ("User-Agent", own(&Some(agent))),
            ("Accept", Some(accept.to_owned())),
            ("Accept-Encoding", self.compressed.then(|| "deflate, gzip, br, zstd".to_owned())),
            ("Referer", own(&self.referer)),
            ("Cookie", cookies),
            ("Content-Type", kind),
        ];
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let left_out = |name: &str| self.without.iter().any(|without| without.eq_ignore_ascii_case(name));
        for (name, value) in written {
            let Some(value) = value.filter(|_| !given(name) && !left_out(name)) else { continue };
            request.headers.push((name.to_owned(), value.into_bytes()));
        }
        request
            .headers
            .extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())));
    }
}

/// Text that is not `@file`: what stands in files is not known.
fn not_a_file(text: &str) -> Result<&str, Text> {
    if text.starts_with('@') { Err(from_file("--data", text)) } else { Ok(text) }
}

fn from_file(option: &str, file: &str) -> Text {
    both(
        format!("{option} takes from the file {file}: put its content into the command"),
        format!("{option} 取自文件 {file}：请把内容写进命令"),
    )
}

/// `content`, `=content`, `name=content`: the content is encoded, the name is not.
fn url_encoded(text: &str) -> Result<String, Text> {
    let (name, content) = match text.split_once('=') {
        Some(pair) => pair,
        None if text.contains('@') => return Err(from_file("--data-urlencode", text)),
        None => ("", text),
    };
    let mut encoded = if name.is_empty() { String::new() } else { format!("{name}=") };
    for byte in content.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(encoded)
}

/// `name=value`, its type and file name behind semicolons.
fn form(text: &str) -> Result<(String, String), Text> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| both("--form has no sign of equality", "--form 缺少等号"))?;
    if value.starts_with(['@', '<']) {
        return Err(from_file("--form", value));
    }
    let value = value.split(";type=").next().unwrap_or_default();
    Ok((name.to_owned(), value.trim_matches('"').to_owned()))
}

fn multipart(parts: &[(String, String)]) -> Vec<u8> {
    let mut body = String::new();
    for (name, value) in parts {
        body +=
            &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += &format!("--{BOUNDARY}--\r\n");
    body.into_bytes()
}

/// The host, the path with its query, and the credentials of a URL.
fn cut(url: &str, as_is: bool) -> (String, String, Option<String>) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials.to_owned()), host),
        None => (None, authority),
    };
    let default = if url.starts_with("https:") { ":443" } else { ":80" };
    let host = host.strip_suffix(default).unwrap_or(host);
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let path = if path.is_empty() { "/" } else { path };
    let path = if as_is { path.to_owned() } else { without_dots(path) };
    (host.to_owned(), path + query, credentials)
}

/// A path without its dot segments, as RFC 3986 (5.2.4) has it and curl sends it.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

/// The header for a name and a password.
fn basic(user: &str) -> String {
    format!("Basic {}", String::from_utf8_lossy(&base64_encode(user.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_cut_and_base64_is_written_as_curl_does() {
        let of = |url| cut(url, false);
        assert_eq!(
            of("https://a:b@x.example:443/a/../b/./?q=/../#f"),
            ("x.example".into(), "/b/?q=/../".into(), Some("a:b".into()))
        );
        assert_eq!(of("x.example?q"), ("x.example".into(), "/?q".into(), None));
        assert_eq!(cut("http://x:8080/../a", true).1, "/../a");
        assert_eq!(without_dots("/a/b/.."), "/a/");
        assert_eq!(["", "f", "fo", "foo"].map(basic), ["Basic ", "Basic Zg==", "Basic Zm8=", "Basic Zm9v"]);
    }
}
