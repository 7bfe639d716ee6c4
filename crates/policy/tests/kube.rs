//! Kubernetes manifests against the answers of np-guard and cyclonus.
#![allow(clippy::expect_used, clippy::print_stdout)]

use netwhy_policy::can::{Verdict, can};
use netwhy_policy::doc::{Node, json};
use netwhy_policy::estate::{Ask, End, Estate};
use netwhy_policy::kube::{Connection, Kube, Options};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The shared test data, beside the repository; absent elsewhere.
fn shared(part: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found =
        here.ancestors().map(|above| above.join("shared/data/policy").join(part)).find(|path| path.exists());
    if found.is_none() {
        println!("SKIPPED: no shared data");
    }
    found
}

fn files_under(directory: &Path) -> Vec<(Arc<str>, String)> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(files_under(&path));
        } else if path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|e| end == *e)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name.into(), std::fs::read_to_string(&path).expect("text")));
        }
    }
    found
}

fn kube(files: &[(Arc<str>, String)]) -> Kube {
    let texts: Vec<(Arc<str>, &str)> =
        files.iter().map(|(name, text)| (Arc::clone(name), text.as_str())).collect();
    Kube::read(&texts, Options::default())
}

/// The lines of np-guard's list, each with the network it stands under.
fn expected(text: &str) -> BTreeSet<String> {
    let mut network = "Pod network".to_owned();
    let mut lines = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Permitted connectivity analyzed in ") {
            network = rest.trim_end_matches(':').to_owned();
        } else if line.contains(" => ") {
            lines.insert(format!("{network}: {line}"));
        }
    }
    lines
}

fn line(connection: &Connection) -> String {
    let Connection { network, from, to, ports } = connection;
    format!("{network}: {from} => {to} : {ports}")
}

#[test]
fn the_connections_of_whole_directories_are_those_of_np_guard() {
    let Some(root) = shared("npguard-netpol") else { return };
    let (mut right, mut wrong) = (0, Vec::new());
    let mut directories: Vec<PathBuf> =
        std::fs::read_dir(root).expect("data").map(|entry| entry.expect("an entry").path()).collect();
    directories.sort();
    for directory in directories {
        let Ok(text) = std::fs::read_to_string(directory.join("EXPECT.connlist.txt")) else { continue };
        let kube = kube(&files_under(&directory));
        let ours: BTreeSet<String> = kube.connections().iter().map(line).collect();
        let theirs = expected(&text);
        if ours == theirs {
            right += 1;
            continue;
        }
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut report =
            format!("{name}: {} of {} lines\n", ours.intersection(&theirs).count(), theirs.len());
        theirs.difference(&ours).take(4).for_each(|line| report += &format!("  - {line}\n"));
        ours.difference(&theirs).take(4).for_each(|line| report += &format!("  + {line}\n"));
        kube.unread().iter().take(3).for_each(|unread| report += &format!("  ? {unread:?}\n"));
        wrong.push(report);
    }
    println!("{right} directories right");
    assert!(wrong.is_empty(), "{right} right, {} wrong:\n{}", wrong.len(), wrong.concat());
}

/// The tables named "Combined" of a probe: row, column, whether it may.
fn tables(text: &str) -> Vec<Vec<(String, String, bool)>> {
    let mut tables = Vec::new();
    for part in text.split("Combined:").skip(1) {
        let mut rows =
            part.lines().skip(1).take_while(|line| !line.is_empty()).filter(|line| line.starts_with('|'));
        let cells = |line: &str| {
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_lowercase()).collect::<Vec<_>>()
        };
        let columns = cells(rows.next().unwrap_or_default());
        let mut table = Vec::new();
        for row in rows.map(cells) {
            let named = row.iter().zip(&columns).skip(1).filter(|(cell, _)| *cell != "n");
            table.extend(named.map(|(cell, column)| (row[0].clone(), column.clone(), cell == ".")));
        }
        tables.push(table);
    }
    tables
}

