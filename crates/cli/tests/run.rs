//! The binary as a user runs it: whole stdout, stderr and exit codes. Nothing here leaves this host.

// Helpers of tests may unwrap as tests do; the lint knows only functions marked as tests.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder without configuration, so that the machine's own settings change nothing.
fn netwhy(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwhy"));
    command.env_clear().env("LANG", "en_US.UTF-8").env("HOME", folder).current_dir(folder);
    command
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    netwhy(folder.path()).args(arguments).stdin(std::process::Stdio::null()).output().unwrap()
}

fn case(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "cases", name].iter().collect();
    path.display().to_string()
}

/// The run as one text: what was typed, the exit code, stdout, stderr.
fn told(typed: &str, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let mark =
        |name: &str, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
    let code = output.status.code().unwrap();
    format!("$ netwhy {typed}\n[exit code {code}]\n{}{}", mark("stdout", &out), mark("stderr", &err))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn help_teaches() {
    insta::assert_snapshot!("help", told("--help", &run(&["--help"])));
    insta::assert_snapshot!("help_diagnose", told("diagnose --help", &run(&["diagnose", "--help"])));
    insta::assert_snapshot!("help_zh", told("--help --lang zh", &run(&["--help", "--lang", "zh"])));
    let zh = run(&["diagnose", "--help", "--lang", "zh"]);
    insta::assert_snapshot!("help_diagnose_zh", told("diagnose --help --lang zh", &zh));
    insta::assert_snapshot!("help_scan", told("scan --help", &run(&["scan", "--help"])));
    let scan_zh = run(&["scan", "--help", "--lang", "zh"]);
    insta::assert_snapshot!("help_scan_zh", told("scan --help --lang zh", &scan_zh));
    insta::assert_snapshot!("help_explain", told("explain --help", &run(&["explain", "--help"])));
}

#[test]
fn help_is_also_a_word() {
    assert_eq!(stdout(&run(&["help"])), stdout(&run(&["--help"])));
    assert_eq!(stdout(&run(&["help", "explain"])), stdout(&run(&["explain", "--help"])));
}

/// Command lines that cannot be understood, or name what this host does not have; nothing is sent for any.
const SLIPS: [&str; 113] = [
    "",
    "gopher://shop.example",
    "shop.example:0",
    "shop.example:70000",
    "shop..example:443",
    "10.0.0.300:1",
    "https://user:secret@shop.example/",
    "tcp://shop.example",
    "https://",
    "[::1",
    "explian tls.cert.expired",
    "--orign 10.0.0.1 shop.example",
    "--format yaml shop.example",
    "--lang",
    "--expect statu=200 shop.example",
    "--expect status=abc shop.example",
    "--expect status shop.example",
    "--origin edge.example shop.example",
    "--resolver dns.example shop.example",
    "--budget soon shop.example",
    "--body-bytes many shop.example",
    "--header nocolon shop.example",
    "--method G@T shop.example",
    "--health-path healthz shop.example",
    "--source-address nowhere shop.example",
    "--source-address 10.0.0.1 -6 shop.example",
    "--interface nosuch0 shop.example",
    "-4 -6 shop.example",
    "-4 [::1]:443",
    "--ca-file /nosuch/roots.pem shop.example",
    "--save case.json a.example b.example",
    "--replay case.json shop.example",
    "--replay /nosuch/case.json",
    "--replay .",
    "--origin 203.0.113.7:0 shop.example",
    "--origin 203.0.113.7:70000 shop.example",
    "--resolver 10.0.0.1:dns shop.example",
    "--source-address 192.0.2.1 shop.example",
    "--client-cert /nosuch/me.pem shop.example",
    "--client-cert . shop.example",
    "--expect colour=red shop.example",
    "--expect loss-max=200% shop.example",
    "--config /nosuch/netwhy.toml shop.example",
    "explain tcp.refused.no_listner",
    "explain zzz",
    "dns",
    "dns 10.0.0.1",
    "dns shop.example NOTYPE",
    "dns shop.example A MX",
    "dns shop.example @nowhere",
    "dns shop.example --root 10.0.0.1",
    "dns shop.example --interface nosuch0",
    "ping 127.0.0.1 --tcp",
    "ping 127.0.0.1:9 -s 64",
    "ping 127.0.0.1 -c 0",
    "ping 127.0.0.1 -i soon",
    "ping 127.0.0.1 --source-address nowhere",
    "tcp shop.example:0",
    "tcp 127.0.0.1:9 --resolver nowhere",
    "trace 127.0.0.1 -m 99",
    "trace 127.0.0.1:70000",
    "tls 127.0.0.1 --ca-file /nosuch/roots.pem",
    "tls 127.0.0.1 --client-cert /nosuch/me.pem",
    "tls 127.0.0.1 --sni 10.0.0.1",
    "http ftp://127.0.0.1/",
    "http tcp://127.0.0.1:80",
    "http http://127.0.0.1/ --http 7",
    "http http://127.0.0.1/ --health-path healthz",
    "http http://127.0.0.1/ --expect colour=red",
    "lab",
    "lab rnu tls-expired",
    "lab run tls-expird",
    "lab list --lab /nosuch",
    "completions tcsh",
    "scan",
    "scan 10.0.0.300",
    "scan 10.0.0.9-1",
    "scan 10.0.0.0/33",
    "scan 10.0.0.1-fd00::1",
    "scan 2001:db8::/64",
    "scan shop.example/24",
    "scan fe80::1%eth0",
    "scan 224.0.0.1",
    "scan 10.0.0.1 -6",
    "scan @/nosuch/list.txt",
    "scan 10.0.0.0/24 --exclude ,",
    "scan 10.0.0.0/24 --exclude 10.0.0.0/16",
    "scan 10.0.0.1 -p 0",
    "scan 10.0.0.1 -p 22,70000",
    "scan 10.0.0.1 -p 90-80",
    "scan 10.0.0.1 -p 80,,443",
    "scan 10.0.0.1 -p htpps",
    "scan 10.0.0.1 -p 80 --exclude-ports 1-100",
    "scan 10.0.0.1 --exclude-ports 0",
    "scan 10.0.0.1 --top 0",
    "scan 10.0.0.1 --top 10 -p 80",
    "scan 10.0.0.1 --rate soon",
    "scan 10.0.0.1 --rate 0",
    "scan 10.0.0.1 --gentle --fast",
    "scan 10.0.0.1 --raw --connect",
    "scan 10.0.0.1 --jitter often",
    "scan 10.0.0.1 --max-duration long",
    "scan 10.0.0.1 --shard 5/4",
    "scan 10.0.0.1 --expect closed=80",
    "scan 10.0.0.1 -p 80 --expect open=443",
    "scan 10.0.0.1 --diff /nosuch/old.jsonl",
    "scan 10.0.0.1 --xml /nosuch/scan.xml",
    "scan 10.0.0.1 --xml - --csv -",
    "scan 10.0.0.1 --checkpoint /nosuch/scan.ckpt",
    "scan --resume /nosuch/scan.ckpt",
    "scan 10.0.0.1 --interface nosuch0",
    "scan 203.0.113.7",
    "scan 10.0.0.0/16",
];

#[test]
fn what_is_wrong_with_the_words_typed() {
    let all: Vec<String> = SLIPS
        .iter()
        .map(|line| {
            let output = run(&line.split_whitespace().collect::<Vec<_>>());
            assert_eq!(output.status.code(), Some(2), "{line}");
            assert!(output.stdout.is_empty(), "{line}: errors go to stderr");
            let lines = String::from_utf8_lossy(&output.stderr).lines().count();
            assert_eq!(lines, 2, "{line}: one sentence and a hint");
            told(line, &output)
        })
        .collect();
    insta::assert_snapshot!("usage_errors", all.join("\n"));
}

#[test]
fn what_is_wrong_with_the_words_typed_is_also_said_in_chinese() {
    for line in SLIPS {
        let words: Vec<&str> = line.split_whitespace().chain(["--lang", "zh"]).collect();
        // Without a value of its own, the last flag would take the language's.
        if line.is_empty() || line.ends_with("--lang") {
            continue;
        }
        let told = String::from_utf8(run(&words).stderr).unwrap();
        let chinese = |line: &str| line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        assert!(told.starts_with("错误：") && told.lines().count() == 2, "{line}: {told}");
        assert!(told.lines().all(|line| chinese(line.split_once('：').unwrap().1)), "{line}: {told}");
    }
}

#[test]
fn what_is_wrong_with_the_configuration() {
    let files = [
        "budgt = \"5s\"\n",
        "lang = \"en\"\nbudget = \"soon\"\n",
        "budget = 5\n",
        "lang = \"de\"\n",
        "expect = [\"status=200\", \"colour=red\"]\n",
        "lang = \n",
        "[diagnose]\nbudget = \"5s\"\n",
    ];
    let all: Vec<String> = files
        .iter()
        .map(|text| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("netwhy.toml"), text).unwrap();
            let output = netwhy(folder.path()).args(["explain"]).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{text}");
            format!("# netwhy.toml\n{text}{}", told("explain", &output))
        })
        .collect();
    insta::assert_snapshot!("config_errors", all.join("\n"));
}

