//! Attacks in logs are found, and what looks like them stays silent. Days are written by a small generator of lines.
#![allow(clippy::unwrap_used)]

use netwhy_flows::Names;
use netwhy_flows::detect::Alert;
use netwhy_flows::detect::logs::LogDetectors;
use netwhy_flows::logs::{Clock, LogReader, Options};
use std::fmt::Write;
use std::sync::Arc;

/// 2026-03-01T00:00:00Z.
const DAY: i64 = 1_772_323_200;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Lines with their second, sorted before they are read.
#[derive(Default)]
struct Log(Vec<(i64, String)>);

impl Log {
    fn visit(&mut self, second: i64, client: &str, request: &str, status: u16, bytes: u64, agent: &str) {
        let (hour, minute, s) = (second / 3600, second / 60 % 60, second % 60);
        let time = format!("01/Mar/2026:{hour:02}:{minute:02}:{s:02} +0000");
        self.0.push((
            second,
            format!("{client} - - [{time}] \"{request} HTTP/1.1\" {status} {bytes} \"-\" \"{agent}\""),
        ));
    }

    fn ssh(&mut self, second: i64, process: u64, words: &str) {
        let (hour, minute, s) = (second / 3600, second / 60 % 60, second % 60);
        self.0.push((second, format!("Mar  1 {hour:02}:{minute:02}:{s:02} web1 sshd[{process}]: {words}")));
    }

    fn alerts(mut self) -> Vec<Alert> {
        self.0.sort_by_key(|(second, _)| *second);
        let text = self.0.iter().fold(String::new(), |mut text, (_, line)| {
            let _ = writeln!(text, "{line}");
            text
        });
        let names = Arc::new(Names::default());
        let options = Options {
            clock: Clock { latest_ms: (DAY + 86_400) * 1000, zone_minutes: 0 },
            ..Options::default()
        };
        let reader = LogReader::new(names.clone(), options);
        let mut detectors = LogDetectors::new(names);
        let count = reader
            .read("access.log", text.as_bytes(), &mut |events| {
                events.iter().for_each(|event| detectors.event(event))
            })
            .unwrap();
        assert_eq!(count.unread, 0, "{:?}", count.places);
        detectors.finish()
    }

    /// Hours of people who read pages with their pictures, `factor` times as many in the given minutes.
    fn people(
        &mut self,
        dice: &mut Dice,
        from: i64,
        to: i64,
        per_minute: u64,
        rush: Option<(i64, i64, u64)>,
    ) {
        for minute in from / 60..to / 60 {
            let factor =
                rush.filter(|(a, b, _)| (*a..*b).contains(&(minute * 60))).map_or(1, |(_, _, factor)| factor);
            for _ in 0..per_minute * factor {
                let client = format!("198.{}.{}.{}", 18 + dice.roll(2), dice.roll(256), 1 + dice.roll(250));
                let at = minute * 60 + dice.roll(60) as i64;
                // In a rush all come for the same page, and some reload it.
                let page = if factor > 1 { "/news/today".into() } else { format!("/page/{}", dice.roll(60)) };
                for _ in 0..1 + dice.roll(2) {
                    self.visit(at, &client, &format!("GET {page}"), 200, 9000, "Mozilla/5.0 Firefox");
                }
                for asset in ["style.css", "app.js", "logo.png"] {
                    self.visit(
                        at + 1,
                        &client,
                        &format!("GET /static/{asset}"),
                        200,
                        3000,
                        "Mozilla/5.0 Firefox",
                    );
                }
                if dice.roll(20) == 0 {
                    self.visit(at + 5, &client, "POST /login", 302, 0, "Mozilla/5.0 Firefox");
                }
            }
        }
    }
}

fn ids(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.id.as_str()).collect()
}

fn only<'a>(alerts: &'a [Alert], id: &str) -> &'a Alert {
    assert_eq!(ids(alerts), [id], "{alerts:#?}");
    let alert = &alerts[0];
    assert!(alert.confidence > 0.5 && !alert.proof.is_empty() && !alert.why_zh.is_empty(), "{alert:#?}");
    assert!(!alert.plan.stop.is_empty() && !alert.plan.keep.is_empty() && !alert.cost_if_wrong.zh.is_empty());
    alert
}

