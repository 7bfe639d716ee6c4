//! `netwhy flows` as a user runs it, and the records of a way as evidence in a diagnosis.

#![allow(clippy::panic, clippy::unwrap_used)]

use netwhy_testing::{Desk, in_namespace};
use serde_json::Value;
use std::io::BufRead;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The beginning of the made-up records, in seconds since 1970.
const START_S: u64 = 1_767_225_600;

fn desk(files: &[(&str, &str)]) -> Desk {
    Desk::new(env!("CARGO_BIN_EXE_netwhy"), files)
}

/// One line of an AWS flow log, version 2.
fn line(from: (&str, u16), to: (&str, u16), packets: u32, at_s: u64, action: &str) -> String {
    let ((from, from_port), (to, to_port)) = (from, to);
    let (bytes, end) = (packets * 60, at_s + 50);
    format!(
        "2 123456789012 eni-0a1b {from} {to} {from_port} {to_port} 6 {packets} {bytes} {at_s} {end} {action} OK\n"
    )
}

const HEAD: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";

/// A web server with its clients, minute by minute.
fn web(minutes: u64) -> String {
    let mut log = HEAD.to_owned();
    for number in 0..minutes * 20 {
        let client = format!("198.51.100.{}", 1 + number % 40);
        let (port, at_s) = (40_000 + (number % 20_000) as u16, START_S + number * 3);
        log += &line((&client, port), ("10.0.1.27", 443), 12, at_s, "ACCEPT");
        log += &line(("10.0.1.27", 443), (&client, port), 20, at_s, "ACCEPT");
    }
    log
}

