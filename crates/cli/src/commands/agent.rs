//! `netwhy agent`: lets clients with a certificate of its own authority look at this host.

use crate::failure::while_trying;
use crate::{Common, fail, print, warn};
use anyhow::Result;
use netwhy_ends::{
    Agent, AgentCredentials, AgentEvent, AgentLimits, HostEyes, Issue, Privileges, Runner, drop_privileges,
    issue,
};
use netwhy_engine::EngineRunner;
use netwhy_model::Lang;
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub(crate) const EXAMPLES: &str = "\
On the host that is to be looked at:
  netwhy agent init /etc/netwhy-agent --name origin.example --address 203.0.113.7
  netwhy agent --agent-dir /etc/netwhy-agent --listen 203.0.113.7:7373

On the host that asks, with ca.pem, client.pem and client.key copied to ~/agent:
  netwhy https://shop.example/ --at origin=agent://origin.example --agent-dir ~/agent

Whoever has no certificate of this authority gets no answer to anything. Those inside may only look; with
--allow-run they may also have this host probe targets of their choice. Before it listens the agent gives up
every privilege that looking does not need. It ends at Ctrl-C or SIGTERM.";

pub(crate) const INIT_EXAMPLES: &str = "\
Examples:
  netwhy agent init agent --name origin.example
  netwhy agent init agent --address 203.0.113.7 --client alice --client bob --days 90

Writes ca.pem, agent.pem and agent.key, which stay with the agent, and NAME.pem and NAME.key for each client, which
also gets ca.pem. Keys are readable by their owner only. The authority's own key is kept nowhere: to change anything,
make a new set. Nothing is overwritten.";

/// How to listen, and what to allow.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The address to listen at
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7373")]
    listen: SocketAddr,
    #[command(flatten)]
    files: Files,
    /// Also run cases for clients: this host then probes targets they choose
    #[arg(long)]
    allow_run: bool,
    /// Let watches trace rules and drops: a trace of the watched packets is set up, and removed when the watch ends; the asking host is sent three echo requests
    #[arg(long)]
    allow_trace: bool,
    /// Sessions at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// What was made ready while there was one thread.
    #[arg(skip)]
    ready: Option<Ready>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the certificates of an agent and of its clients
    Init(InitArgs),
}

/// Whom certificates are for.
#[derive(Debug, clap::Args)]
#[command(after_help = INIT_EXAMPLES)]
struct InitArgs {
    /// The directory to write to
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// A host name clients will write after agent://
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    /// An address clients will write after agent://
    #[arg(long, value_name = "ADDR")]
    address: Vec<IpAddr>,
    /// A client to make a certificate for
    #[arg(long, value_name = "NAME", default_value = "client")]
    client: Vec<String>,
    /// Days until they expire
    #[arg(long, value_name = "N", default_value_t = 365)]
    days: u32,
}

/// Where certificates are, for an agent and for those who ask it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Files {
    /// Directory with the certificates for agents, as `netwhy agent init` made it
    #[arg(
        long,
        value_name = "DIR",
        env = "NETWHY_AGENT_DIR",
        hide_env_values = true,
        help_heading = "Certificates for agents"
    )]
    pub agent_dir: Option<PathBuf>,
    /// PEM file with the certificate to show, instead of the one in that directory
    #[arg(long, value_name = "FILE", help_heading = "Certificates for agents")]
    agent_cert: Option<PathBuf>,
    /// PEM file with its key
    #[arg(long, value_name = "FILE", help_heading = "Certificates for agents")]
    agent_key: Option<PathBuf>,
    /// PEM file with the authority that signed both sides' certificates
    #[arg(long, value_name = "FILE", help_heading = "Certificates for agents")]
    agent_ca: Option<PathBuf>,
}

impl Files {
    /// The client's files; none when nothing names them.
    pub(crate) fn of_client(&self) -> Option<AgentCredentials> {
        self.credentials(AgentCredentials::in_directory)
    }

    fn of_agent(&self) -> Option<AgentCredentials> {
        self.credentials(AgentCredentials::of_agent)
    }

    /// Single files win over the directory.
    fn credentials(&self, in_directory: fn(&Path) -> AgentCredentials) -> Option<AgentCredentials> {
        let whole = self.agent_dir.as_deref().map(in_directory);
        let one = |single: &Option<PathBuf>, of: fn(&AgentCredentials) -> &PathBuf| {
            single.clone().or_else(|| whole.as_ref().map(|files| of(files).clone()))
        };
        Some(AgentCredentials {
            authority: one(&self.agent_ca, |files| &files.authority)?,
            certificate: one(&self.agent_cert, |files| &files.certificate)?,
            key: one(&self.agent_key, |files| &files.key)?,
        })
    }
}

