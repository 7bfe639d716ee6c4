//! The process inside the walls: builds, breaks, asks, mends.

use crate::address::Words;
use crate::ends::{Ends, places};
use crate::error::{LabError, Result};
use crate::host::environment;
use crate::isolate::{self, Became, EXIT_FORBIDDEN, LAB_DIRECTORY};
use crate::network::Wires;
use crate::pki::{Pki, Profile};
use crate::scenario::{self, Network};
use crate::script::{Act, Event, Measured, Phase, Script};
use crate::service::{Service, tail};
use crate::step::{self, Step};
use crate::toolbox::{self, ToolRun, Toolbox};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a shell step may take, in milliseconds.
const STEP_WAIT_MS_MAX: u64 = 20_000;
/// How long one run of netwhy may take, in milliseconds.
const RUN_WAIT_MS_MAX: u64 = 90_000;
/// The largest verdict read, in bytes.
const VERDICT_BYTES_MAX: u64 = 32 << 20;
/// What is read of a tool's output, in bytes.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Where netwhy keeps its files when it runs beside the hosts; no host can have this name.
const BESIDE_DIRECTORY: &str = "/run/lab/.beside";
/// Between two looks at a child, in milliseconds.
const POLL_MS: u64 = 2;

/// The hidden subcommand `lab-inside`: returns the exit status.
pub fn main() -> u8 {
    match isolate::enter() {
        Ok(Became::Keeper(status)) => return status,
        Ok(Became::Builder) => {}
        Err(LabError::NeedsRoot(why)) => {
            tell(&Event::Failed { why });
            return EXIT_FORBIDDEN;
        }
        Err(error) => {
            tell(&Event::Failed { why: error.to_string() });
            return 2;
        }
    }
    let outcome = told().and_then(|script| {
        die_with_the_asker();
        play(&script)
    });
    match outcome {
        Ok(()) => {
            tell(&Event::Done);
            0
        }
        Err(error) => {
            tell(&Event::Failed { why: error.to_string() });
            2
        }
    }
}

fn told() -> Result<Script> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(LabError::file("standard input"))?;
    serde_json::from_str(&line)
        .map_err(|error| LabError::Ended(format!("the script was not understood: {error}")))
}

/// Nobody writes events to a broken pipe for long: when the asker is gone, so are we.
fn tell(event: &Event) {
    let line = serde_json::to_string(event).unwrap_or_default();
    let mut output = io::stdout().lock();
    let _ = output
        .write_all(line.as_bytes())
        .and_then(|()| output.write_all(b"\n"))
        .and_then(|()| output.flush());
}

/// The keeper outside does the same; this holds even if it was killed.
fn die_with_the_asker() {
    std::thread::spawn(|| {
        let input = io::stdin();
        let mut watch = [nix::poll::PollFd::new(input.as_fd(), nix::poll::PollFlags::empty())];
        loop {
            let done = nix::poll::poll(&mut watch, nix::poll::PollTimeout::NONE);
            if done.is_ok_and(|count| count > 0) {
                // SAFETY: ends the process at once, without destructors; the kernel cleans up.
                unsafe { libc::_exit(1) }
            }
        }
    });
}

