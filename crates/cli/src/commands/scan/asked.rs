//! From the words of the command line to a plan: everything is understood before anything is sent.

use super::compare::Wanted;
use super::targets::{self, Targets};
use super::{Args, PaceFlags};
use crate::fail;
use anyhow::Result;
use netwhy_model::{Limits, Source};
use netwhy_scan::{Checkpoint, Engine, LookFor, Pace, Plan, Ports, Protocol, Shard};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// TCP ports asked when none are named.
const TCP_COUNT_DEFAULT: u32 = 1000;
/// UDP ports asked when none are named: those with questions of their own.
const UDP_COUNT_DEFAULT: u32 = 100;

/// A plan, and what its results are held against.
pub(super) struct Asked {
    pub plan: Plan,
    pub names: BTreeMap<IpAddr, String>,
    pub wanted: Wanted,
    /// No ports were named.
    pub default_ports: bool,
    /// The pace was chosen by what the addresses are.
    pub default_pace: bool,
}

/// Reads all of it; names are resolved.
pub(super) async fn read(args: &Args) -> Result<Asked> {
    let source = args.way.source(args.family.number(), Vec::new())?;
    let protocol = if args.udp { Protocol::Udp } else { Protocol::Tcp };
    let resumed = args.resume.as_deref().map(Checkpoint::load).transpose()?;
    let (mut asked, only_name) = match (&resumed, args.hosts.is_empty()) {
        (Some(checkpoint), true) => (of_checkpoint(args, checkpoint)?, None),
        _ => of_words(args, protocol, &source, resumed.as_ref()).await?,
    };
    let plan = &mut asked.plan;
    pace(&args.pace, plan, &mut asked.default_pace)?;
    plan.engine = match (args.pace.raw, args.pace.connect) {
        (true, _) => Engine::Raw,
        (_, true) => Engine::Connect,
        _ => Engine::Best,
    };
    plan.look = args.services.then_some(LookFor { name: only_name, ..LookFor::default() });
    // What is compared or counted by host must be told, shown or not.
    plan.all = args.all || asked.wanted.is_some() || args.outputs.need_all();
    plan.source = source.address;
    plan.interface = source.interface;
    plan.checkpoint = args.checkpoint.clone().or_else(|| args.resume.clone());
    if let (Some(checkpoint), Some(path)) = (resumed, &args.resume) {
        checkpoint.check(plan, path)?;
        plan.resume = Some(Arc::new(checkpoint));
    }
    if let Some(path) = &args.checkpoint {
        check_checkpoint(path, plan)?;
    }
    Ok(asked)
}

/// Hosts and ports as written.
async fn of_words(
    args: &Args,
    protocol: Protocol,
    source: &Source,
    resumed: Option<&Checkpoint>,
) -> Result<(Asked, Option<String>)> {
    let wanted = Wanted::read(&args.expect, args.diff.as_deref(), protocol)?;
    let ports = ports(args, protocol, wanted.open())?;
    wanted.check(&ports)?;
    let shard = args.shard.as_deref().map(Shard::parse).transpose()?.unwrap_or_default();
    let Targets { hosts, names, only_name } = targets::read(&args.hosts, &args.exclude, source).await?;
    let mut plan = Plan::new(hosts, ports);
    plan.shard = shard;
    plan.seed = match (args.seed, resumed, &args.shard) {
        (Some(seed), ..) => seed,
        (None, Some(checkpoint), _) => checkpoint.plan.seed,
        // Parts of one scan must agree on the order, or pairs are asked twice and others never.
        (None, None, Some(_)) => 0,
        (None, None, None) => random_seed(),
    };
    let default_ports = args.ports.is_none() && args.top.is_none();
    Ok((Asked { plan, names, wanted, default_ports, default_pace: false }, only_name))
}