#[test]
fn what_is_wrong_with_a_saved_case() {
    let good = std::fs::read_to_string(case("refused.json")).unwrap();
    let texts = [
        good.replace("netwhy.case/1", "netwhy.case/9"),
        "{}".to_owned(),
        "not json at all".to_owned(),
        good.replace("\"E1\"", "1"),
    ];
    let all: Vec<String> = texts
        .iter()
        .map(|text| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("case.json"), text).unwrap();
            let output = netwhy(folder.path()).args(["--replay", "case.json"]).output().unwrap();
            assert_eq!(output.status.code(), Some(2));
            told("--replay case.json", &output)
        })
        .collect();
    insta::assert_snapshot!("replay_errors", all.join("\n"));
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("netwhy.toml"), "lang = \"zh\"\n").unwrap();
    let title = |command: &mut Command| {
        stdout(&command.args(["explain", "tcp.refused.no_listener"]).output().unwrap()).contains("What it is")
    };
    assert!(!title(&mut netwhy(folder.path())));
    assert!(title(netwhy(folder.path()).env("NETWHY_LANG", "en")));
    assert!(!title(netwhy(folder.path()).env("NETWHY_LANG", "en").args(["--lang", "zh"])));
    let json =
        netwhy(folder.path()).env("NETWHY_FORMAT", "html").args(["explain", "--json"]).output().unwrap();
    assert!(json.stdout.starts_with(b"{"), "--json wins over NETWHY_FORMAT");
    let empty = tempfile::tempdir().unwrap();
    assert!(!title(netwhy(empty.path()).env("LC_ALL", "zh_CN.UTF-8")));
    assert!(title(netwhy(empty.path()).env("LC_ALL", "de_DE.UTF-8")));
    let user = empty.path().join(".config/netwhy");
    std::fs::create_dir_all(&user).unwrap();
    std::fs::write(user.join("netwhy.toml"), "lang = \"zh\"\n").unwrap();
    assert!(!title(&mut netwhy(empty.path())));
}

