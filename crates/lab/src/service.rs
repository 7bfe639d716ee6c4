//! Starts services on hosts, waits until they serve, stops, kills and freezes them.

use crate::error::{LabError, Result};
use crate::host::Host;
use crate::scenario;
use crate::step::{Listener, Verb};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long a service may take until it serves, in milliseconds.
const READY_WAIT_MS_MAX: u64 = 8000;
/// How long a service may take to end by itself, in milliseconds.
const STOP_WAIT_MS_MAX: u64 = 1500;
/// How often a condition is looked at, in milliseconds.
const POLL_MS: u64 = 4;
/// Of a log, so much is quoted, in bytes.
const LOG_BYTES_MAX: usize = 600;

/// A service of the scenario, running or not.
#[derive(Debug)]
pub struct Service {
    pub spec: scenario::Service,
    child: Option<Child>,
}

impl Service {
    /// A service that does not run yet.
    pub fn new(spec: scenario::Service) -> Service {
        Service { spec, child: None }
    }

    /// Does what a step says; `options` are laid over those of the scenario.
    pub fn act(&mut self, verb: Verb, options: &BTreeMap<String, Value>, host: &Host) -> Result<()> {
        match verb {
            Verb::Start => self.start(options, host),
            Verb::Stop => self.stop(),
            Verb::Restart => {
                self.stop()?;
                self.start(options, host)
            }
            Verb::Kill => {
                self.signal(Signal::SIGKILL);
                self.forget();
                Ok(())
            }
            Verb::Freeze => self.signalled(Signal::SIGSTOP),
            Verb::Thaw => self.signalled(Signal::SIGCONT),
        }
    }

    fn start(&mut self, options: &BTreeMap<String, Value>, host: &Host) -> Result<()> {
        if self.child.is_some() {
            return Err(self.failed("it runs already"));
        }
        let log = self.log_path(host);
        let output = File::create(&log).map_err(LabError::file(&log))?;
        let errors = output.try_clone().map_err(LabError::file(&log))?;
        let own = self.spec.kind != "exec";
        let mut command = if own {
            let mut merged = self.spec.options.clone();
            merged.extend(options.clone());
            let mut command = host.command("/proc/self/exe")?;
            let text = serde_json::to_string(&merged).unwrap_or_default();
            command.args([crate::ROLE_SERVER, &self.spec.kind, &text]).stdout(Stdio::piped());
            command
        } else {
            let mut command = host.command("sh")?;
            command.args(["-c", &format!("exec {}", self.spec.command)]).stdout(output);
            command
        };
        let child = command.stderr(errors).spawn().map_err(|error| self.failed(&error.to_string()))?;
        self.child = Some(child);
        let ready = if own { self.greeted() } else { self.listening(host) };
        if ready {
            Ok(())
        } else {
            Err(self.failed(&format!("not ready in time; its log ends: {}", tail(&log))))
        }
    }

    /// Own servers write one byte once they are bound.
    fn greeted(&mut self) -> bool {
        let Some(output) = self.child.as_mut().and_then(|child| child.stdout.take()) else { return false };
        let mut watch = [nix::poll::PollFd::new(output.as_fd(), nix::poll::PollFlags::POLLIN)];
        let wait = u16::try_from(READY_WAIT_MS_MAX).unwrap_or(u16::MAX);
        let _ = nix::poll::poll(&mut watch, wait);
        let mut byte = [0u8; 1];
        nix::unistd::read(&output, &mut byte) == Ok(1)
    }

    fn listening(&mut self, host: &Host) -> bool {
        let wanted: Vec<Listener> = self.spec.ready.iter().filter_map(|text| Listener::parse(text)).collect();
        let all = || wanted.iter().all(|socket| host.listens(socket.udp, socket.port));
        let alive = |child: &mut Option<Child>| {
            child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
        };
        let end = Instant::now() + Duration::from_millis(READY_WAIT_MS_MAX);
        while Instant::now() < end && alive(&mut self.child) {
            if all() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        false
    }

    /// SIGTERM, and SIGKILL for whoever of its group is left.
    fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT);
        self.signal(Signal::SIGTERM);
        let end = Instant::now() + Duration::from_millis(STOP_WAIT_MS_MAX);
        while let Some(child) = &mut self.child {
            if Instant::now() >= end || !matches!(child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        self.signal(Signal::SIGKILL);
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: Signal) {
        let _ = self.signalled(signal);
    }

    /// The whole process group: daemons have workers.
    fn signalled(&self, signal: Signal) -> Result<()> {
        let Some(child) = &self.child else { return Err(self.failed("it does not run")) };
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        killpg(group, signal).map_err(|errno| self.failed(errno.desc()))
    }

    fn log_path(&self, host: &Host) -> PathBuf {
        host.directory.join(format!("{}.log", self.spec.name))
    }

    fn failed(&self, why: &str) -> LabError {
        LabError::Service { name: self.spec.name.clone(), why: why.to_owned() }
    }
}

/// The end of a log, on one line.
pub fn tail(path: &std::path::Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_BYTES_MAX)..]).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