/// Hosts and ports of a stopped scan.
fn of_checkpoint(args: &Args, checkpoint: &Checkpoint) -> Result<Asked> {
    let given = [
        ("--ports", args.ports.is_some()),
        ("--top", args.top.is_some()),
        ("--exclude", !args.exclude.is_empty()),
        ("--exclude-ports", args.exclude_ports.is_some()),
        ("--shard", args.shard.is_some()),
        ("--seed", args.seed.is_some()),
        ("--udp", args.udp),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        return Err(fail(
            (format!("{flag} and --resume do not go together"), format!("{flag} 与 --resume 不能同用")),
            (
                "a stopped scan goes on with its own hosts and ports; leave it out",
                "中断的扫描沿用自己的主机与端口；请去掉它",
            ),
        ));
    }
    let of = &checkpoint.plan;
    let wanted = Wanted::read(&args.expect, args.diff.as_deref(), of.protocol())?;
    let mut plan = Plan::new(of.hosts(), of.ports());
    wanted.check(&plan.ports)?;
    plan.shard = of.shard();
    plan.seed = of.seed;
    Ok(Asked { plan, names: BTreeMap::new(), wanted, default_ports: false, default_pace: false })
}

/// The ports named, or the commonest; those expected open are asked in any case where none were named.
fn ports(args: &Args, protocol: Protocol, expected: &[u16]) -> Result<Ports> {
    let commonest = match protocol {
        Protocol::Tcp => TCP_COUNT_DEFAULT,
        Protocol::Udp => UDP_COUNT_DEFAULT,
    };
    let named = match (&args.ports, args.top) {
        (Some(text), _) => Ports::parse(text, protocol).map_err(|error| error.of_flag("--ports"))?,
        (None, Some(count)) => Ports::top(count, protocol).map_err(|error| error.of_flag("--top"))?,
        (None, None) => {
            let top = Ports::top(commonest, protocol)?;
            Ports::of(top.iter().chain(expected.iter().copied()).collect(), protocol)
        }
    };
    let Some(text) = &args.exclude_ports else { return Ok(named) };
    let flag = "--exclude-ports";
    if text.trim().is_empty() {
        let fault = netwhy_scan::InputFault::EmptyExclusion;
        return Err(netwhy_scan::InputError { place: format!("{flag} \"\""), fault }.into());
    }
    let excluded = Ports::parse(text, protocol).map_err(|error| error.of_flag(flag))?;
    Ok(named.without(&excluded).map_err(|error| error.of_flag(flag))?)
}

fn pace(flags: &PaceFlags, plan: &mut Plan, is_default: &mut bool) -> Result<()> {
    plan.pace = match (&flags.rate, flags.gentle, flags.fast) {
        (Some(text), ..) => rate(text)?,
        (None, true, _) => Pace::Gentle,
        (None, _, true) => Pace::Fast,
        (None, false, false) => {
            *is_default = true;
            if plan.hosts.first_public().is_some() { Pace::Gentle } else { Pace::Fast }
        }
    };
    let time = |text: &Option<String>| -> Result<Option<Duration>> {
        let Some(text) = text else { return Ok(None) };
        Ok(Some(Duration::from_millis(Limits::parse_ms(text)?)))
    };
    plan.jitter = time(&flags.jitter)?.filter(|jitter| !jitter.is_zero());
    plan.max_duration = time(&flags.max_duration)?;
    Ok(())
}

/// Reads `500`, `20k`, `1M` or `max`.
fn rate(text: &str) -> Result<Pace> {
    if text.eq_ignore_ascii_case("max") {
        return Ok(Pace::Max);
    }
    let (digits, times) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
    match number.and_then(|number| number.checked_mul(times)).filter(|&rate| rate > 0) {
        Some(rate) => Ok(Pace::Rate(rate)),
        None => Err(fail(
            (format!("{text:?} is not a value of --rate"), format!("{text:?} 不是 --rate 的值")),
            ("packets a second, such as 500, 20k or max", "写每秒报文数，如 500、20k 或 max"),
        )),
    }
}

/// Another order each time; readers of JSON keep numbers up to 53 bits.
fn random_seed() -> u64 {
    RandomState::new().hash_one(std::process::id()) >> 11
}

