//! AWS against what others found: Batfish's snapshots with their dispositions, np-guard's connectivity.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)]

use netwhy_policy::aws::Aws;
use netwhy_policy::can::{Verdict, can};
use netwhy_policy::estate::{Ask, End, Estate, Look, Way};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of shared data, wherever the repository stands.
fn shared(folder: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let beside = ["../shared", "../../shared"].map(|up| root.join(up).join("data/policy").join(folder));
    let found = beside.into_iter().find(|path| path.is_dir());
    if found.is_none() {
        println!("SKIPPED: no shared data");
    }
    found
}

fn texts(folder: &Path, into: &mut Vec<(Arc<str>, String)>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("folder").filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            texts(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).expect("text");
            into.push((path.to_string_lossy().as_ref().into(), text));
        }
    }
}

fn read(folder: &Path) -> Aws {
    let mut files = Vec::new();
    texts(folder, &mut files);
    let files: Vec<_> = files.iter().map(|(name, text)| (Arc::clone(name), text.as_str())).collect();
    Aws::read(&files)
}

fn address(text: &str) -> End {
    let address = text.parse().expect("address");
    End::Addresses(address, address)
}

/// Where a flow of Batfish begins, as this model has it. Devices outside AWS are addresses behind its gateways.
fn source(case: &Value, flow: &Value) -> Option<End> {
    let from = flow["from"].as_str().or(flow["ingressNode"].as_str()).unwrap_or_default();
    let given = match from {
        "onprem-high" => Some("10.20.0.1"),
        from if from.starts_with("vpn-") => Some("169.254.254.1"),
        "INTERNET_HOST_NAME" => Some("8.8.8.8"),
        "subnet-0bb82ae8b3ea5dc78" => Some("10.0.0.92"),
        "vpc-062867d29dbf9386f" => Some("10.10.200.9"),
        from if from.starts_with("i-") => return Some(End::Known(from.to_owned())),
        _ => None,
    };
    let _ = case;
    given.map(address)
}

fn destination(flow: &Value) -> (End, u8, Option<u16>) {
    let texts: Vec<&str> =
        ["dst", "dstIp", "x1", "x2"].into_iter().filter_map(|key| flow[key].as_str()).collect();
    let addresses: Vec<&str> =
        texts.iter().copied().filter(|text| text.parse::<std::net::IpAddr>().is_ok()).collect();
    let port = texts.iter().find_map(|text| text.parse::<u16>().ok());
    let port = if texts.contains(&"NamedPort.SSH.number()") { Some(22) } else { port };
    let last = addresses.last().expect("a destination");
    (address(last), if port.is_some() { 6 } else { 0 }, port)
}

/// What becomes of the packets on the way there.
fn disposition(aws: Aws, ask: &Ask) -> (String, String) {
    let steps = aws.way(ask);
    if steps.is_empty() {
        return ("NOT_HERE".to_owned(), String::new());
    }
    let boxed: Vec<Box<dyn Estate>> = vec![Box::new(aws)];
    let answer = can(&boxed, ask);
    let mut told = String::new();
    let mut found = "ACCEPTED";
    for (step, one) in steps.iter().zip(&answer.steps) {
        told.push_str(&format!(
            "    {} {:?} {}: {}\n",
            one.way,
            one.outcome,
            one.what.en,
            one.by.first().map_or("", |by| &by.why.en)
        ));
        if step.way == Way::There && found == "ACCEPTED" {
            found = match (&step.look, one.outcome) {
                (_, Verdict::Allowed) => found,
                (Look::Depends { .. }, _) => "DEPENDS",
                (Look::Ends { .. }, _) => "ENDS",
                (_, Verdict::Denied) => "DENIED",
                (_, Verdict::Depends) => "DEPENDS",
            };
        }
    }
    (found.to_owned(), told)
}