#[test]
fn a_usual_day_with_all_its_machines_is_silent() {
    let mut dice = Dice(7);
    let mut log = Log::default();
    log.people(&mut dice, 0, 6 * 3600, 12, None);
    for second in 0..6 * 3600 {
        // A crawler, a program that reads a list, two probes of a load balancer, monitoring, a program that polls, a rush at the health check's path.
        if second % 2 == 0 && second > 7200 {
            log.visit(
                second,
                "192.0.2.66",
                &format!("GET /page/{second}?from=map"),
                if second % 9 == 0 { 404 } else { 200 },
                900,
                "Mozilla/5.0 (compatible; Somebot/2.1; +http://x)",
            );
        }
        if second % 2 == 1 && (9000..12_000).contains(&second) {
            log.visit(
                second,
                "192.0.2.80",
                &format!("GET /product?id={second}"),
                200,
                900,
                "python-requests/2",
            );
        }
        for (every, client, path, agent) in [
            (5, "10.0.0.4", "/health", "ELB-HealthChecker/2.0"),
            (5, "10.0.0.5", "/health", "ELB-HealthChecker/2.0"),
            (10, "203.0.113.9", "/", "UptimeMonitor"),
            (2, "203.0.113.20", "/api/state", "okhttp/4"),
        ] {
            if second % every == 0 {
                log.visit(second, client, &format!("GET {path}"), 200, 20, agent);
            }
        }
        if second % 600 == 0 {
            // A browser's idle connections.
            let client = format!("198.18.1.{}", second / 600);
            log.0.push((
                second,
                format!(
                    "{client} - - [01/Mar/2026:{:02}:{:02}:00 +0000] \"-\" 408 - \"-\" \"-\"",
                    second / 3600,
                    second / 60 % 60
                ),
            ));
        }
    }
    let alerts = log.alerts();
    assert!(alerts.is_empty(), "{alerts:#?}");
}

#[test]
fn a_rush_of_people_is_silent() {
    let mut dice = Dice(8);
    let mut log = Log::default();
    log.people(&mut dice, 0, 2 * 3600, 12, Some((3600, 5400, 12)));
    let alerts = log.alerts();
    assert!(alerts.is_empty(), "{alerts:#?}");
}

#[test]
fn a_busy_hour_of_programs_is_silent() {
    let mut dice = Dice(9);
    let mut log = Log::default();
    for minute in 0..180 {
        let programs = if (120..150).contains(&minute) { 60 } else { 8 };
        for program in 0..programs {
            for _ in 0..15 {
                let at = minute * 60 + dice.roll(60) as i64;
                let path = ["/v1/items", "/v1/state", "/v1/price"][dice.roll(3) as usize];
                log.visit(
                    at,
                    &format!("198.51.100.{program}"),
                    &format!("GET {path}"),
                    200,
                    300,
                    "client/1.0",
                );
            }
        }
    }
    let alerts = log.alerts();
    assert!(alerts.is_empty(), "{alerts:#?}");
}

#[test]
fn a_flood_from_one_address_is_told_and_named() {
    for per_second in [12, 3] {
        let mut dice = Dice(10);
        let mut log = Log::default();
        log.people(&mut dice, 0, 2 * 3600, 12, None);
        for second in 3600..3900 {
            for _ in 0..per_second {
                log.visit(
                    second,
                    "203.0.113.7",
                    &format!("GET /search?q={}", dice.roll(30)),
                    200,
                    500,
                    "Mozilla/5.0",
                );
            }
        }
        let alerts = log.alerts();
        let alert = only(&alerts, "attack.inbound.cc");
        assert_eq!((alert.entity.as_str(), alert.sources.len()), ("203.0.113.7", 1));
        assert!((alert.start - DAY - 3600).abs() <= 60 && (alert.end - DAY - 3900).abs() <= 60, "{alert:#?}");
        assert!(alert.why.contains("/search") && alert.proof.iter().all(|proof| !proof.text.contains("q=")));
    }
}

#[test]
fn a_flood_from_many_addresses_is_told_even_where_each_is_slow() {
    for (clients, every) in [(60, 1), (100, 10), (100, 30)] {
        let mut dice = Dice(11);
        let mut log = Log::default();
        log.people(&mut dice, 0, 3 * 3600, 12, None);
        for client in 0..clients {
            let mut second = 3600 + dice.roll(every) as i64;
            while second < 3600 + 1800.min(600 * every as i64) {
                log.visit(
                    second,
                    &format!("203.0.{}.{}", client / 250, client % 250),
                    "GET /search",
                    200,
                    500,
                    "Mozilla/5.0",
                );
                second += 1 + dice.roll(2 * every) as i64;
            }
        }
        let alerts = log.alerts();
        let alert = only(&alerts, "attack.inbound.cc");
        assert_eq!(alert.entity, "(this host)", "{alert:#?}");
    }
}