/// Refuses a checkpoint where one is, or of more than it can keep.
fn check_checkpoint(path: &Path, plan: &Plan) -> Result<()> {
    let shown = path.display();
    if path.exists() {
        return Err(fail(
            (format!("--checkpoint {shown} is there already"), format!("--checkpoint {shown} 已存在")),
            (
                format!("go on from it with --resume {shown}, or remove it"),
                format!("以 --resume {shown} 从中继续，或删除它"),
            ),
        ));
    }
    if !plan.fits_checkpoint() {
        let (hosts, ports) = (plan.hosts.len(), plan.ports.len());
        return Err(fail(
            (
                format!("hosts: {hosts}, ports of each: {ports}; more than a checkpoint keeps in mind"),
                format!("{hosts} 台主机，每台 {ports} 个端口：超出检查点所能记录"),
            ),
            (
                "cut the hosts or ports into several scans, or leave --checkpoint out",
                "把主机或端口分成几次扫描，或去掉 --checkpoint",
            ),
        ));
    }
    Ok(())
}

/// Starts the checkpoint of a scan that is about to begin, so that a slip shows before anything is sent.
pub(super) fn start_checkpoint(args: &Args, plan: &Plan) -> Result<()> {
    match &args.checkpoint {
        Some(path) => Ok(Checkpoint::start(plan).save(path)?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(args: &Args) -> Result<Asked> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(read(args))
    }

    fn args(host: &str) -> Args {
        Args { hosts: vec![host.to_owned()], ..Args::default() }
    }

    #[test]
    fn gentle_is_the_default_against_public_addresses() {
        let pace = |host: &str| {
            let asked = asked(&args(host)).unwrap();
            (asked.plan.pace, asked.default_pace)
        };
        assert_eq!(pace("10.0.0.0/24"), (Pace::Fast, true));
        assert_eq!(pace("203.0.113.7"), (Pace::Gentle, true));
        let mut fast = args("203.0.113.7");
        fast.pace.fast = true;
        assert_eq!(asked(&fast).unwrap().plan.pace, Pace::Fast);
    }

    #[test]
    fn rates_are_read() {
        assert_eq!(rate("500").unwrap(), Pace::Rate(500));
        assert_eq!(rate("20k").unwrap(), Pace::Rate(20_000));
        assert_eq!(rate("MAX").unwrap(), Pace::Max);
        for text in ["0", "", "k", "-1", "+5", "1.5", "99999999999999999999", "soon"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_ought_to_be_open_is_asked() {
        let mut expecting = args("10.0.0.2");
        expecting.expect = vec!["open=47123".into()];
        let ours = asked(&expecting).unwrap();
        assert!(ours.plan.ports.contains(47_123) && ours.plan.all && ours.default_ports);
        expecting.ports = Some("1-100".into());
        assert!(asked(&expecting).is_err());
    }

    #[test]
    fn a_stopped_scan_goes_on_with_its_own_plan() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scan.ckpt");
        let mut first = args("10.0.0.0/30");
        first.ports = Some("1-100".into());
        first.checkpoint = Some(path.clone());
        let flags = first;
        let first = asked(&flags).unwrap().plan;
        assert!(!path.exists(), "nothing is written before the user agreed");
        start_checkpoint(&flags, &first).unwrap();
        let resume = Args { resume: Some(path.clone()), ..Args::default() };
        let again = asked(&resume).unwrap().plan;
        assert_eq!((&again.hosts, &again.ports, again.seed), (&first.hosts, &first.ports, first.seed));
        assert!(again.resume.is_some() && again.checkpoint == Some(path.clone()));

        let other = Args { hosts: vec!["10.0.0.9".into()], ..resume.clone() };
        assert!(asked(&other).is_err_and(|error| error.to_string().contains("another scan")));
        let flagged = Args { top: Some(5), ..resume };
        assert!(asked(&flagged).is_err());
        let mut twice = args("10.0.0.0/30");
        twice.checkpoint = Some(path);
        assert!(asked(&twice).is_err_and(|error| error.to_string().contains("already")));
    }
}