#[test]
fn explains_a_cause() {
    let id = "tcp.refused.no_listener";
    // Whole pages are held by the tests of netwhy-report, over a catalogue that nobody tunes.
    let sections = [
        ("en", ["nothing listens on the port", "\nWhat it is\n", "\nHow it looks\n", "\nHow to prove it\n"]),
        ("zh", ["端口上没有进程在监听", "\n是什么\n", "\n表现\n", "\n如何证明\n"]),
    ];
    for (lang, sections) in sections {
        let page = stdout(&run(&["explain", id, "--lang", lang]));
        for section in sections {
            assert!(page.contains(section), "{lang} lacks {section:?}: {page}");
        }
    }
    let json: serde_json::Value = serde_json::from_slice(&run(&["explain", id, "--json"]).stdout).unwrap();
    assert_eq!(json["schema"], "netwhy.cause/1");
    assert_eq!(json["id"], id);
    assert!(stdout(&run(&["explain", id, "--format", "html"])).starts_with("<!doctype html>"));
}

#[test]
fn lists_every_cause_of_the_catalogue() {
    let catalogue = netwhy_catalogue::Catalogue::embedded();
    let list = stdout(&run(&["explain"]));
    let json: serde_json::Value = serde_json::from_slice(&run(&["explain", "--json"]).stdout).unwrap();
    assert_eq!(json["causes"].as_array().unwrap().len(), catalogue.causes().count());
    for cause in catalogue.causes() {
        assert!(list.contains(&cause.id), "{}", cause.id);
    }
}

