//! A small scanner: `ports HOSTS PORTS [gentle|fast|max|RATE] [raw|connect] [all] [loud] [seed=N] [seconds=N] [checkpoint=FILE]`.

use netwhy_scan::{Checkpoint, Engine, Event, Hosts, Pace, Plan, Ports, Protocol, scan};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [hosts, ports, options @ ..] = &arguments[..] else {
        return Err(
            "ports HOSTS PORTS [gentle|fast|max|RATE] [raw|connect] [all] [loud] [seed=N] [seconds=N]".into(),
        );
    };
    let words: Vec<&str> = hosts.split(',').collect();
    let mut plan = Plan::new(Hosts::parse(&words, &[])?, Ports::parse(ports, Protocol::Tcp)?);
    plan.pace = Pace::Fast;
    plan.seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.subsec_nanos().into();
    for option in options {
        choose(&mut plan, option)?;
    }
    if let Some(path) = plan.checkpoint.clone().filter(|path| path.exists()) {
        let before = Checkpoint::load(&path)?;
        plan.seed = before.plan.seed;
        before.check(&plan, &path)?;
        plan.resume = Some(Arc::new(before));
    }
    let mut out = std::io::stdout().lock();
    let loud = options.iter().any(|option| option == "loud");
    let began = Instant::now();
    let summary = scan(&plan, &AtomicBool::new(false), &mut |event| {
        let written = match event {
            Event::Found(found) | Event::Revised(found) => writeln!(
                out,
                "{} {} {:?} {:?} ttl {:?} {:?}",
                found.host, found.port, found.state, found.reason, found.ttl, found.rtt
            ),
            Event::Notice(notice) => writeln!(out, "{:?} {notice:?}", began.elapsed()),
            Event::Progress(progress) if loud => writeln!(out, "{:?} {progress:?}", began.elapsed()),
            Event::Progress(_) => Ok(()),
        };
        // Whoever reads us may have gone.
        let _ = written;
    })?;
    writeln!(out, "{summary:#?}")?;
    Ok(())
}

fn choose(plan: &mut Plan, option: &str) -> Result<(), Box<dyn Error>> {
    match option.split_once('=').unwrap_or((option, "")) {
        ("gentle", _) => plan.pace = Pace::Gentle,
        ("fast", _) => plan.pace = Pace::Fast,
        ("max", _) => plan.pace = Pace::Max,
        ("raw", _) => plan.engine = Engine::Raw,
        ("connect", _) => plan.engine = Engine::Connect,
        ("all", _) => plan.all = true,
        ("loud", _) => {}
        ("seed", seed) => plan.seed = seed.parse()?,
        ("source", source) => plan.source = Some(source.parse()?),
        ("interface", name) => plan.interface = Some(name.to_owned()),
        ("jitter", milliseconds) => plan.jitter = Some(Duration::from_millis(milliseconds.parse()?)),
        ("seconds", seconds) => plan.max_duration = Some(Duration::from_secs_f64(seconds.parse()?)),
        ("checkpoint", path) => plan.checkpoint = Some(path.into()),
        (rate, _) => plan.pace = Pace::Rate(rate.parse()?),
    }
    Ok(())
}
