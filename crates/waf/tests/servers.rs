//! What the model says beside what nginx and haproxy themselves answer, over loopback.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may fail loudly")]

use netwhy_waf::answer::Verdict;
use netwhy_waf::haproxy::Haproxy;
use netwhy_waf::nginx::Nginx;
use netwhy_waf::{File, NoLibrary, Request, WebAnswer};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a server may take to start and to answer.
const WAIT_SECONDS_MAX: u64 = 5;

const PATHS: &[&str] = &[
    "/",
    "/exact",
    "/exact/",
    "/pre",
    "/pre/ok",
    "/pre/x.gif",
    "/prefix",
    "/firm/a.sql",
    "/firm/x.php",
    "/a.sql",
    "/a.SQL",
    "/b/x.bak",
    "/x.php",
    "/x.PHP",
    "/lim",
    "/auth",
    "/sat",
    "/net",
    "/key?k=abb",
    "/key?k=a",
    "/big",
    "/a%20b",
    "/red",
    "/rw/old1",
    "/rw/new",
    "/esc/..%2f",
    "/esc/../esc/123",
    "/esc/123",
    "/esc/%31%32%33",
    "//exact",
    "/./exact",
    "/x/../exact",
    "/%65xact",
    "/exact?q",
    "/?z=bc",
    "/?z=b",
    "/?x=union+select",
    "/?a=union&b=select",
    "/lim/../pre",
    "/pre%2fok",
    "/PRE",
];
const HEADERS: &[(&str, &str)] = &[
    ("User-Agent", "a Scanner"),
    ("User-Agent", "exact"),
    ("User-Agent", "xtail"),
    ("User-Agent", "tailx"),
    ("Referer", "http://EVIL.example/"),
    ("Host", "first"),
    ("Host", "www.wild.example"),
    ("Host", "wild.example"),
    ("Host", "re12.example"),
    ("Host", "other"),
    ("Host", "SHOP.example:80"),
    ("Cookie", "a=1; k=abbb"),
];

/// Every request that is tried.
fn requests() -> Vec<Request> {
    let one = |method: &str, path: &str, header: Option<&(&str, &str)>, length: usize| {
        let mut headers = vec![("Host", "shop.example"), ("User-Agent", "curl"), ("Connection", "close")];
        if let Some((name, value)) = header {
            headers.retain(|(known, _)| known != name);
            headers.push((name, value));
        }
        let mut headers: Vec<(String, Vec<u8>)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        if length > 0 {
            headers.push(("Content-Length".to_owned(), length.to_string().into_bytes()));
        }
        Request {
            method: method.to_owned(),
            uri: path.as_bytes().to_vec(),
            version: "HTTP/1.1".to_owned(),
            headers,
            body: vec![b'x'; length],
            client: Some([127, 0, 0, 1].into()),
            ..Request::default()
        }
    };
    let mut requests: Vec<Request> = PATHS.iter().map(|path| one("GET", path, None, 0)).collect();
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        requests.extend(["/", "/lim", "/exact", "/firm/"].map(|path| one(method, path, None, 0)));
    }
    for header in HEADERS {
        requests.extend(["/", "/key", "/auth", "/sat"].map(|path| one("GET", path, Some(header), 0)));
    }
    for length in [20, 21, 100] {
        requests.extend(["/", "/big", "/exact", "/lim"].map(|path| one("POST", path, None, length)));
    }
    requests
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status the server answers with; 0 where it just closes.
fn status(port: u16, request: &Request) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(WAIT_SECONDS_MAX))).unwrap();
    let mut bytes = [request.line(), b"\r\n".to_vec()].concat();
    for (name, value) in &request.headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend([b"\r\n".as_slice(), &request.body].concat());
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn compare(port: u16, ask: impl Fn(&Request) -> WebAnswer) {
    let mut wrong = Vec::new();
    for request in requests() {
        let (real, answer) = (status(port, &request), ask(&request));
        let told = answer.stops.first().map(|stop| stop.status.unwrap_or(0));
        let refused = (real >= 400 || real == 0).then_some(real);
        if answer.verdict == Verdict::Depends || told != refused {
            wrong.push(format!("{}: answered {real}, the model says {answer:?}", request.title()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Starts a server on a free port; none where it is not installed.
fn started(program: &str, text: &str, arguments: &[&str], folder: &Path) -> Option<(Server, u16, [File; 1])> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = text.replace("PORT", &port.to_string()).replace("FOLDER", &folder.to_string_lossy());
    let path = folder.join("configuration");
    std::fs::write(&path, &text).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .arg(&path)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = child else {
        println!("SKIPPED: no {program}");
        return None;
    };
    let server = Server(child);
    let within = Duration::from_secs(WAIT_SECONDS_MAX);
    netwhy_testing::until(&format!("{program} to listen"), within, || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    Some((server, port, [File { name: "configuration".into(), text }]))
}

#[test]
fn nginx_refuses_what_the_model_says_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("servers/nginx.conf");
    let Some((_server, port, files)) = started("nginx", text, &["-c"], folder.path()) else { return };
    let nginx = Nginx::load(&files, &NoLibrary);
    assert_eq!(nginx.unread(), []);
    compare(port, |request| nginx.ask(request));
}

#[test]
fn haproxy_refuses_what_the_model_says_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("servers/haproxy.cfg");
    let Some((_server, port, files)) = started("haproxy", text, &["-db", "-f"], folder.path()) else {
        return;
    };
    let haproxy = Haproxy::load(&files, &NoLibrary);
    assert_eq!(haproxy.unread(), []);
    compare(port, |request| haproxy.ask(request));
}