#[test]
fn replays_a_case_in_every_form() {
    let path = case("expired.json");
    let replayed = |form: &[&str]| {
        let arguments: Vec<&str> = ["--replay", &path].iter().chain(form).copied().collect();
        let output = run(&arguments);
        assert_eq!(output, run(&arguments), "the same case gives the same bytes");
        assert_eq!(output.status.code(), Some(1));
        output
    };
    insta::assert_snapshot!("replay_en", first_cause(&stdout(&replayed(&[]))));
    insta::assert_snapshot!("replay_zh", first_cause(&stdout(&replayed(&["--lang", "zh"]))));
    insta::assert_snapshot!("replay_json", first_cause_json(&stdout(&replayed(&["--json"]))));
    for (lang, said) in [("en", "the certificate has expired"), ("zh", "证书已过期")] {
        let page = stdout(&replayed(&["--format", "html", "--lang", lang]));
        assert!(
            page.starts_with("<!doctype html>") && page.contains(&format!("<html lang=\"{lang}")),
            "{page}"
        );
        assert!(page.contains(said) && page.contains("tls.cert.expired"), "{page}");
    }
}

/// The page down to the first cause, without what each calibration of the catalogue moves.
fn first_cause(page: &str) -> String {
    let end = page.find("\nRuled out\n").or(page.find("\n已排除\n")).unwrap_or(page.len());
    let moved = ["more; -v shows all", "-v 显示全部"];
    let lines = page[..end].lines().filter(|line| !moved.iter().any(|text| line.contains(text)));
    let mut kept = Vec::new();
    let mut causes = 0;
    for line in lines {
        causes += usize::from(line.contains(['█', '░']));
        if causes > 1 {
            break;
        }
        let line = line.replace(['█', '░'], "").replace("; never proven in the lab", "");
        kept.push(without_percent(&line.replace("；尚未在实验室证实", "")));
    }
    kept.join("\n")
}