#[test]
fn flows_of_batfish_end_as_batfish_says() {
    let Some(root) = shared("batfish/aws") else { return };
    let (mut right, mut wrong, mut skipped) = (0, Vec::new(), 0);
    for entry in std::fs::read_dir(&root).expect("snapshots") {
        let snapshot = entry.expect("entry").path();
        let expect = std::fs::read_to_string(snapshot.join("expect.json")).expect("expect.json");
        let expect: Value = serde_json::from_str(&expect).expect("JSON");
        for case in expect["cases"].as_array().expect("cases") {
            let flow = &case["flow"];
            let Some(mut from) = source(case, flow) else {
                skipped += 1;
                continue;
            };
            let (mut to, mut protocol, port) = destination(flow);
            // What these flows are changed to in code is told by the names of their tests.
            match case["test"].as_str().unwrap_or_default() {
                "testUnsupportedIpProtocol" => protocol = 89,
                "testNonSessionPacket" => (from, to) = (address("8.8.8.8"), address("3.135.127.225")),
                "testIntraSubnetPacket" => {
                    (from, to) = (End::Known("i-0b31b509174d7f5de".to_owned()), address("10.1.250.210"));
                }
                _ => {}
            }
            let aws = read(&snapshot.join("aws_configs"));
            let (found, told) = disposition(aws, &Ask { from, to, protocol, port, request: None });
            let expected = case["disposition"].as_str().expect("disposition");
            let fits = match expected {
                "ACCEPTED" | "DELIVERED_TO_SUBNET" => found == "ACCEPTED",
                "EXITS_NETWORK" => found == "ACCEPTED" || found == "NOT_HERE",
                "DENIED_IN" | "DENIED_OUT" => found == "DENIED" || found == "ENDS",
                "NULL_ROUTED" => found == "ENDS" || found == "NOT_HERE",
                _ => found == "ENDS",
            };
            // Beyond AWS's own gateways other devices decide, which are not AWS's.
            let last =
                case["path"].as_array().and_then(|path| path.last()).and_then(Value::as_str).unwrap_or("");
            let is_beyond = last.starts_with("vpn-");
            match fits || is_beyond {
                true => right += 1,
                false => wrong.push(format!(
                    "{} {}: expected {expected}, found {found}\n  {flow}\n{told}",
                    snapshot.file_name().unwrap_or_default().to_string_lossy(),
                    case["test"]
                )),
            }
        }
    }
    println!("{right} right, {} wrong, {skipped} skipped", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What np-guard says of one pair: everything, or one protocol with some ports, or nothing.
fn allows(told: Option<&str>, protocol: u8, port: u16) -> bool {
    let Some(told) = told else { return false };
    if told.contains("All Connections") {
        return true;
    }
    let is_protocol = told.contains(match protocol {
        6 => "TCP",
        17 => "UDP",
        _ => "ICMP",
    });
    let ports = told.split("dst-ports: ").nth(1).map(|ports| ports.trim().split(','));
    let in_ports = ports.is_none_or(|mut ports| {
        ports.any(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            (first.parse::<u16>().expect("port")..=last.parse::<u16>().expect("port")).contains(&port)
        })
    });
    is_protocol && in_ports
}

fn npguard(input: &str, output: &str) {
    let Some(root) = shared("npguard-vpc") else { return };
    let text = std::fs::read_to_string(root.join("input").join(input)).expect("input");
    let aws = Aws::read(&[(input.into(), text.as_str())]);
    let told = std::fs::read_to_string(root.join("out/analysis_out").join(output)).expect("output");
    let name = |end: &str| end.split('[').next().unwrap_or(end).trim().to_owned();
    let mut expected = std::collections::HashMap::new();
    let mut names = std::collections::BTreeSet::new();
    for line in told.lines() {
        let Some((from, rest)) = line.split_once(" => ") else { continue };
        let Some((to, what)) = rest.split_once(" : ") else { continue };
        names.extend([name(from), name(to)]);
        expected.insert((name(from), name(to)), what.to_owned());
    }
    let known: Vec<(String, End)> = aws
        .endpoints()
        .iter()
        .filter_map(|endpoint| {
            let own = endpoint.names.iter().find(|own| names.contains(*own))?;
            Some((own.clone(), End::Known(endpoint.id.clone())))
        })
        .chain([("Public Internet (all ranges)".to_owned(), address("8.8.8.8"))])
        .collect();
    assert_eq!(known.len(), names.len(), "{names:?} {known:?}");
    let estates: Vec<Box<dyn Estate>> = vec![Box::new(aws)];
    let (mut right, mut wrong) = (0, Vec::new());
    for (from_name, from) in &known {
        for (to_name, to) in known.iter().filter(|(to_name, _)| to_name != from_name) {
            for (protocol, port) in [(6, 22), (6, 443), (6, 9080), (6, 9081), (17, 53), (17, 9080)] {
                let ask =
                    Ask { from: from.clone(), to: to.clone(), protocol, port: Some(port), request: None };
                let answer = can(&estates, &ask);
                let told = expected.get(&(from_name.clone(), to_name.clone())).map(String::as_str);
                // Its inputs have no route tables: what hangs on them alone is not denied.
                let found = answer.verdict != Verdict::Denied;
                match found == allows(told, protocol, port) {
                    true => right += 1,
                    false => wrong.push(format!(
                        "{from_name} → {to_name} {protocol}/{port}: np-guard {told:?}, here {:?} {:#?}",
                        answer.verdict, answer.blockers
                    )),
                }
            }
        }
    }
    println!("{input}: {right} right, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn connectivity_of_np_guard_is_found_with_groups_of_groups() {
    npguard("input_aws_sg_1.json", "aws_sg_1_all_vpcs_.txt");
}

#[test]
fn connectivity_of_np_guard_is_found_with_two_subnets() {
    npguard("input_basic_config_with_sg.json", "basic_config_with_sg_all_vpcs_.txt");
}