/// 10.0.1.27 tries SSH on one host after the other; one in ten answers, until somebody blocks it.
fn attack(log: &mut String, minutes: u64, blocked_after: u64) {
    for number in 0..minutes * 400 {
        let at_s = START_S + 600 + number * 60 / 400;
        let host = format!("203.0.{}.{}", number / 250 % 250, 1 + number % 250);
        let port = 30_000 + (number % 30_000) as u16;
        let is_answered = number % 10 == 0 && number < blocked_after * 400;
        let packets = if is_answered { 14 } else { 1 };
        *log += &line(("10.0.1.27", port), (&host, 22), packets, at_s, "ACCEPT");
        if is_answered {
            *log += &line((&host, 22), ("10.0.1.27", port), 12, at_s, "ACCEPT");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_attack_is_told_with_who_whom_when_and_why() {
    let mut log = web(30);
    attack(&mut log, 15, 15);
    let desk = desk(&[("flows.log", &log)]);
    let (code, report) = desk.json(&["flows", "detect", "flows.log"]);
    assert_eq!((code, &report["schema"]), (1, &"netwhy.alerts/1".into()), "{report:#}");
    let alert = &report["alerts"][0];
    assert_eq!(alert["id"], "attack.outbound.ssh_bruteforce", "{report:#}");
    assert_eq!(
        (&alert["entity"], &alert["direction"], &alert["port"]),
        (&"10.0.1.27".into(), &"out".into(), &22.into())
    );
    assert!(alert["targets"].as_u64().unwrap() > 4_000 && alert["confidence"].as_f64().unwrap() > 0.8);
    assert!(alert["start"].as_u64().unwrap() >= START_S + 540);
    assert_eq!(report["alerts"].as_array().unwrap().len(), 1, "{report:#}");
    assert_eq!(report["input"]["unread"], 0);
    let told = desk.run(&["flows", "detect", "flows.log"]);
    let told = text(&told.stdout);
    for word in [
        "attack.outbound.ssh_bruteforce",
        "10.0.1.27",
        "port 22",
        "proof",
        "stop",
        "limit",
        "keep",
        "if wrong",
    ] {
        assert!(told.contains(word), "{word} is missing:\n{told}");
    }
    let chinese = text(&desk.run(&["flows", "detect", "flows.log", "--lang", "zh"]).stdout);
    assert!(chinese.contains("误判代价") && chinese.contains("留证"), "{chinese}");
}

#[test]
fn a_web_server_is_no_attacker() {
    let desk = desk(&[("flows.log", &web(60))]);
    let (code, report) = desk.json(&["flows", "detect", "flows.log"]);
    assert_eq!((code, report["alerts"].as_array().unwrap().len()), (0, 0), "{report:#}");
}

#[test]
fn what_could_not_be_read_is_counted_and_told_with_its_place() {
    let mut log = web(1);
    log += "2 123456789012 eni-0a1b not-an-address 10.0.1.27 1 443 6 1 60 1767225600 1767225660 ACCEPT OK\n";
    let desk = desk(&[("flows.log", &log), ("notes.txt", "nothing of the kind\n")]);
    let output = desk.run(&["flows", "detect", "flows.log", "notes.txt"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("flows.log:42:") && told.contains("notes.txt"), "{told}");
    let (_, report) = desk.json(&["flows", "detect", "flows.log", "notes.txt"]);
    let input = &report["input"];
    assert_eq!((&input["records"], &input["unread"]), (&40.into(), &1.into()), "{input:#}");
    assert_eq!(
        (&input["places"][0]["number"], &input["broken"][0]["file"]),
        (&42.into(), &"notes.txt".into())
    );
    let output = desk.run(&["flows", "detect", "notes.txt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("notes.txt"));
}

#[test]
fn any_record_is_written_in_one_schema() {
    let mut log = web(1);
    log += &line(("192.0.2.9", 5_000), ("10.0.1.27", 3306), 1, START_S, "REJECT");
    let desk = desk(&[("flows.log", &log)]);
    let csv = text(&desk.run(&["flows", "show", "flows.log", "--format", "csv", "--port", "3306"]).stdout);
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().starts_with("start,end,src,dst,sport,dport,protocol,"), "{csv}");
    assert!(lines.next().unwrap().contains(",192.0.2.9,10.0.1.27,5000,3306,6,1,60,"), "{csv}");
    assert_eq!(lines.next(), None);
    let output = desk.run(&["flows", "show", "flows.log", "--json", "-n", "2"]);
    let rows: Vec<Value> =
        text(&output.stdout).lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["action"]), (2, &"accept".into()));
    let (_, top) = desk.json(&["flows", "show", "flows.log", "--top", "rejected"]);
    assert_eq!(
        (&top["schema"], &top["rows"][0]["dport"]),
        (&"netwhy.rows/1".into(), &3306.into()),
        "{top:#}"
    );
    let refused = desk.run(&["flows", "show", "flows.log", "--format", "svg"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[cfg(not(feature = "lake"))]
#[test]
fn without_the_lake_its_commands_say_what_to_build() {
    let desk = desk(&[("flows.log", &web(1))]);
    for words in [
        vec!["flows", "import", "flows.log", "--lake", "lake"],
        vec!["flows", "query", "fan-out", "--lake", "lake"],
        vec!["flows", "retention", "--lake", "lake"],
        vec!["flows", "scheduler"],
        vec!["flows", "executor"],
    ] {
        let output = desk.run(&words);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(told.contains("cargo build --release --features lake"), "{told}");
    }
}

#[cfg(feature = "lake")]
#[test]
fn a_lake_takes_each_file_once_and_answers_in_every_form() {
    let mut log = web(2);
    log += &line(("192.0.2.9", 5_000), ("10.0.1.27", 3306), 1, START_S, "REJECT");
    let desk = desk(&[("flows.log", &log)]);
    fn lake<'a>(words: &[&'a str]) -> Vec<&'a str> {
        [words, &["--lake", "lake"]].concat()
    }
    let (code, first) = desk.json(&lake(&["flows", "import", "flows.log"]));
    assert_eq!((code, &first["rows"]), (0, &81.into()), "{first:#}");
    let (_, again) = desk.json(&lake(&["flows", "import", "flows.log"]));
    assert_eq!((&again["rows"], &again["inputs"]["known"]), (&0.into(), &1.into()), "{again:#}");
    let (_, rejected) = desk.json(&lake(&["flows", "query", "rejected"]));
    assert_eq!(rejected["rows"][0]["dport"], 3306, "{rejected:#}");
    let (_, of_file) = desk.json(&["flows", "query", "rejected", "flows.log"]);
    assert_eq!(of_file["rows"], rejected["rows"]);
    let sql = lake(&["flows", "query", "SELECT count(*) AS flows FROM flows", "--format", "csv"]);
    assert_eq!(text(&desk.run(&sql).stdout), "flows\r\n81\r\n");
    let drawn = text(&desk.run(&lake(&["flows", "query", "series", "--format", "svg"])).stdout);
    assert!(drawn.starts_with("<svg") && drawn.contains("<polyline"), "{drawn}");
    let parquet =
        desk.run(&lake(&["flows", "query", "pairs", "--format", "parquet", "--out", "pairs.parquet"]));
    assert_eq!(parquet.status.code(), Some(0), "{}", text(&parquet.stderr));
    assert!(std::fs::read(desk.path().join("pairs.parquet")).unwrap().starts_with(b"PAR1"));
    let slip = desk.run(&lake(&["flows", "query", "fan-uot"]));
    assert!(text(&slip.stderr).contains("did you mean \"fan-out\"?"), "{}", text(&slip.stderr));
    let (_, kept) = desk.json(&lake(&["flows", "retention", "--days", "36000"]));
    assert_eq!(kept["dropped_rows"], 0, "{kept:#}");
}

/// A host whose packets to 198.51.100.7 leave and are never answered: the other end of its wire is nobody's.
fn silent_world() {
    netwhy_testing::run(
        "ip link add out type veth peer name far; ip link set out arp off; ip link set far up; \
         ip addr add 10.0.1.27/24 dev out; ip link set out up; ip route add 198.51.100.7 dev out",
    );
}

fn said(verdict: &Value, fact: &str) -> (String, String) {
    let all = verdict["evidence"].as_array().unwrap();
    let one = all.iter().find(|one| one["fact"] == fact).unwrap_or_else(|| panic!("no {fact}: {verdict:#}"));
    (one["value"].as_str().unwrap().to_owned(), one["excerpt"].as_str().unwrap().to_owned())
}

/// How sure a cause is of a verdict.
fn sure(verdict: &Value, cause: &str) -> f64 {
    let causes = verdict["causes"].as_array().unwrap().iter();
    causes.filter(|one| one["id"] == cause).map(|one| one["confidence"].as_f64().unwrap()).sum()
}

#[test]
fn a_reject_in_the_records_is_evidence_for_the_group() {
    in_namespace(&[], || {
        silent_world();
        let mut log = HEAD.to_owned();
        for number in 0..312 {
            log += &line(("10.0.1.27", 40_000), ("198.51.100.7", 8443), 1, START_S + number * 10, "REJECT");
            log += &line(("10.0.1.27", 41_000), ("192.0.2.5", 443), 1, START_S + number * 10, "ACCEPT");
            log += &line(("192.0.2.5", 443), ("10.0.1.27", 41_000), 1, START_S + number * 10, "ACCEPT");
        }
        // The interface is the asker's: this is the way out.
        let desk = desk(&[("flows.log", &log)]);
        let words = ["tcp://198.51.100.7:8443", "--flows", "flows.log", "--budget", "4s"];
        let (code, verdict) = desk.json(&[&words[..], &["--save", "case.json"]].concat());
        let (value, excerpt) = said(&verdict, "flows.path");
        assert_eq!((code, value.as_str()), (1, "rejected_out"), "{excerpt}");
        assert!(excerpt.contains("REJECT at eni-0a1b, 312 times since 2026-01-01 00:00:00"), "{excerpt}");
        let (_, without) = desk.json(&[words[0], "--budget", "4s"]);
        let cause = "policy.sg.missing_egress";
        assert!(sure(&verdict, cause) > 3.0 * sure(&without, cause), "{:#}", verdict["causes"]);
        let (_, again) = desk.json(&["--replay", "case.json"]);
        assert_eq!(said(&again, "flows.path").0, "rejected_out");
        assert_eq!(again["causes"], verdict["causes"]);
    });
}

#[test]
fn a_block_after_an_attack_is_named_as_the_providers() {
    in_namespace(&[], || {
        silent_world();
        let mut log = web(10);
        attack(&mut log, 20, 4);
        for number in 0..20 {
            log += &line(
                ("10.0.1.27", 50_000),
                ("198.51.100.7", 22),
                3,
                START_S + 1_200 + number * 20,
                "ACCEPT",
            );
        }
        let desk = desk(&[("flows.log", &log)]);
        let (_, verdict) = desk.json(&["tcp://198.51.100.7:22", "--flows", "flows.log", "--budget", "4s"]);
        assert_eq!(said(&verdict, "flows.attack").0, "ssh");
        let (value, excerpt) = said(&verdict, "flows.block");
        assert_eq!(value, "after_attack", "{excerpt}");
        assert!(
            excerpt.contains("4 minutes after the attack did, with 1,600 outbound SYNs to port 22"),
            "{excerpt}"
        );
        assert_eq!(
            verdict["causes"][0]["id"], "policy.provider.outbound_attack_block",
            "{:#}",
            verdict["causes"]
        );
    });
}

/// Guesses passwords on one host after the other, as a worm does; every second one is silent.
const WORM: &str = "
import socket, time
held, start = [], time.monotonic()
for number in range(6000):
    peer = socket.socket()
    peer.setblocking(False)
    try: peer.connect(('198.%d.%d.%d' % (18 + number % 2, number // 250 % 250, 1 + number % 250), 22))
    except OSError: pass
    held.append((time.monotonic(), peer))
    for _, peer in held:
        try: peer.send(b'x' * 60) if peer.recv(999) else None
        except OSError: pass
    while time.monotonic() - held[0][0] > 2: held.pop(0)[1].close()
    time.sleep(max(0, start + number / 60 - time.monotonic()))  # 60 attempts a second
";

/// Is every host of 198.19.0.0/16, and talks with whoever comes for a while, as an SSH server does.
const GREETER: &str = "
import socket, threading, time
def talk(peer):
    try:
        peer.sendall(b'SSH-2.0-OpenSSH_9.2\\r\\n')
        for _ in range(20):
            peer.sendall(peer.recv(999)[:60] * 5)
            time.sleep(0.2)  # a session takes a while, as one that asks for passwords does
    except OSError: pass
server = socket.create_server(('0.0.0.0', 22), backlog=512)
while True: threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()
";

/// Starts to watch this host until the first attack.
fn watch(desk: &Desk) -> std::process::Child {
    let mut watch = desk.command(&["flows", "watch", "--first", "--for", "60s", "--json"]);
    watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the first attack, ends those who make it, and gives the alert and all that was said.
fn first_alert(watch: std::process::Child, others: Vec<std::process::Child>) -> (Value, String) {
    let output = watch.wait_with_output().unwrap();
    for mut child in others {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let told = format!("{} {}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}");
    let report: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    (report["alerts"][0].clone(), told)
}

/// A second namespace at the other end of this one's wire, gone with its process.
fn greeting_world(desk: &Desk) -> std::process::Child {
    let script = desk.path().join("greeter.py");
    let child = std::process::Command::new("unshare").args(["--net", "python3"]).arg(script).spawn().unwrap();
    let (pid, own) = (child.id(), std::fs::read_link("/proc/thread-self/ns/net").unwrap());
    netwhy_testing::until("the other namespace", Duration::from_secs(10), || {
        std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|other| other != own)
    });
    netwhy_testing::run(&format!(
        "ip link add out type veth peer name far; ip link set far netns {pid}; ip addr add 10.0.1.27/24 dev out; \
         ip link set out up; ip route add 198.18.0.0/15 via 10.0.1.1; \
         nsenter -t {pid} -n sh -euc 'ip link set lo up; ip addr add 10.0.1.1/24 dev far; ip link set far up; \
         ip route add blackhole 198.18.0.0/16; ip route add local 198.19.0.0/16 dev lo'"
    ));
    child
}

#[test]
fn this_hosts_own_attack_is_named_with_its_process_within_a_minute() {
    in_namespace(&["python3", "unshare", "nsenter"], || {
        let desk = desk(&[("worm.py", WORM), ("greeter.py", GREETER)]);
        let greeter = greeting_world(&desk);
        let watch = watch(&desk);
        let script = desk.path().join("worm.py");
        let worm = std::process::Command::new("python3").arg(&script).spawn().unwrap();
        let began = Instant::now();
        let (alert, told) = first_alert(watch, vec![worm, greeter]);
        assert!(began.elapsed() < Duration::from_secs(60), "{told}");
        assert_eq!(alert["id"], "attack.outbound.ssh_bruteforce", "{told}");
        assert_eq!(alert["entity"], "10.0.1.27", "{told}");
        let process = alert["process"].as_str().unwrap_or_default();
        assert!(process.contains("python3") && process.contains("worm.py"), "{told}");
    });
}

#[test]
fn a_scanner_without_sockets_is_named_as_well() {
    in_namespace(&["python3", "unshare", "nsenter", "hping3"], || {
        let desk = desk(&[("greeter.py", GREETER)]);
        let greeter = greeting_world(&desk);
        let watch = watch(&desk);
        let words = ["-q", "-S", "-p", "6379", "--rand-dest", "198.18.x.x", "-I", "out", "-i", "u5000"];
        let mut scanner = std::process::Command::new("hping3");
        let scanner = scanner.args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (alert, told) = first_alert(watch, vec![scanner, greeter]);
        assert_eq!((&alert["direction"], &alert["entity"]), (&"out".into(), &"10.0.1.27".into()), "{told}");
        assert_eq!(alert["id"], "attack.outbound.port_scan", "{told}");
        assert!(alert["process"].as_str().unwrap_or_default().contains("hping3"), "{told}");
    });
}

/// How long the exporter of `netflow` has been up, in milliseconds.
const UP_MS: u32 = 10_000_000;

/// One record of NetFlow v5 between 10.0.1.27 and a host's port 22, which began `ago_ms` ago.
fn record(is_answer: bool, host: u32, port: u16, packets: u32, ago_ms: u32) -> Vec<u8> {
    let own = u32::from_be_bytes([10, 0, 1, 27]);
    let ends = if is_answer { [host, own] } else { [own, host] };
    let ports = if is_answer { [22, port] } else { [port, 22] };
    let flags: u8 = if packets > 1 { 0x1b } else { 0x02 };
    let mut bytes: Vec<u8> = ends.iter().flat_map(|address| address.to_be_bytes()).collect();
    bytes.extend([0; 8]);
    let counts = [packets, packets * 60, UP_MS - ago_ms, UP_MS - ago_ms + 50];
    bytes.extend(counts.iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend(ports.iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend([0, flags, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A datagram of NetFlow v5 that is sent now.
fn netflow(records: &[Vec<u8>], sequence: usize) -> Vec<u8> {
    let now_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32;
    let mut bytes = vec![0, 5, 0, records.len() as u8];
    let numbers = [UP_MS, now_s, 0, sequence as u32, 0];
    bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend(records.concat());
    bytes
}

#[test]
fn an_attack_that_an_exporter_tells_of_is_named_while_it_goes_on() {
    in_namespace(&[], || {
        let desk = desk(&[]);
        let listen = |more: &[&str]| {
            let words = ["flows", "listen", "--address", "127.0.0.1", "--port", "2055", "--for", "60s"];
            let mut listen = desk.command(&[&words, more].concat());
            let listen = listen.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let bound = || std::fs::read_to_string("/proc/thread-self/net/udp").unwrap().contains(":0807 ");
            netwhy_testing::until("the collector", Duration::from_secs(10), bound);
            listen
        };
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Two minutes of 600 calls a minute; one in ten is answered.
        let count = 1_200;
        let records: Vec<Vec<u8>> = (0..count)
            .flat_map(|call| {
                let host = u32::from_be_bytes([203, 0, 113, 0]) + call;
                let (port, ago_ms) = (30_000 + call as u16, (count - call) * 100);
                let answered = call % 10 == 0;
                let packets = if answered { 14 } else { 1 };
                let answer = answered.then(|| record(true, host, port, 12, ago_ms));
                std::iter::once(record(false, host, port, packets, ago_ms)).chain(answer)
            })
            .collect();
        let watch = listen(&["--first", "--json"]);
        for (number, some) in records.chunks(30).enumerate() {
            // The seventh datagram is lost on its way.
            if number != 6 {
                socket.send_to(&netflow(some, number * 30), "127.0.0.1:2055").unwrap();
            }
        }
        let (alert, told) = first_alert(watch, Vec::new());
        assert_eq!(alert["id"], "attack.outbound.ssh_bruteforce", "{told}");
        assert_eq!((&alert["entity"], &alert["port"]), (&"10.0.1.27".into(), &22.into()), "{told}");
        assert!(told.contains("1290 records; 30 records never came"), "{told}");
        let mut shown = listen(&["--records"]);
        socket.send_to(&netflow(&records[..2], 0), "127.0.0.1:2055").unwrap();
        let mut line = String::new();
        std::io::BufReader::new(shown.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("203.0.113.0") || line.contains("src"), "{line}");
        shown.kill().unwrap();
        shown.wait().unwrap();
    });
}
