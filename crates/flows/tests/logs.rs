//! What each format of log line is read as, with lines of our own.
#![allow(clippy::panic, clippy::unwrap_used)]

use netwhy_flows::logs::{
    Clock, Ending, Event, LogFormat, LogReader, LoginMethod, Method, Options, Outcome, RefusedBy, Server,
    Service, TroubleKind, Visit, What, sniff,
};
use netwhy_flows::{Address, Names, UnreadCount};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

/// 2026-03-01T10:00:00Z.
const AT: i64 = 1_772_359_200_000;

fn options() -> Options {
    Options { clock: Clock { latest_ms: AT + 86_400_000, zone_minutes: 0 }, ..Options::default() }
}

fn read(text: &str) -> (Vec<Event>, UnreadCount) {
    read_with(text.as_bytes(), 1, options())
}

fn read_with(bytes: &[u8], workers: usize, options: Options) -> (Vec<Event>, UnreadCount) {
    let reader = LogReader { workers, ..LogReader::new(Arc::new(Names::default()), options) };
    let mut events = Vec::new();
    let count = reader.read("a.log", bytes, &mut |mut more| events.append(&mut more)).unwrap();
    (events, count)
}

fn one(line: &str) -> Event {
    let (mut events, count) = read(line);
    assert_eq!((events.len(), count.unread), (1, 0), "{line}: {count:?}");
    events.remove(0)
}

fn visit(line: &str) -> (Event, Visit) {
    let event = one(line);
    let What::Visit(visit) = event.what.clone() else { panic!("{line}: {event:?}") };
    (event, visit)
}

fn ip(text: &str) -> Address {
    Address::from(text.parse::<IpAddr>().unwrap())
}

#[test]
fn combined_lines_are_visits() {
    let line = r#"192.0.2.7 - ann [01/Mar/2026:11:00:00 +0100] "GET /a/b.html?token=secret HTTP/1.1" 200 512 "https://x/?s" "Mozilla/5.0""#;
    let (event, visit) = visit(line);
    assert_eq!((event.time_ms, event.client, event.offset), (AT, ip("192.0.2.7"), 0));
    assert_eq!((visit.method, &*visit.path, visit.status, visit.bytes), (Method::Get, "/a/b.html", 200, 512));
    assert_eq!((&*visit.agent, &*visit.user, visit.duration_ms), ("Mozilla/5.0", "ann", None));
    assert_ne!(visit.query, 0);
    assert!(!format!("{visit:?}{}", event.excerpt()).contains("secret"));
}

