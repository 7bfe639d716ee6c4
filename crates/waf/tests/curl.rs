//! Command lines of curl as requests.

#![allow(clippy::panic, clippy::unwrap_used)]

use netwhy_waf::Request;
use netwhy_waf::request::requests;
use proptest::prelude::*;

fn read(text: &str) -> Vec<Request> {
    let read = requests("commands", text.as_bytes());
    assert_eq!(read.unread, [], "{text}");
    read.requests
}

fn one(text: &str) -> Request {
    let [request] = &read(text)[..] else { panic!("{text}") };
    request.clone()
}

fn header(request: &Request, name: &str) -> String {
    request.header(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

#[test]
fn what_a_browser_copies_is_the_request_it_sent() {
    let request = one(
        "curl 'https://shop.example/search?q=a%20b' \\\n  -H 'accept: text/html' \\\n  -H 'cookie: a=1; b=2' \\\n  \
         -b 'c=3' -H 'user-agent: Mozilla/5.0' --data-raw $'{\"it\\'s\":\"a\\u0021\"}' --compressed --insecure\n",
    );
    assert_eq!((request.method.as_str(), &request.uri[..]), ("POST", &b"/search?q=a%20b"[..]));
    assert_eq!(request.body, b"{\"it's\":\"a!\"}");
    assert_eq!(header(&request, "host"), "shop.example");
    assert_eq!(header(&request, "user-agent"), "Mozilla/5.0");
    assert_eq!(header(&request, "content-length"), "13");
    assert_eq!(header(&request, "content-type"), "application/x-www-form-urlencoded");
    assert_eq!(request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie")).count(), 1);
    let windows = one("curl ^\"https://shop.example/^?q=1^&r=2^\" ^\r\n  -H ^\"x: a^\\^\"b^\"");
    assert_eq!((&windows.uri[..], header(&windows, "x")), (&b"/?q=1&r=2"[..], "a\"b".to_owned()));
}

#[test]
fn options_are_taken_as_curl_takes_them() {
    let of = |text: &str| {
        let request = one(text);
        let uri = String::from_utf8_lossy(&request.uri).into_owned();
        format!("{} {uri} {}", request.method, String::from_utf8_lossy(&request.body))
    };
    assert_eq!(of("curl -sXPUT http://x/a/../b -d a=1 -d b=2"), "PUT /b a=1&b=2");
    assert_eq!(of("curl -G x -d a=1 --data-urlencode 'b=1 2' -o /dev/null"), "GET /?a=1&b=1%202 ");
    assert_eq!(of("curl -I x/y"), "HEAD /y ");
    assert_eq!(of("curl --path-as-is http://x/../../etc/passwd"), "GET /../../etc/passwd ");
    assert_eq!(of("sudo curl -m 5 --retry 3 --url 'http://x/?q=<script>'"), "GET /?q=<script> ");
    assert_eq!(of("curl --json '{\"a\":1}' x"), "POST / {\"a\":1}");
    let form = one("curl -F a=b -F 'c=\"d\";type=text/plain' http://x/");
    assert!(header(&form, "content-type").starts_with("multipart/form-data; boundary="));
    assert!(String::from_utf8_lossy(&form.body).contains("name=\"c\"\r\n\r\nd\r\n"), "{form:?}");
    let request = one("curl -u a:b -H 'Accept:' -H 'X-Empty;' --http2 https://x:443/");
    assert_eq!(
        (header(&request, "authorization"), request.version.as_str()),
        ("Basic YTpi".into(), "HTTP/2.0")
    );
    assert_eq!((request.header("accept"), request.header("x-empty")), (None, Some(&b""[..])));
    assert_eq!(header(&request, "host"), "x");
    assert_eq!(read("curl a b --next -d x c\n# and\n$ curl d | jq .").len(), 5 - 1);
}

#[test]
fn what_stands_in_files_is_said_and_the_other_commands_are_read() {
    let read = requests("c", b"curl x -d @body.json\ncurl y\nwget z\ncurl -X\ncurl");
    assert_eq!(read.requests.len(), 1);
    let lines: Vec<u32> = read.unread.iter().map(|one| one.place.line).collect();
    assert_eq!(lines, [1, 3, 4, 5]);
    assert!(read.unread[0].why.en.contains("@body.json"), "{:?}", read.unread[0]);
}

#[test]
fn a_command_whose_urls_all_send_much_data_is_told_and_not_built() {
    let many = "x ".repeat(400);
    let text = format!("curl {many} --json {}\ncurl y -d a", "1".repeat(1 << 20));
    let read = requests("c", text.as_bytes());
    assert_eq!((read.requests.len(), read.unread.len()), (1, 1));
    assert!(read.unread[0].why.en.contains("sends the data again"), "{}", read.unread[0].why.en);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(curl |-[a-zA-Z]|--[a-z]{1,6}|[ '\"$^\\\\\n|&;#=@]|\\PC){0,40}") {
        let _ = requests("c", format!("curl {text}").as_bytes());
    }
}
