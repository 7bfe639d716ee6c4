//! Builds real labs, breaks and mends them, and looks for what is left behind.
//!
//! Without the standard harness: the lab starts copies of the running program, so this program's `main`
//! must hand over to them first. Where the kernel forbids namespaces it prints SKIPPED.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use netwhy_lab::{Ends, Event, LabError, Library, Phase, Script};
use std::net::{TcpStream, ToSocketAddrs};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    if let Some(code) = netwhy_lab::maybe_inside() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--json") {
        let ways: Vec<&str> =
            arguments.iter().filter_map(|argument| argument.split_once("=exec:")).map(|way| way.1).collect();
        return if ways.is_empty() { stand_in(arguments.last().unwrap()) } else { stand_beside(&ways) };
    }
    if arguments.iter().any(|argument| argument == "--list") {
        // The protocol of test runners: one line a test, and none of them is ignored.
        if !arguments.iter().any(|argument| argument == "--ignored") {
            for (name, _) in TESTS {
                println!("{name}: test");
            }
        }
        return ExitCode::SUCCESS;
    }
    let asked = arguments.iter().skip(1).find(|argument| !argument.starts_with("--"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Err(LabError::NeedsRoot(why)) = runtime.block_on(play(&bare(&[], &[]))) {
        println!("SKIPPED lab tests: {why}");
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<_> = TESTS.iter().filter(|(name, _)| asked.is_none_or(|asked| asked == name)).collect();
    for (name, test) in &chosen {
        runtime.block_on(test());
        println!("test {name} ... ok");
    }
    println!("\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", chosen.len());
    ExitCode::SUCCESS
}

type Test = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// The tests by name; a harness of our own, since the binary must answer for the lab's children first.
const TESTS: &[(&str, Test)] = &[
    ("breaks_and_mends", || Box::pin(breaks_and_mends())),
    ("the_whole_way_resolves_and_connects", || Box::pin(the_whole_way_resolves_and_connects())),
    ("a_failing_step_is_named", || Box::pin(a_failing_step_is_named())),
    ("a_lossy_link_delays", || Box::pin(a_lossy_link_delays())),
    ("both_ends_can_be_entered", || Box::pin(both_ends_can_be_entered())),
    ("nothing_is_left", || Box::pin(nothing_is_left())),
];

/// In netwhy's place: healthy when a TCP connection succeeds.
fn stand_in(target: &str) -> ExitCode {
    let started = Instant::now();
    let addresses: Vec<_> = target.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let open =
        addresses.iter().any(|address| TcpStream::connect_timeout(address, Duration::from_secs(3)).is_ok());
    let millis = started.elapsed().as_millis();
    println!(
        "{{\"healthy\":{open},\"causes\":[],\"addresses\":{},\"timing_ms\":{{\"total\":{millis}}}}}",
        addresses.len()
    );
    ExitCode::SUCCESS
}

/// In netwhy's place beside the lab: who and where it is at the end of each way.
fn stand_beside(ways: &[&str]) -> ExitCode {
    let line = "hostname; pwd; ip -4 -o addr show dev eth0 | grep -c 10.61.1; grep -c shop /etc/hosts; true";
    let told: Vec<String> = ways
        .iter()
        .map(|way| {
            let mut words = way.split(' ');
            let mut command = std::process::Command::new(words.next().unwrap());
            let output = command.args(words).args(["sh", "-c", line]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().replace('\n', " ")
        })
        .collect();
    println!("{{\"told\":{told:?}}}");
    ExitCode::SUCCESS
}

fn bare(inject: &[&str], heal: &[&str]) -> Script {
    on("bare", inject, heal)
}

fn on(topology: &str, inject: &[&str], heal: &[&str]) -> Script {
    let mut script = netwhy_lab::demo().unwrap();
    script.network = Library::built_in().network(topology).unwrap();
    script.acts.truncate(1);
    script.acts[0].target = "shop.example.test:443".into();
    script.acts[0].inject = inject.iter().map(|&step| step.to_owned()).collect();
    script.acts[0].heal = heal.iter().map(|&step| step.to_owned()).collect();
    script
}

async fn play(script: &Script) -> Result<Vec<(Phase, serde_json::Value)>, LabError> {
    let mut verdicts = Vec::new();
    netwhy_lab::run(script, |event| {
        if let Event::Measured { phase, measured } = event {
            verdicts.push((phase, measured.verdict.expect("the stand-in prints JSON")));
        }
    })
    .await?;
    Ok(verdicts)
}

async fn breaks_and_mends() {
    let verdicts = play(&bare(&["kill web"], &["start web"])).await.unwrap();
    let healthy: Vec<bool> = verdicts.iter().map(|(_, verdict)| verdict["healthy"] == true).collect();
    assert_eq!(healthy, [false, true]);
}

async fn the_whole_way_resolves_and_connects() {
    let steps = ["restart resolver rcode=SERVFAIL"];
    let verdicts = play(&on("web", &steps, &["restart resolver"])).await.unwrap();
    let addresses: Vec<u64> =
        verdicts.iter().map(|(_, verdict)| verdict["addresses"].as_u64().unwrap()).collect();
    assert_eq!(addresses, [0, 2], "IPv4 and IPv6 after mending, nothing before");
    assert_eq!(verdicts[1].1["healthy"], true);
}

async fn a_failing_step_is_named() {
    let error = play(&bare(&["@origin echo what a pity; false"], &[])).await.unwrap_err().to_string();
    assert!(error.contains("what a pity"), "{error}");
}

async fn a_lossy_link_delays() {
    let verdicts = play(&bare(&["link wire delay_ms=60"], &["link wire"])).await.unwrap();
    let millis: Vec<u64> =
        verdicts.iter().map(|(_, verdict)| verdict["timing_ms"]["total"].as_u64().unwrap()).collect();
    assert!(millis[0] >= 120 && millis[1] < 100, "{millis:?}");
}

async fn both_ends_can_be_entered() {
    let script = Script { ends: Ends::Both, ..bare(&[], &[]) };
    let verdicts = play(&script).await.unwrap();
    let expected = ["client /run/lab/client 1 2 ", "origin /run/lab/origin 1 0 "];
    assert_eq!(verdicts[0].1["told"], serde_json::json!(expected));
}

/// Dropped in the middle, as on an interrupt: every process of the lab ends.
async fn nothing_is_left() {
    let script = bare(&["wait 20000ms"], &[]);
    let _ = tokio::time::timeout(Duration::from_millis(700), play(&script)).await;
    let end = Instant::now() + Duration::from_secs(5);
    while children() > 0 {
        assert!(Instant::now() < end, "{} processes are left", children());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Living processes this one started.
fn children() -> usize {
    let path = format!("/proc/self/task/{}/children", std::process::id());
    let of_main = std::fs::read_to_string(path).unwrap_or_default();
    let alive = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    };
    of_main.split_whitespace().filter(alive).count()
}