#[test]
fn common_lines_and_lines_with_a_host_are_visits() {
    let (_, plain) = visit(r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "HEAD / HTTP/1.0" 304 -"#);
    assert_eq!((plain.method, plain.status, plain.bytes), (Method::Head, 304, 0));
    let (event, named) = visit(
        r#"shop.example:443 2001:db8::7 - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#,
    );
    assert_eq!(
        (&*event.host, event.client, &*named.agent),
        ("shop.example:443", ip("2001:db8::7"), "curl/8")
    );
}

#[test]
fn the_time_of_a_request_is_read_in_its_usual_places() {
    let base = r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
    for (more, ms) in [
        (" 0.250", 250),
        (r#" "-" 1.5 0.003"#, 1500),
        (r#" "-" rt=0.250 uct="0.0""#, 250),
        (r#" request_time=2.000"#, 2000),
        (r#" "0.250""#, 250),
    ] {
        assert_eq!(visit(&format!("{base}{more}")).1.duration_ms, Some(ms), "{more}");
    }
    let apache = Options { server: Server::Apache, ..options() };
    let (events, _) = read_with(format!("{base} 250000").as_bytes(), 1, apache);
    assert!(matches!(&events[0].what, What::Visit(visit) if visit.duration_ms == Some(250)), "{events:?}");
    assert_eq!(visit(&format!("{base} 250000")).1.duration_ms, None, "nginx has no %D");
    let forwarded = visit(&format!("{base} \"198.51.100.9, 10.0.0.1\"")).1.forwarded;
    assert_eq!(forwarded, Some(ip("198.51.100.9")));
}

#[test]
fn requests_that_are_none_are_visits_too() {
    let (_, empty) = visit(r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "" 400 0 "-" "-""#);
    assert_eq!((empty.method, empty.status), (Method::None, 400));
    let (_, late) = visit(r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "-" 408 - "-" "-""#);
    assert_eq!((late.method, late.ending), (Method::None, Ending::ClientTimedOut));
    let (_, tls) =
        visit(r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "\x16\x03\x01\"\x00" 400 150 "-" "-""#);
    assert_eq!((tls.method, tls.probe), (Method::Garbage, true));
    let (_, proxy) =
        visit(r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "CONNECT a.example:25 HTTP/1.1" 400 1 "-" "-""#);
    assert!(proxy.probe);
}

#[test]
fn a_request_that_looks_like_a_time_does_not_fool_the_reader() {
    let line = r#"192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] "GET /?q=[01/Jan/2020:00:00:00 HTTP/1.1" 200 5 "-" "[01/Jan/2020:00:00:00 +0000] \"x\" 1 1""#;
    assert_eq!(one(line).time_ms, AT);
}

#[test]
fn words_of_a_stranger_in_another_line_are_no_visit() {
    let line = r#"Mar  1 10:00:00 web1 sshd[7]: Invalid user [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 from 192.0.2.7 port 22"#;
    assert!(matches!(one(line).what, What::Login(_)));
    let (events, count) =
        read(r#"hello to 192.0.2.7 who is [01/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5"#);
    assert_eq!((events.len(), count.unread), (0, 1));
}

#[test]
fn words_of_a_stranger_are_no_refused_packet() {
    let packet = "drop IN=a SRC=10.9.9.9 DST=10.9.9.9 PROTO=TCP";
    let (event, _) = visit(&format!(
        "Mar  1 10:00:00 web1 nginx: 192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] \"GET /?{packet} HTTP/1.1\" 200 5 \"-\" \"x\""
    ));
    assert_eq!(event.client, ip("192.0.2.7"));
    let login = format!("Login failed: user=<{packet}>, method=PLAIN, rip=192.0.2.7, lip=10.0.0.1");
    for frame in ["Mar  1 10:00:00 m mailer[7]: ", "2026-03-01 10:00:00 "] {
        let event = one(&format!("{frame}{login}"));
        assert_eq!(event.client, ip("192.0.2.7"));
        assert!(matches!(&event.what, What::Login(login) if &*login.user == packet), "{event:?}");
    }
}

#[test]
fn a_time_that_cannot_be_is_not_read() {
    for time in ["1e300", "\"nan\"", "\"inf\"", "-1e300"] {
        let line =
            format!(r#"{{"ts":{time},"remote_ip":"192.0.2.7","request":"GET / HTTP/1.1","status":200}}"#);
        let (events, count) = read(&line);
        assert_eq!((events.len(), count.unread), (0, 1), "{line}");
    }
    let journal = r#"{"__REALTIME_TIMESTAMP":"-9223372036854775808","SYSLOG_IDENTIFIER":"sshd","MESSAGE":"Invalid user a from 192.0.2.7 port 22"}"#;
    assert_eq!(read(journal).1.unread, 1);
}

#[test]
fn json_lines_of_web_servers_are_visits() {
    let nginx = r#"{"time_iso8601":"2026-03-01T10:00:00+00:00","remote_addr":"192.0.2.7","request":"GET /a?b=1 HTTP/1.1","status":"499","body_bytes_sent":"7","request_time":"1.250","http_user_agent":"curl","host":"x.example"}"#;
    let (event, told) = visit(nginx);
    assert_eq!((event.time_ms, event.client, &*event.host), (AT, ip("192.0.2.7"), "x.example"));
    assert_eq!((&*told.path, told.status, told.bytes, told.duration_ms), ("/a", 499, 7, Some(1250)));
    assert_eq!((told.ending, &*told.agent, told.server), (Ending::ClientAborted, "curl", Server::Nginx));
    let caddy = r#"{"ts":1772359200.5,"msg":"handled request","request":{"remote_ip":"192.0.2.7","method":"POST","host":"h","uri":"/x","headers":{"User-Agent":["curl/7"]}},"status":401,"size":3,"duration":0.5}"#;
    let (event, told) = visit(caddy);
    assert_eq!(
        (event.time_ms, told.method, &*told.path, &*told.agent),
        (AT + 500, Method::Post, "/x", "curl/7")
    );
    assert_eq!(told.duration_ms, Some(500));
    let docker = format!(
        "{{\"log\":{:?},\"stream\":\"stdout\",\"time\":\"2026-03-01T10:00:00Z\"}}",
        nginx.to_string() + "\n"
    );
    assert_eq!(visit(&docker).1.status, 499);
    assert_eq!(visit(&format!("2026-03-01T10:00:00.5Z stdout F {nginx}")).1.status, 499);
    let (events, count) = read(r#"{"level":"info","msg":"started"}"#);
    assert_eq!((events.len(), count.unread), (0, 1));
}

#[test]
fn haproxy_tells_how_a_connection_ended() {
    let syslog = "Mar  1 10:00:00 lb haproxy[9]: ";
    let http = r#"192.0.2.7:33317 [01/Mar/2026:10:00:00.655] web~ app/s1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {a #22b} {} "GET /x?y HTTP/1.1""#;
    let (event, told) = visit(&format!("{syslog}{http}"));
    assert_eq!((event.client, event.port, &*event.host), (ip("192.0.2.7"), 33317, "web"));
    assert_eq!(
        (told.server, told.status, told.duration_ms, told.ending),
        (Server::Haproxy, 200, Some(109), Ending::Complete)
    );
    assert_eq!((told.method, &*told.path, told.probe), (Method::Get, "/x", false));
    let late = r#"192.0.2.7:33317 [01/Mar/2026:10:00:00.655] web web/<NOSRV> -1/-1/-1/-1/10001 408 212 - - cR-- 1/1/0/0/0 0/0 "<BADREQ>""#;
    let (_, told) = visit(&format!("{syslog}{late}"));
    assert_eq!((told.method, told.status, told.ending), (Method::None, 408, Ending::ClientTimedOut));
    let tcp = "192.0.2.7:33313 [01/Mar/2026:10:00:00.443] tcp bck/s1 0/0/60007 212 cD 0/0/0/0/3 0/0";
    let (event, told) = visit(tcp);
    assert_eq!(
        (event.time_ms, told.status, told.bytes, told.ending),
        (AT + 443, 0, 212, Ending::ClientTimedOut)
    );
    let down =
        one(&format!("{syslog}Server app/s1 is DOWN, reason: Layer4 timeout, check duration: 2001ms."));
    assert!(matches!(down.what, What::Error(trouble) if trouble.kind == TroubleKind::UpstreamFailed));
    let tls = one(&format!("{syslog}192.0.2.7:1 [01/Mar/2026:10:00:00.655] web/1: SSL handshake failure"));
    assert!(matches!(tls.what, What::Error(trouble) if trouble.kind == TroubleKind::TlsFailed));
    assert_eq!(read(&format!("{syslog}Connect from 192.0.2.7:1 to 10.0.0.1:80 (web/HTTP)")).1.read, 1);
}

#[test]
fn error_logs_tell_what_matters() {
    let tail = r#"client: 192.0.2.7, server: s, request: "GET /a?token=secret HTTP/1.1", host: "h.example""#;
    for (words, kind) in [
        ("limiting requests, excess: 5.428 by zone \"z\"", TroubleKind::LimitedRequests),
        (
            "upstream timed out (110: Connection timed out) while reading response header from upstream",
            TroubleKind::UpstreamTimedOut,
        ),
        (
            "client timed out (110: Connection timed out) while reading client request headers",
            TroubleKind::ClientTimedOut,
        ),
        (
            "client prematurely closed connection while reading client request headers",
            TroubleKind::ClientClosed,
        ),
        ("open() \"/srv/x\" failed (2: No such file or directory)", TroubleKind::NotFound),
    ] {
        let event = one(&format!("2026/03/01 10:00:00 [error] 7#7: *9 {words}, {tail}"));
        assert!(!format!("{event:?}").contains("secret"));
        let What::Error(trouble) = event.what else { panic!("{words}") };
        assert_eq!(
            (trouble.kind, event.client, &*event.host, &*trouble.path),
            (kind, ip("192.0.2.7"), "h.example", "/a")
        );
    }
    let alert = one("2026/03/01 10:00:00 [alert] 7#7: 1024 worker_connections are not enough");
    assert!(matches!(alert.what, What::Error(trouble) if trouble.kind == TroubleKind::Exhausted));
    let apache = "[Sun Mar 01 10:00:00.000000 2026]";
    let late = one(&format!(
        "{apache} [reqtimeout:info] [pid 7:tid 8] [client 192.0.2.7:5] AH01382: Request header read timeout"
    ));
    assert_eq!((late.time_ms, late.client, late.port), (AT, ip("192.0.2.7"), 5));
    assert!(matches!(late.what, What::Error(trouble) if trouble.kind == TroubleKind::ClientTimedOut));
    let login = one(&format!(
        "{apache} [auth_basic:error] [pid 7] [client 192.0.2.7:5] AH01617: user ann: authentication failure for \"/\": Password Mismatch"
    ));
    assert!(
        matches!(&login.what, What::Login(login) if &*login.user == "ann" && login.outcome == Outcome::Failed)
    );
    assert_eq!(
        read(&format!("{apache} [mpm_event:notice] [pid 7] AH00489: Apache configured -- resuming")).1.read,
        1
    );
}

/// What sshd says, how it ended, for which user, from which port (0 where the line tells none).
const SSHD: &[(&str, Outcome, &str, u16)] = {
    use Outcome::*;
    &[
        ("Failed password for root from 192.0.2.7 port 22 ssh2", Failed, "root", 22),
        ("Failed password for invalid user bob from 192.0.2.7 port 22 ssh2", InvalidUser, "bob", 22),
        ("Invalid user bob from 192.0.2.7 port 22", InvalidUser, "bob", 22),
        ("Invalid user  from 192.0.2.7 port 22", InvalidUser, "", 22),
        ("Accepted publickey for ann from 192.0.2.7 port 22 ssh2: ED25519 SHA256:abc", Accepted, "ann", 22),
        (
            "Failed none for invalid user root from 10.0.0.1 port 9 from 192.0.2.7 port 22 ssh2",
            InvalidUser,
            "root from 10.0.0.1 port 9",
            22,
        ),
        (
            "Connection closed by authenticating user root 192.0.2.7 port 22 [preauth]",
            Disconnected,
            "root",
            22,
        ),
        ("Connection reset by invalid user a b 192.0.2.7 port 22 [preauth]", Disconnected, "a b", 22),
        ("Connection closed by 192.0.2.7 port 22 [preauth]", Disconnected, "", 22),
        (
            "Disconnecting authenticating user root 192.0.2.7 port 22: Too many authentication failures [preauth]",
            TooManyAttempts,
            "root",
            22,
        ),
        (
            "error: maximum authentication attempts exceeded for root from 192.0.2.7 port 22 ssh2 [preauth]",
            TooManyAttempts,
            "root",
            22,
        ),
        ("fatal: Timeout before authentication for 192.0.2.7 port 22", TimedOut, "", 22),
        ("Timeout before authentication for connection from 192.0.2.7 to 10.0.0.1, pid = 7", TimedOut, "", 0),
        ("User root from 192.0.2.7 not allowed because not listed in AllowUsers", NotAllowed, "root", 0),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.7  user=root",
            Failed,
            "root",
            0,
        ),
        (
            "User a from 10.9.9.9 not allowed because x from 192.0.2.7 not allowed because not listed in AllowUsers",
            NotAllowed,
            "a from 10.9.9.9 not allowed because x",
            0,
        ),
        (
            "Disconnecting invalid user root 192.0.2.7 port 22: Change of username or service not allowed: (root,ssh-connection) -> (a 10.9.9.9 port 1,ssh-connection) [preauth]",
            Disconnected,
            "root",
            22,
        ),
        (
            "Unable to negotiate with 192.0.2.7 port 22: no matching host key type found. Their offer: a from 10.9.9.9 port 1 [preauth]",
            Garbled,
            "",
            22,
        ),
        ("drop connection #10 from [192.0.2.7]:22 on [10.0.0.1]:22 past MaxStartups", Dropped, "", 0),
        ("banner exchange: Connection from 192.0.2.7 port 22: invalid format", Garbled, "", 22),
        ("Bad protocol version identification 'GET / HTTP/1.1' from 192.0.2.7 port 22", Garbled, "", 22),
    ]
};

#[test]
fn sshd_tells_who_tried_and_how_it_ended() {
    for (words, outcome, user, port) in SSHD.iter().copied() {
        let event = one(&format!("Mar  1 10:00:00 web1 sshd[7]: {words}"));
        let What::Login(login) = &event.what else { panic!("{words}: {event:?}") };
        assert_eq!((login.outcome, &*login.user, login.service), (outcome, user, Service::Ssh), "{words}");
        assert_eq!(
            (event.time_ms, event.client, &*event.host, login.process),
            (AT, ip("192.0.2.7"), "web1", 7),
            "{words}"
        );
        assert!(port == 0 || event.port == port, "{words}");
    }
    let repeated = one(
        "Mar  1 10:00:00 web1 sshd[7]: message repeated 4 times: [ Failed password for root from 192.0.2.7 port 22 ssh2]",
    );
    assert!(matches!(&repeated.what, What::Login(login) if login.times == 4));
    let (events, count) = read(
        "Mar  1 10:00:00 web1 sshd[7]: Server listening on 0.0.0.0 port 22.\nMar  1 10:00:00 web1 sshd[7]: wholly new words\nMar  1 10:00:00 web1 CRON[7]: hello\n",
    );
    assert_eq!((events.len(), count.read, count.unread), (0, 1, 2));
    let places: Vec<u64> = count.places.values().flatten().map(|place| place.number).collect();
    assert_eq!(places, [2, 3]);
}

#[test]
fn a_year_that_nobody_told_is_the_last_one_that_can_be() {
    let line = b"Mar  1 10:00:00 web1 sshd[7]: Invalid user a from 192.0.2.7 port 22";
    let (events, _) = read_with(line, 1, Options::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let age_days = (now - events[0].time_ms) / 86_400_000;
    assert!((-1..=366).contains(&age_days), "{age_days} days ago");
}

#[test]
fn the_same_message_is_read_out_of_every_frame() {
    let words = "Failed password for root from 192.0.2.7 port 22 ssh2";
    for line in [
        format!("Mar  1 10:00:00 web1 sshd[7]: {words}"),
        format!("<86>Mar  1 10:00:00 web1 sshd[7]: {words}"),
        format!("<86>1 2026-03-01T10:00:00Z web1 sshd 7 - - {words}"),
        format!("2026-03-01T11:00:00.000000+01:00 web1 sshd-session[7]: {words}"),
        format!("2026-03-01T10:00:00+0000 web1 sshd[7]: {words}"),
        format!("Sun 2026-03-01 10:00:00 UTC web1 sshd[7]: {words}"),
        format!("1772359200.000000 web1 sshd[7]: {words}"),
        format!(
            r#"{{"__REALTIME_TIMESTAMP":"1772359200000000","_HOSTNAME":"web1","SYSLOG_IDENTIFIER":"sshd","_PID":"7","MESSAGE":"{words}"}}"#
        ),
        format!(
            "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1772359200000000\n_HOSTNAME=web1\n_COMM=sshd\n_PID=7\nMESSAGE={words}\n\n"
        ),
    ] {
        let event = one(&line);
        let What::Login(login) = &event.what else { panic!("{line}") };
        assert_eq!(
            (event.time_ms, &*event.host, login.process, login.method),
            (AT, "web1", 7, LoginMethod::Password),
            "{line}"
        );
    }
}

#[test]
fn binary_fields_of_the_journal_are_read_and_lying_lengths_end_with_the_file() {
    let mut bytes =
        b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1772359200000000\nSYSLOG_IDENTIFIER=sshd\nMESSAGE\n".to_vec();
    let words = b"Invalid user a\nb from 192.0.2.7 port 22";
    bytes.extend((words.len() as u64).to_le_bytes());
    bytes.extend(words);
    bytes.extend(b"\n\n__CURSOR=s=2\nMESSAGE\n");
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend(b"short");
    let (events, count) = read_with(&bytes, 1, options());
    assert_eq!((events.len(), count.read, count.unread), (1, 1, 1));
    assert!(matches!(&events[0].what, What::Login(login) if &*login.user == "a·b"), "{events:?}");
}

#[test]
fn other_programs_are_read_by_the_words_they_share() {
    for (line, service, user) in [
        (
            "Mar  1 10:00:00 m dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<ann@x.example>, method=PLAIN, rip=192.0.2.7, lip=10.0.0.1",
            Service::Mail,
            "ann@x.example",
        ),
        (
            "Mar  1 10:00:00 m postfix/smtpd[7]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: x",
            Service::Mail,
            "",
        ),
        ("Sun Mar 1 10:00:00 2026 [pid 7] [ann] FAIL LOGIN: Client \"::ffff:192.0.2.7\"", Service::Ftp, ""),
        (
            "2026-03-01 10:00:00 8 [Warning] Access denied for user 'ann'@'192.0.2.7' (using password: YES)",
            Service::Database,
            "ann",
        ),
        (
            "Mar  1 10:00:00 m dropbear[7]: Bad password attempt for 'root' from 192.0.2.7:5",
            Service::Ssh,
            "root",
        ),
    ] {
        let event = one(line);
        let What::Login(login) = &event.what else { panic!("{line}: {event:?}") };
        assert_eq!((event.client, login.service, &*login.user), (ip("192.0.2.7"), service, user), "{line}");
        assert!(matches!(login.outcome, Outcome::Failed), "{line}");
    }
}

#[test]
fn kubernetes_and_firewalls_tell_what_they_refused() {
    let audit = |code: u32| {
        format!(
            r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete","requestURI":"/api/v1/secrets?x=1","verb":"list","user":{{"username":"system:anonymous"}},"sourceIPs":["192.0.2.7","10.0.0.1"],"objectRef":{{"resource":"secrets","namespace":"prod"}},"responseStatus":{{"code":{code}}},"requestReceivedTimestamp":"2026-03-01T10:00:00.000000Z"}}"#
        )
    };
    let event = one(&audit(403));
    let What::Refusal(refusal) = &event.what else { panic!("{event:?}") };
    assert_eq!(
        (event.time_ms, event.client, refusal.by, refusal.code),
        (AT, ip("192.0.2.7"), RefusedBy::Kubernetes, 403)
    );
    assert_eq!((&*refusal.user, &*refusal.object), ("system:anonymous", "list prod/secrets"));
    assert_eq!(read(&audit(200)).1.read, 1);
    let list = format!(
        r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{},{}]}}"#,
        audit(401),
        audit(403)
    );
    assert_eq!(read(&list).0.len(), 2);
    let packet = "IN=eth0 OUT= MAC=0 SRC=192.0.2.7 DST=10.0.0.1 LEN=40 PROTO=TCP SPT=5 DPT=3389 WINDOW=1 SYN";
    let event = one(&format!("Mar  1 10:00:00 h kernel: [ 12.345678] [UFW BLOCK] {packet}"));
    let What::Refusal(refusal) = &event.what else { panic!("{event:?}") };
    assert_eq!(
        (&*refusal.rule, refusal.destination_port, refusal.protocol, refusal.outbound),
        ("UFW BLOCK", 3389, 6, false)
    );
    assert!(matches!(one(&format!("Mar  1 10:00:00 h ulogd[7]: [DROP] {packet}")).what, What::Refusal(_)));
    assert_eq!(read(&format!("Mar  1 10:00:00 h kernel: [UFW AUDIT] {packet}")).1.read, 1);
    assert_eq!(read("Mar  1 10:00:00 h kernel: usb 1-1: new device").1.unread, 1);
}

#[test]
fn a_log_is_told_by_its_first_lines() {
    let visit = "192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    assert_eq!(sniff("access.log", visit.as_bytes()), Some(LogFormat::Access));
    assert_eq!(sniff("auth.log", b"Mar  1 10:00:00 h CRON[7]: session opened\n"), Some(LogFormat::Auth));
    assert_eq!(sniff("x", b"__CURSOR=s=1\n"), Some(LogFormat::JournalExport));
    assert_eq!(sniff("x", b"2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 4 1 2 ACCEPT OK\n"), None);
    assert_eq!(sniff("x", b"\x1f\x8b\x08\x00binary\n\xff\xfe"), None);
}

#[test]
fn a_line_without_end_is_counted_and_passed_over() {
    let visit = "192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let mut text = visit.to_string();
    text.push_str(&"x".repeat(9 << 20));
    text.push('\n');
    text.push_str(visit);
    for workers in [1, 3] {
        let (events, count) = read_with(text.as_bytes(), workers, options());
        assert_eq!((events.len(), count.read, count.unread), (2, 2, 1));
        assert_eq!(events[1].offset as usize, text.len() - visit.len());
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "[0-9.]{7,15} - - \\[01/Mar/2026:10:00:00 \\+0000\\] \"\\PC{0,40}\" [0-9]{3} [0-9]{1,9}\\PC{0,20}",
        "Mar  1 10:00:00 h sshd\\[7\\]: (Failed password for|Invalid user|Connection closed by|Accepted|User|PAM 2 more) \\PC{0,50}",
        "2026/03/01 10:00:00 \\[error\\] 7#7: \\*9 \\PC{0,60}",
        "\\{\"status\":[0-9]{1,4},\"request\":\"\\PC{0,20}\",\"ts\":[0-9]{1,20}\\}",
        Just("192.0.2.7 - - [01/Mar/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5".to_string()),
        Just("192.0.2.7:1 [01/Mar/2026:10:00:00.655] w a/s 1/0/3/6/9 200 2 - - cD-- 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"".to_string()),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_with(&bytes, 1, options());
        let mut export = b"__CURSOR=x\n".to_vec();
        export.extend(&bytes);
        let _ = read_with(&export, 1, options());
    }

    #[test]
    fn however_many_workers_read_the_result_is_the_same(lines in proptest::collection::vec(line(), 0..40), workers in 2usize..5) {
        let text = lines.join("\n");
        let alone = read_with(text.as_bytes(), 1, options());
        prop_assert_eq!(&alone, &read_with(text.as_bytes(), workers, options()));
        for event in &alone.0 {
            prop_assert!(!event.excerpt().chars().any(char::is_control));
        }
    }
}
