//! Real logs of many programs, where they are at hand: what is in scope is read, what is not is counted.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use netwhy_flows::Names;
use netwhy_flows::logs::{Clock, LogReader, Options, What, sniff};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn shared(part: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    ["../shared", "../../shared"].iter().map(|place| root.join(place).join(part)).find(|path| path.exists())
}

/// One file, read: events, unread lines, and the first of them.
fn read(path: &Path) -> (Vec<netwhy_flows::logs::Event>, netwhy_flows::UnreadCount) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let options =
        Options { clock: Clock { latest_ms: 1_790_000_000_000, zone_minutes: 0 }, ..Options::default() };
    let reader = LogReader::new(Arc::new(Names::default()), options);
    let mut events = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    let count = reader.read(&name, file, &mut |mut more| events.append(&mut more)).unwrap();
    (events, count)
}

/// What the detectors say of each file: of the attacks the plain ones must be named.
#[test]
fn attacks_of_real_logs_are_named() {
    let Some(folder) = shared("data/flows/crowdsec") else {
        println!("SKIPPED: no shared data");
        return;
    };
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let mut detectors = netwhy_flows::detect::logs::LogDetectors::new(Arc::new(Names::default()));
        read(&path).0.iter().for_each(|event| detectors.event(event));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let alerts = detectors.finish();
        for alert in &alerts {
            println!("{name}: {} {} {}", alert.id, alert.confidence, alert.why);
        }
        let is_named = |id: &str| alerts.iter().any(|alert| alert.id.ends_with(id));
        match name.trim_start_matches("tests_") {
            name if name.starts_with("sshd-logs-fp") || name.starts_with("sshd-success") => {
                assert!(alerts.is_empty())
            }
            name if name.starts_with("ssh-bf") || name.starts_with("ssh-slow") => {
                assert!(is_named("ssh_bruteforce"))
            }
            name if name.starts_with("http-dos") => assert!(is_named("inbound.cc"), "{name}"),
            name if name.starts_with("mysql-bf") => assert!(is_named("database_bruteforce"), "{name}"),
            name if name.starts_with("vsftpd-bf") => assert!(is_named("ftp_bruteforce"), "{name}"),
            name if name.contains("path-traversal") => assert!(is_named("web_scan"), "{name}"),
            _ => {}
        }
    }
}

#[test]
fn what_is_in_scope_is_read_whole_and_the_rest_is_counted() {
    let Some(folder) = shared("data/flows/crowdsec") else {
        println!("SKIPPED: no shared data");
        return;
    };
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    // Programs whose formats are promised; of the others what their words have in common.
    let in_scope = [
        "nginx",
        "apache2-logs",
        "apache-cve",
        "apache_log4j2",
        "http-",
        "ssh-",
        "sshd",
        "bunkerweb",
        "modsecurity",
    ];
    let mut missed = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let (events, count) = read(&path);
        let mut kinds = [0; 4];
        for event in &events {
            let kind = match event.what {
                What::Visit(_) => 0,
                What::Login(_) => 1,
                What::Refusal(_) => 2,
                What::Error(_) => 3,
            };
            kinds[kind] += 1;
        }
        let format = sniff(&name, &std::fs::read(&path).unwrap());
        println!("{name}: {} read, {} unread, {kinds:?}, {format:?}", count.read, count.unread);
        if let Some(place) = count.places.values().flatten().next() {
            println!(
                "    line {}: {} | {}",
                place.number,
                place.why.en,
                place.excerpt.chars().take(150).collect::<String>()
            );
        }
        let lines = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = lines.lines().filter(|line| !line.trim().is_empty()).count() as u64;
        assert!(lines == 0 || count.read + count.unread == lines, "{name}: {lines} lines");
        if in_scope.iter().any(|word| name.starts_with(&format!("tests_{word}"))) && !name.contains("magento")
        {
            missed.extend(count.places.into_values().flatten());
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