fn play(script: &Script) -> Result<()> {
    let started = Instant::now();
    let mut stage = Stage::build(script)?;
    tell(&Event::Built {
        hosts: script.network.host.iter().map(|host| host.name.clone()).collect(),
        services: script.network.service.iter().map(|service| service.name.clone()).collect(),
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    script.acts.iter().try_for_each(|act| stage.perform(act, script))
}

/// The network with its services and certificates, alive.
struct Stage {
    wires: Wires,
    pki: Pki,
    services: Vec<Service>,
    network: Network,
    words: Words,
}

impl Stage {
    fn build(script: &Script) -> Result<Stage> {
        let bad = |why| LabError::Scenario { name: "network".into(), why };
        let words = Words::of(&script.network).map_err(bad)?;
        let network = filled(&script.network, &words);
        let steps: Vec<String> =
            script.acts.iter().flat_map(|act| act.inject.iter().chain(&act.heal)).cloned().collect();
        let pki = Pki::create()?;
        for cert in &network.cert {
            pki.issue(&cert.name, &cert.names, Profile::parse(&cert.profile).unwrap_or(Profile::Good))?;
        }
        write_zones(&network)?;
        let wires = Wires::build(&network, &steps, script.seed)?;
        let services = network.service.iter().cloned().map(Service::new).collect();
        let mut stage = Stage { wires, pki, services, network, words };
        for file in stage.network.file.clone() {
            stage.write_file(&file, false)?;
        }
        for text in stage.network.setup.clone() {
            stage.take(&text)?;
        }
        for service in &mut stage.services {
            if service.spec.start {
                let host = stage.wires.host(&service.spec.host)?;
                service.act(step::Verb::Start, &Default::default(), host)?;
            }
        }
        Ok(stage)
    }

    fn perform(&mut self, act: &Act, script: &Script) -> Result<()> {
        tell(&Event::Act { name: act.name.clone() });
        self.steps(&act.inject, Phase::Broken)?;
        self.measure(act, script, Phase::Broken)?;
        self.steps(&act.heal, Phase::Healed)?;
        if act.verify {
            self.measure(act, script, Phase::Healed)?;
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[String], phase: Phase) -> Result<()> {
        for text in steps {
            let output = self.take(text)?;
            tell(&Event::Step { phase, text: self.words.fill(text), output });
        }
        Ok(())
    }

    /// Does one step; returns the end of what it printed.
    fn take(&mut self, text: &str) -> Result<String> {
        let text = self.words.fill(text);
        let failed = |why: String| LabError::Step { step: text.clone(), why };
        let unknown = || failed("it names something that is not there".into());
        match step::parse(&text).map_err(&failed)? {
            Step::Shell { host, line, may_fail } => {
                return match self.shell(&host, &line) {
                    Err(error) if may_fail => Ok(error.to_string()),
                    other => other.map_err(|error| failed(error.to_string())),
                };
            }
            Step::Service { verb, name, options } => {
                let wanted = |service: &&mut Service| service.spec.name == name;
                let service = self.services.iter_mut().find(wanted).ok_or_else(unknown)?;
                service.act(verb, &options, self.wires.host(&service.spec.host)?)?;
            }
            Step::Cert { name, profile, names } => {
                let cert = self.network.cert.iter().find(|cert| cert.name == name).ok_or_else(unknown)?;
                let profile =
                    Profile::parse(profile.as_deref().unwrap_or(&cert.profile)).ok_or_else(unknown)?;
                self.pki.issue(&name, &names.unwrap_or_else(|| cert.names.clone()), profile)?;
            }
            Step::Link { name, shape } => self.wires.reshape(&name, shape.as_ref())?,
            Step::File { name, broken } => {
                let wanted = |file: &&scenario::File| file.name == name || file.path == name;
                let file = self.network.file.iter().find(wanted).ok_or_else(unknown)?;
                self.write_file(file, broken)?;
            }
            Step::Pause(time) => std::thread::sleep(time),
            Step::Listening { host, socket } => self.await_listener(&host, socket).map_err(failed)?,
        }
        Ok(String::new())
    }

    fn await_listener(&self, host: &str, socket: step::Listener) -> std::result::Result<(), String> {
        let host = self.wires.host(host).map_err(|error| error.to_string())?;
        let end = Instant::now() + Duration::from_millis(STEP_WAIT_MS_MAX);
        while Instant::now() < end {
            if host.listens(socket.udp, socket.port) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        Err("nobody listens there".into())
    }

    fn shell(&self, host: &str, line: &str) -> Result<String> {
        let host = self.wires.host(host)?;
        let log = host.directory.join("step.log");
        let mut command = host.command("sh")?;
        command.args(["-ec", line]);
        let ran = run(command, &log, &log, STEP_WAIT_MS_MAX)?;
        match ran.status {
            Some(status) if status.success() => Ok(tail(&log)),
            Some(status) => Err(LabError::Inside(format!("{status}: {}", tail(&log)))),
            None => Err(LabError::Inside(format!("no end in {STEP_WAIT_MS_MAX} ms: {}", tail(&log)))),
        }
    }

    fn write_file(&self, file: &scenario::File, broken: bool) -> Result<()> {
        let path = self.wires.host(&file.host)?.path(&file.path);
        let text = if broken { file.broken.as_ref().unwrap_or(&file.text) } else { &file.text };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(LabError::file(parent))?;
        }
        fs::write(&path, text).map_err(LabError::file(&path))?;
        if let Some(mode) = file.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok()) {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(LabError::file(&path))?;
        }
        Ok(())
    }

    fn measure(&self, act: &Act, script: &Script, phase: Phase) -> Result<()> {
        let measured = self.ask(act, script)?;
        tell(&Event::Measured { phase, measured: Box::new(measured) });
        if script.toolbox != Toolbox::None && act.verify {
            tell(&Event::Tools { phase, runs: self.use_tools(act, script.toolbox)? });
        }
        Ok(())
    }

    /// Runs the toolbox on what netwhy was asked, one tool after the other.
    fn use_tools(&self, act: &Act, which: Toolbox) -> Result<Vec<ToolRun>> {
        let host = self.wires.host(&act.from)?;
        let log = host.directory.join("tool.log");
        let target = self.words.fill(&act.target);
        let args: Vec<String> = act.args.iter().map(|argument| self.words.fill(argument)).collect();
        let mut runs = Vec::new();
        for tool in toolbox::tools(&target, &args, which, &crate::outside::program_exists) {
            let mut command = host.command("bash")?;
            command.args(["-c", &tool.line]);
            let started = Instant::now();
            let ran = run(command, &log, &log, RUN_WAIT_MS_MAX)?;
            let wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let exit = ran.status.and_then(|status| status.code()).unwrap_or(-1);
            let output = fs::read(&log).map_err(LabError::file(&log))?;
            let output = String::from_utf8_lossy(&output[..output.len().min(OUTPUT_BYTES_MAX)]);
            let signs = toolbox::signs(&tool.name, &output, exit, &target);
            runs.push(ToolRun { name: tool.name, wall_ms, signs });
        }
        Ok(runs)
    }

    fn ask(&self, act: &Act, script: &Script) -> Result<Measured> {
        let host = self.wires.host(&act.from)?;
        let ways = self.ways(act, script.ends)?;
        let directory =
            if ways.is_empty() { host.directory.clone() } else { PathBuf::from(BESIDE_DIRECTORY) };
        let (output, errors) = (directory.join("netwhy.json"), directory.join("netwhy.log"));
        let saved = directory.join("case.json");
        let program = script.program.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let mut arguments: Vec<String> = vec!["--json".into()];
        arguments.extend(script.arguments.clone());
        if script.save {
            arguments.extend(["--save".into(), saved.display().to_string()]);
        }
        let own: Vec<String> =
            act.args.iter().chain([&act.target]).map(|argument| self.words.fill(argument)).collect();
        let mut command = if ways.is_empty() { host.command(program)? } else { beside(program, &directory)? };
        command.args(&arguments);
        for (role, prefix) in &ways {
            command.arg("--at").arg(format!("{role}=exec:{prefix}"));
        }
        command.args(&own);
        let told: String = ways.iter().map(|(role, _)| format!("--at {role}=exec:… ")).collect();
        let started = Instant::now();
        let ran = run(command, &output, &errors, RUN_WAIT_MS_MAX)?;
        let wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let small = fs::metadata(&output).is_ok_and(|meta| meta.len() <= VERDICT_BYTES_MAX);
        let verdict = small.then(|| fs::read(&output).ok()).flatten();
        Ok(Measured {
            verdict: verdict.and_then(|bytes| serde_json::from_slice(&bytes).ok()),
            exit: ran.status.and_then(|status| status.code()).unwrap_or(-1),
            wall_ms,
            memory_kib: ran.memory_kib,
            complaint: tail(&errors),
            saved: script.save.then(|| fs::read_to_string(&saved).ok()).flatten(),
            command: format!("netwhy {told}{}", own.join(" ")),
        })
    }

    /// The ways into the hosts netwhy shall stand on, as `(role, command prefix)`; none when it runs on the client.
    fn ways(&self, act: &Act, ends: Ends) -> Result<Vec<(String, String)>> {
        // As this /proc counts, which need not be the lab's own.
        let builder = fs::read_link("/proc/self").map_err(LabError::file("/proc/self"))?;
        let way = |(role, host): (String, String)| {
            Ok((role, self.wires.host(&host)?.prefix(&builder.display().to_string())))
        };
        places(&self.network, &act.from, ends).into_iter().map(way).collect()
    }
}

/// A command that runs on no host: in the lab's outer namespaces, where there is nothing but loopback.
fn beside(program: PathBuf, directory: &Path) -> Result<Command> {
    fs::create_dir_all(directory).map_err(LabError::file(directory))?;
    let mut command = Command::new(program);
    command.env_clear().envs(environment(directory)).stdin(Stdio::null());
    command.current_dir(directory).process_group(0);
    Ok(command)
}

/// How a child ended; without a status it was killed for taking too long.
struct Ran {
    status: Option<ExitStatus>,
    memory_kib: u64,
}

/// Runs a command to its end or to the limit, its output going to files.
fn run(mut command: Command, output: &Path, errors: &Path, wait_ms_max: u64) -> Result<Ran> {
    let stdout = File::create(output).map_err(LabError::file(output))?;
    let stderr = if output == errors {
        stdout.try_clone().map_err(LabError::file(errors))?
    } else {
        File::create(errors).map_err(LabError::file(errors))?
    };
    let child = command
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(|error| LabError::Ended(format!("{command:?} did not start: {error}")))?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let end = Instant::now() + Duration::from_millis(wait_ms_max);
    loop {
        if let Some(ran) = ended(pid, libc::WNOHANG)? {
            return Ok(ran);
        }
        if Instant::now() >= end {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            let memory_kib = ended(pid, 0)?.map_or(0, |ran| ran.memory_kib);
            return Ok(Ran { status: None, memory_kib });
        }
        std::thread::sleep(Duration::from_millis(POLL_MS));
    }
}

/// wait4(2), which unlike `Child::wait` tells the peak memory.
fn ended(pid: i32, flags: i32) -> Result<Option<Ran>> {
    let mut status = 0;
    // SAFETY: zero is a valid rusage, and both pointers outlive the call.
    let (got, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(pid, &raw mut status, flags, &raw mut usage), usage)
    };
    match got {
        0 => Ok(None),
        -1 => Err(LabError::kernel("waiting for a program")(io::Error::last_os_error())),
        _ => Ok(Some(Ran {
            status: Some(std::os::unix::process::ExitStatusExt::from_raw(status)),
            memory_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
        })),
    }
}

/// Fills in the words of every text that services and files carry.
fn filled(network: &Network, words: &Words) -> Network {
    let fill = |text: &mut String| *text = words.fill(text);
    let mut network = network.clone();
    for host in &mut network.host {
        host.hosts.iter_mut().chain(&mut host.resolvers).for_each(fill);
    }
    for zone in &mut network.zone {
        zone.records.iter_mut().for_each(fill);
    }
    for cert in &mut network.cert {
        cert.names.iter_mut().for_each(fill);
    }
    for file in &mut network.file {
        fill(&mut file.text);
        if let Some(broken) = &mut file.broken {
            fill(broken);
        }
    }
    for service in &mut network.service {
        fill(&mut service.command);
        service.options.values_mut().for_each(|value| fill_value(value, words));
    }
    network
}

fn fill_value(value: &mut serde_json::Value, words: &Words) {
    match value {
        serde_json::Value::String(text) => *text = words.fill(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| fill_value(value, words)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|value| fill_value(value, words)),
        _ => {}
    }
}

/// Writes master files that every name server of Debian reads too.
fn write_zones(network: &Network) -> Result<()> {
    let directory = Path::new(LAB_DIRECTORY).join("zones");
    fs::create_dir_all(&directory).map_err(LabError::file(&directory))?;
    for zone in &network.zone {
        let mut text = format!("$ORIGIN {}.\n$TTL 300\n", zone.name.trim_end_matches('.'));
        if !zone.records.iter().any(|record| record.split_whitespace().any(|word| word == "SOA")) {
            text.push_str("@ SOA ns1 hostmaster 2024010101 3600 600 604800 60\n");
        }
        for record in &zone.records {
            text.push_str(record);
            text.push('\n');
        }
        let path = directory.join(format!("{}.zone", crate::zone_file_stem(&zone.name)));
        fs::write(&path, text).map_err(LabError::file(path))?;
    }
    Ok(())
}