#[test]
fn a_rush_without_pictures_in_the_log_is_silent() {
    let mut dice = Dice(15);
    let mut log = Log::default();
    for minute in 0..180 {
        let people = if (120..150).contains(&minute) { 300 } else { 30 };
        for _ in 0..people {
            let client = format!("198.18.{}.{}", dice.roll(256), 1 + dice.roll(250));
            for _ in 0..1 + dice.roll(5) {
                let page = [0, 0, 0, 1, 2, 3][dice.roll(6) as usize];
                log.visit(
                    minute * 60 + dice.roll(60) as i64,
                    &client,
                    &format!("GET /page/{page}"),
                    200,
                    900,
                    "Mozilla/5.0",
                );
            }
        }
    }
    let alerts = log.alerts();
    assert!(alerts.is_empty(), "{alerts:#?}");
}

#[test]
fn a_flood_at_the_beginning_of_a_log_is_told_where_it_is_violent() {
    let mut dice = Dice(12);
    let mut log = Log::default();
    for second in 0..3 {
        for _ in 0..120 {
            log.visit(
                second,
                "203.0.113.7",
                &format!("GET /?{}", dice.roll(1 << 40)),
                200,
                3437,
                "Mozilla/5.0",
            );
        }
    }
    only(&log.alerts(), "attack.inbound.cc");
}

#[test]
fn connections_held_open_are_told() {
    for clients in [1, 40] {
        let mut dice = Dice(13);
        let mut log = Log::default();
        log.people(&mut dice, 0, 2 * 3600, 12, None);
        for second in (3600..4800).step_by(10) {
            let client = format!("203.0.113.{}", (second / 10) % clients);
            for _ in 0..2 {
                log.0.push((
                    second,
                    format!(
                        "{client} - - [01/Mar/2026:{:02}:{:02}:{:02} +0000] \"-\" 408 0 \"-\" \"-\"",
                        second / 3600,
                        second / 60 % 60,
                        second % 60
                    ),
                ));
            }
        }
        let alerts = log.alerts();
        let alert = only(&alerts, "attack.inbound.slowloris");
        assert_eq!(alert.sources.len(), (clients as usize).min(10));
    }
}

#[test]
fn a_scan_of_a_web_server_is_told_and_a_few_dead_links_are_not() {
    let mut log = Log::default();
    for (at, path) in [
        "/.env",
        "/.git/config",
        "/wp-login.php",
        "/phpmyadmin/",
        "/backup.zip",
        "/cgi-bin/luci",
        "/admin.php",
        "/.aws/credentials",
    ]
    .iter()
    .enumerate()
    {
        log.visit(at as i64, "203.0.113.7", &format!("GET {path}"), 404, 150, "curl/8");
    }
    for at in 0..12 {
        log.visit(at, "198.18.0.9", &format!("GET /old/{at}.html"), 404, 150, "Mozilla/5.0");
        log.visit(at, "198.18.0.9", "GET /wp-admin/", 200, 150, "Mozilla/5.0");
    }
    let alerts = log.alerts();
    assert_eq!(only(&alerts, "attack.inbound.web_scan").entity, "203.0.113.7");
}

#[test]
fn passwords_guessed_over_http_are_told_and_an_office_is_not() {
    let mut dice = Dice(14);
    let mut log = Log::default();
    for at in 0..60 {
        log.visit(at * 4, "203.0.113.7", "POST /wp-login.php", 200, 4000, "Mozilla/5.0");
        // An office behind one address in the morning.
        log.visit(at * 4, "198.18.0.9", "GET /login", 200, 4000, "Mozilla/5.0");
        log.visit(at * 4, "198.18.0.9", "GET /static/app.css", 200, 4000, "Mozilla/5.0");
        log.visit(at * 4 + 2, "198.18.0.9", "POST /login", 302, 0, "Mozilla/5.0");
        log.visit(
            at * 4 + 3,
            "198.18.0.9",
            &format!("GET /home/{}", dice.roll(40)),
            200,
            4000,
            "Mozilla/5.0",
        );
    }
    let alerts = log.alerts();
    assert_eq!(only(&alerts, "attack.inbound.web_bruteforce").entity, "203.0.113.7");
}