/// An agent that has its port and has given up what it does not need.
struct Ready {
    agent: Agent,
    listener: TcpListener,
    left: Privileges,
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("listener", &self.listener)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Args {
    /// Opens what needs privileges, then gives them up: for all threads, so before there is a second one.
    pub(crate) fn make_ready(&mut self) -> Result<()> {
        if self.command.is_some() {
            return Ok(());
        }
        let files = self.files.of_agent().ok_or_else(|| {
            fail(
                ("the agent has no certificates", "代理没有证书"),
                (
                    "make them with netwhy agent init DIR --name HOST, then give --agent-dir DIR",
                    "用 netwhy agent init DIR --name HOST 生成，再给出 --agent-dir DIR",
                ),
            )
        })?;
        let count = usize::from(self.connections);
        let limits =
            AgentLimits { connection_count_max: count, trace: self.allow_trace, ..AgentLimits::default() };
        let runner = self.allow_run.then(|| Arc::new(EngineRunner) as Arc<dyn Runner>);
        let agent = Agent::new(&files, Arc::new(HostEyes), runner, limits)?;
        let listen = self.listen;
        let listener = TcpListener::bind(listen).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = listener.map_err(|error| {
            while_trying((format!("cannot listen at {listen}"), format!("无法在 {listen} 监听")), error)
        })?;
        let left = drop_privileges(self.allow_trace)
            .map_err(|error| while_trying(("cannot give up privileges", "无法放弃特权"), error))?;
        self.ready = Some(Ready { agent, listener, left });
        Ok(())
    }
}

/// Makes certificates, or listens until told to end.
pub async fn run(args: Args, common: &Common) -> Result<u8> {
    if let Some(Command::Init(args)) = args.command {
        return init(args, common);
    }
    let Some(Ready { agent, listener, left }) = args.ready else {
        return Err(fail(("the agent was not made ready", "代理未准备好"), ("report this", "请报告此问题")));
    };
    warn(&opening(listener.local_addr()?, args.allow_run, &left, common.lang));
    let (tell, stop) = watch::channel(false);
    let (lang, listener) = (common.lang, tokio::net::TcpListener::from_std(listener)?);
    let mut listening = std::pin::pin!(agent.listen(listener, stop, move |event| warn(&line(&event, lang))));
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        () = listening.as_mut() => return Ok(0),
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    let _ = tell.send(true);
    listening.await;
    Ok(0)
}

/// The first line of the log.
fn opening(address: SocketAddr, runs: bool, left: &Privileges, lang: Lang) -> String {
    let kept = if left.kept.is_empty() { lang.pick("none", "无").to_owned() } else { left.kept.join(" ") };
    let does = match runs {
        true => lang.pick("looks, and runs cases for clients", "查看，并为客户端运行案例"),
        false => lang.pick("only looks", "只查看"),
    };
    let files = match left.read_only {
        true => lang.pick("all file systems read-only", "所有文件系统只读"),
        false => lang.pick("file systems as its user may", "文件系统权限同其用户"),
    };
    let (listens, keeps) = (
        lang.pick("netwhy agent listens at", "netwhy 代理监听于"),
        lang.pick("privileges kept", "保留的特权"),
    );
    format!("{listens} {address} · {does} · {files} · {keeps}: {kept}")
}

/// One line of the log.
fn line(event: &AgentEvent, lang: Lang) -> String {
    match event {
        AgentEvent::Refused { peer, why, untold } => {
            let others = match untold {
                0 => String::new(),
                _ => format!(
                    " ({} {untold} {})",
                    lang.pick("and", "另有"),
                    lang.pick("more before it", "次在其之前")
                ),
            };
            format!("{peer} {}: {why}{others}", lang.pick("refused", "被拒绝"))
        }
        AgentEvent::Opened { peer, subject } => {
            format!("{peer} {} · {subject}", lang.pick("came in", "进入"))
        }
        AgentEvent::Closed { peer, subject, after_ms, why } => {
            let after = *after_ms as f64 / 1000.0;
            let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            format!("{peer} {} · {subject} · {after:.1} s{why}", lang.pick("left", "离开"))
        }
    }
}

fn init(args: InitArgs, common: &Common) -> Result<u8> {
    if args.name.is_empty() && args.address.is_empty() {
        return Err(fail(
            ("nothing says how clients will call this agent", "没有说明客户端如何称呼此代理"),
            (
                "give --name HOST or --address ADDR, as it will stand after agent://",
                "请给出 --name HOST 或 --address ADDR，即 agent:// 之后所写的",
            ),
        ));
    }
    let InitArgs { directory, name, address, client, days } = args;
    let paths = issue(&directory, &Issue { names: name, addresses: address, clients: client, days })?;
    if common.json {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        print(&format!("{}\n", serde_json::to_string(&paths)?))?;
        return Ok(0);
    }
    for path in paths {
        print(&format!("{}\n", netwhy_report::clean(&path.display().to_string())))?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_files_win_over_the_directory() {
        let mut files = Files { agent_dir: Some("/d".into()), ..Files::default() };
        assert_eq!(files.of_client().unwrap().certificate, Path::new("/d/client.pem"));
        assert_eq!(files.of_agent().unwrap().key, Path::new("/d/agent.key"));
        files.agent_cert = Some("/x/alice.pem".into());
        files.agent_key = Some("/x/alice.key".into());
        let mixed = files.of_client().unwrap();
        assert_eq!(
            (mixed.certificate.as_path(), mixed.authority.as_path()),
            (Path::new("/x/alice.pem"), Path::new("/d/ca.pem"))
        );
        files.agent_dir = None;
        assert!(files.of_client().is_none(), "no authority is named");
    }
}