#[test]
fn the_probes_of_cyclonus_have_its_results() {
    let Some(root) = shared("cyclonus") else { return };
    let probe = std::fs::read_to_string(root.join("examples/probe.json")).expect("text");
    let probe = json(&"probe.json".into(), &probe).documents.remove(0);
    let mut manifests = String::new();
    for (name, labels) in probe.at(&["Resources", "Namespaces"]).expect("namespaces").members() {
        let label = labels.word("ns").unwrap_or_default();
        manifests += &format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: '{name}', labels: {{ns: '{label}'}}}}\n"
        );
    }
    for pod in probe.at(&["Resources", "Pods"]).expect("pods").list() {
        let (namespace, name) =
            (pod.word("Namespace").unwrap_or_default(), pod.word("Name").unwrap_or_default());
        let label = pod.at(&["Labels", "pod"]).and_then(Node::text).unwrap_or_default();
        manifests += &format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: '{name}', namespace: '{namespace}', labels: {{pod: '{label}'}}}}\n"
        );
    }
    let mut files = files_under(&root.join("networkpolicies/simple-example"));
    files.push(("pods.yaml".into(), manifests));
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(kube(&files))];
    let text =
        std::fs::read_to_string(root.join("examples/cyclonus-output/analyze-probe.txt")).expect("text");
    let (mut count, end) = (0, |path: &str| End::Known(format!("{path}[Pod]")));
    for (table, port) in tables(&text).iter().zip([80, 81, 82]) {
        // A pod always reaches itself; cyclonus asks it all the same.
        for (from, to, may) in table.iter().filter(|(from, to, _)| from != to) {
            let answer = can(
                &estates,
                &Ask { from: end(from), to: end(to), protocol: 6, port: Some(port), request: None },
            );
            let wanted = if *may { Verdict::Allowed } else { Verdict::Denied };
            assert_eq!(answer.verdict, wanted, "{from} to {to}:{port}");
            count += 1;
        }
    }
    assert!(count >= 144, "{count}");
}

#[test]
fn single_questions_have_the_answers_of_the_whole_list() {
    let Some(root) = shared("npguard-netpol") else { return };
    let options = Options { blocks_match_pods: Some(false), ..Options::default() };
    let mut count = 0;
    for entry in std::fs::read_dir(root).expect("data") {
        let files = files_under(&entry.expect("an entry").path());
        let texts: Vec<(Arc<str>, &str)> =
            files.iter().map(|(name, text)| (Arc::clone(name), text.as_str())).collect();
        // Pods with their node's network are another matter, as are those with several networks.
        let others = ["hostNetwork", "NetworkAttachmentDefinition"];
        if files.iter().any(|(_, text)| others.iter().any(|other| text.contains(other))) {
            continue;
        }
        let kube = Kube::read(&texts, options);
        let ids: Vec<String> = kube
            .endpoints()
            .iter()
            .map(|one| one.id.clone())
            .filter(|id| !id.ends_with("[Service]"))
            .collect();
        let listed: BTreeSet<(String, String)> = kube
            .connections()
            .into_iter()
            .filter(|one| one.ports == "All Connections" || covers(&one.ports, 80))
            .map(|one| (one.from.replace("[udn]", ""), one.to.replace("[udn]", "")))
            .collect();
        let estates: Vec<Box<dyn Estate>> = vec![Box::new(kube)];
        for from in ids.iter().filter(|id| id.contains('/')) {
            for to in ids.iter().filter(|id| id.contains('/') && *id != from) {
                let end = |id: &String| End::Known(id.clone());
                let answer = can(
                    &estates,
                    &Ask { from: end(from), to: end(to), protocol: 6, port: Some(80), request: None },
                );
                let wanted = if listed.contains(&(from.clone(), to.clone())) {
                    Verdict::Allowed
                } else {
                    Verdict::Denied
                };
                assert_eq!(answer.verdict, wanted, "{from} to {to}: {:?}", answer.depends);
                count += 1;
            }
        }
    }
    assert!(count > 1000, "{count}");
}

/// Whether `SCTP 1-9,TCP 80,90` has a port of TCP.
fn covers(ports: &str, port: u16) -> bool {
    let mut protocol = "";
    ports.split(',').any(|part| {
        let range = match part.split_once(' ') {
            Some((name, range)) => {
                protocol = name;
                range
            }
            None => part,
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().expect("a port");
        protocol == "TCP" && (number(first)..=number(last)).contains(&port)
    })
}