/// `99 %` as `N %`.
fn without_percent(line: &str) -> String {
    let Some((before, after)) = line.split_once(" %") else { return line.to_owned() };
    format!("{}N %{after}", before.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// The contract with its first cause; what else is likely or ruled out moves with each calibration.
fn first_cause_json(text: &str) -> String {
    let mut verdict: serde_json::Value = serde_json::from_str(text).unwrap();
    let causes = verdict["causes"].as_array_mut().unwrap();
    causes.truncate(1);
    let confidence = causes[0]["confidence"].take().as_f64().unwrap();
    assert!(confidence > 0.5, "a clear case: {confidence}");
    causes[0]["proven_in_lab"].take();
    for moved in ["ruled_out", "next"] {
        assert!(verdict[moved].take().is_array(), "{moved}");
    }
    verdict["sentence"] = without_percent(verdict["sentence"].as_str().unwrap()).into();
    serde_json::to_string_pretty(&verdict).unwrap()
}

#[test]
fn a_saved_case_replays_from_stdin() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut child = netwhy(folder.path())
        .args(["--replay", "-", "--json"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(case("refused.json")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, run(&["--replay", &case("refused.json"), "--json"]).stdout);
}

#[test]
fn a_closed_port_of_this_host_is_unreachable_and_can_be_kept() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let target = format!("tcp://127.0.0.1:{port}");
    let output = netwhy(folder.path()).args(["--json", "--save", "case.json", &target]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let verdict: netwhy_model::Verdict = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict.reachability, netwhy_model::Reachability::Unreachable);
    let again = netwhy(folder.path()).args(["--json", "--replay", "case.json"]).output().unwrap();
    assert_eq!(again.stdout, output.stdout, "replayed, the case gives the same bytes");
}

#[test]
fn a_name_nobody_resolves_gives_a_verdict() {
    // Behind a wall without any network, so that nothing is sent to the machine's own resolvers.
    let Some(output) = walled(&["--json", "https://no-such-name.invalid/"]) else { return };
    let verdict: netwhy_model::Verdict = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict.reachability, netwhy_model::Reachability::Unreachable);
    assert!(!verdict.healthy);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_name_the_hosts_file_answers_is_well_and_its_chain_ends_there() {
    let Some(output) = walled(&["--json", "dns:localhost"]) else { return };
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let verdict: netwhy_model::Verdict = serde_json::from_slice(&output.stdout).unwrap();
    assert!(verdict.healthy);
    let links: Vec<netwhy_model::Link> = verdict.chain.iter().map(|link| link.link).collect();
    assert_eq!(links, [netwhy_model::Link::SourceHost, netwhy_model::Link::Resolver]);
}

/// A run without any network; none where this kernel lets no user build the wall.
fn walled(arguments: &[&str]) -> Option<Output> {
    let behind = |words: &[&str]| Command::new("unshare").arg("-rn").args(words).output();
    if !behind(&["true"]).is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this kernel lets no user make a network namespace");
        return None;
    }
    let words: Vec<&str> = [env!("CARGO_BIN_EXE_netwhy")].iter().chain(arguments).copied().collect();
    Some(behind(&words).unwrap())
}

#[test]
fn several_targets_give_a_line_each_and_the_worst_exit_code() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("tcp://127.0.0.1:{port}");
    let output = run(&["--json", "--budget", "3s", &closed, &closed]);
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        serde_json::from_str::<netwhy_model::Verdict>(line).unwrap();
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = netwhy(folder.path())
        .arg("explain")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

#[test]
fn colour_only_where_it_is_wanted() {
    let path = case("refused.json");
    let has_colour = |arguments: &[&str]| stdout(&run(arguments)).contains('\u{1b}');
    assert!(!has_colour(&["--replay", &path]), "stdout is no terminal here");
    assert!(has_colour(&["--replay", &path, "--color", "always"]));
    assert!(!has_colour(&["--replay", &path, "--color", "never"]));
}

#[test]
fn completions_and_manual_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&run(&["completions", shell])).contains("diagnose"), "{shell}");
    }
    assert!(stdout(&run(&["man"])).contains(".TH netwhy 1"));
    let folder = tempfile::tempdir().unwrap();
    let output = netwhy(folder.path()).args(["man", "--dir", "."]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(folder.path().join("netwhy-diagnose.1").is_file());
}

#[test]
fn the_reference_in_docs_is_current() {
    for (lang, file) in [("en", "docs/cli.md"), ("zh", "docs/zh/cli.md")] {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", file].iter().collect();
        let written = stdout(&run(&["reference", "--lang", lang]));
        // The switch that renews the snapshots renews these pages too.
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == written, "run: INSTA_UPDATE=always cargo test -p netwhy-cli, for {file}");
    }
}