#[test]
fn guessing_is_told_fast_slow_and_spread() {
    let mut log = Log::default();
    for at in 0..40 {
        log.ssh(
            1000 + at * 3,
            100 + at as u64,
            &format!("Failed password for root from 203.0.113.7 port {} ssh2", 4000 + at),
        );
    }
    let alerts = log.alerts();
    let alert = only(&alerts, "attack.inbound.ssh_bruteforce");
    assert_eq!((alert.entity.as_str(), alert.records, alert.port), ("203.0.113.7", 40, 22));

    let mut log = Log::default();
    for at in 0..14 {
        log.ssh(1000 + at * 2400, 100, &format!("Invalid user u{at} from 203.0.113.7 port {}", 4000 + at));
    }
    only(&log.alerts(), "attack.inbound.ssh_bruteforce");

    let mut log = Log::default();
    for at in 0..40 {
        log.ssh(
            1000 + at * 30,
            100,
            &format!("Failed password for deploy from 203.0.113.{at} port {} ssh2", 4000 + at),
        );
    }
    let alerts = log.alerts();
    assert_eq!(only(&alerts, "attack.inbound.ssh_bruteforce").entity, "web1");
}

#[test]
fn the_lines_of_one_attempt_are_one_attempt() {
    let mut log = Log::default();
    for at in 0..3 {
        let (second, port) = (1000 + at * 60, 4000 + at);
        log.ssh(second, 7 + at as u64, &format!("Invalid user ann from 203.0.113.7 port {port}"));
        log.ssh(second, 7 + at as u64, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7");
        log.ssh(
            second + 1,
            7 + at as u64,
            &format!("Failed password for invalid user ann from 203.0.113.7 port {port} ssh2"),
        );
        log.ssh(
            second + 2,
            7 + at as u64,
            &format!("Connection closed by invalid user ann 203.0.113.7 port {port} [preauth]"),
        );
    }
    assert!(log.alerts().is_empty());
}

#[test]
fn a_success_after_guessing_is_a_break_in() {
    let mut log = Log::default();
    for at in 0..40 {
        log.ssh(
            1000 + at * 3,
            100 + at as u64,
            &format!("Failed password for root from 203.0.113.7 port {} ssh2", 4000 + at),
        );
    }
    log.ssh(1200, 900, "Accepted password for root from 203.0.113.7 port 5000 ssh2");
    let alerts = log.alerts();
    assert_eq!(ids(&alerts).len(), 2, "{alerts:#?}");
    let alert = alerts.iter().find(|alert| alert.id == "attack.inbound.break_in").unwrap();
    let break_in = alert.break_in.as_ref().unwrap();
    assert_eq!(
        (break_in.source.as_str(), break_in.host.as_str(), break_in.at),
        ("203.0.113.7", "web1", DAY + 1200)
    );
    assert!(alert.confidence >= 0.9 && alert.proof.iter().any(|proof| proof.text.contains("accepted")));
}

#[test]
fn people_and_programs_that_log_in_badly_are_silent() {
    let mut log = Log::default();
    for at in 0..288 {
        // A backup with a stale password, CI that fetches over SSH, a load balancer that only connects, a scan for keys.
        log.ssh(
            at * 300,
            10_000 + at as u64,
            &format!("Failed password for backup from 10.0.0.9 port {} ssh2", 2000 + at),
        );
        log.ssh(
            at * 300 + 7,
            20_000 + at as u64,
            &format!("Accepted publickey for git from 10.0.0.8 port {} ssh2: RSA SHA256:x", 2000 + at),
        );
        log.ssh(
            at * 300 + 9,
            30_000 + at as u64,
            &format!("Connection closed by 10.0.0.4 port {} [preauth]", 2000 + at),
        );
    }
    // Somebody who remembers at the fourth try.
    for at in 0..4 {
        log.ssh(5000 + at * 9, 77, "Failed password for ann from 198.51.100.5 port 600 ssh2");
    }
    log.ssh(5050, 77, "Accepted password for ann from 198.51.100.5 port 600 ssh2");
    let alerts = log.alerts();
    assert!(alerts.is_empty(), "{alerts:#?}");
}

#[test]
fn an_attack_is_told_while_it_goes_on_and_once() {
    let names = Arc::new(Names::default());
    let options =
        Options { clock: Clock { latest_ms: (DAY + 86_400) * 1000, zone_minutes: 0 }, ..Options::default() };
    let reader = LogReader::new(names.clone(), options);
    let mut detectors = LogDetectors::new(names);
    let mut told = Vec::new();
    for at in 0..40 {
        let line = format!(
            "Mar  1 00:00:{:02} web1 sshd[{at}]: Failed password for root from 203.0.113.7 port {} ssh2",
            at,
            4000 + at
        );
        reader
            .read("auth.log", line.as_bytes(), &mut |events| {
                events.iter().for_each(|event| detectors.event(event))
            })
            .unwrap();
        told.extend(detectors.tick((DAY + at) * 1000));
    }
    told.extend(detectors.finish());
    assert_eq!(ids(&told), ["attack.inbound.ssh_bruteforce"]);
    assert!(told[0].end - DAY < 15, "{told:#?}");
}
