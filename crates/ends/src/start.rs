//! Starts netwhy at a place and gives the two streams to speak with it.

mod child;
mod greeting;
mod netns;
mod program;

pub(crate) use child::{Keeper, Said, Spawner};
pub(crate) use program::Program;

use crate::ends::OpenOptions;
use crate::error::EndError;
use crate::line::Lines;
use crate::place::Place;
use crate::session::MESSAGE_BYTES_MAX;
use crate::words;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::Command;

/// Seconds OpenSSH waits for its connection.
const SSH_CONNECT_S: u32 = 10;

/// A stream read from.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// A stream written to.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Netwhy as it was started: everything read from now on is the protocol.
pub(crate) struct Started {
    pub(crate) lines: Lines<Reader>,
    pub(crate) writer: Writer,
    pub(crate) said: Option<Said>,
    pub(crate) keeper: Option<Keeper>,
    /// The copy arrived, and nothing over there could compute its hash.
    pub(crate) unchecked: bool,
}

impl Started {
    /// Over streams that need no process.
    pub(crate) fn over(reader: Reader, writer: Writer) -> Started {
        let lines = Lines::new(reader, MESSAGE_BYTES_MAX);
        Started { lines, writer, said: None, keeper: None, unchecked: false }
    }
}

/// Starts a helper by OpenSSH's client.
pub(crate) async fn by_ssh(
    place: &Place,
    options: &OpenOptions,
    spawner: &Arc<Spawner>,
    program: &Arc<Program>,
) -> Result<Started, EndError> {
    let Place::Ssh { user, host, port } = place else { return Err(EndError::Unexpected) };
    let bootstrap = greeting::Bootstrap::new(program)?;
    let ssh = options.ssh_program.as_deref().unwrap_or("ssh");
    let mut command = Command::new(ssh);
    // The first value of an option counts: what the user gave stands before ours.
    command.args(&options.ssh_options).arg("-T");
    for option in [
        "BatchMode=yes",
        &format!("ConnectTimeout={SSH_CONNECT_S}"),
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "Compression=yes",
        // A master left behind would outlive us, forwarded ports may be taken by the user's own session.
        "ControlMaster=no",
        "ClearAllForwardings=yes",
        "RemoteCommand=none",
        "PermitLocalCommand=no",
        "StdinNull=no",
        "ForkAfterAuthentication=no",
    ] {
        command.args(["-o", option]);
    }
    if let Some(user) = user {
        command.args(["-l", user]);
    }
    if let Some(port) = port {
        command.args(["-p", &port.to_string()]);
    }
    // The shell over there splits one text into words again.
    command.args(["--", host, &words::join(&bootstrap.words())]);
    bootstrap.start(command, ssh, spawner).await
}

/// Starts a helper by a command prefix.
pub(crate) async fn by_prefix(
    prefix: &[String],
    spawner: &Arc<Spawner>,
    program: &Arc<Program>,
) -> Result<Started, EndError> {
    let Some((first, rest)) = prefix.split_first() else { return Err(EndError::Unexpected) };
    let bootstrap = greeting::Bootstrap::new(program)?;
    let mut command = Command::new(first);
    command.args(rest).args(bootstrap.words());
    bootstrap.start(command, first, spawner).await
}

/// Starts a helper in a network namespace of this host, without a shell.
pub(crate) async fn in_netns(
    name: &str,
    spawner: &Arc<Spawner>,
    program: &Arc<Program>,
) -> Result<Started, EndError> {
    let mut command = Command::new(program.path());
    command.arg0("netwhy").arg("end-stdio");
    netns::enter(&mut command, name)?;
    let child = spawner.spawn(command, "netwhy").await?;
    Ok(Started {
        lines: Lines::new(child.reader, MESSAGE_BYTES_MAX),
        writer: child.writer,
        said: Some(child.said),
        keeper: Some(child.keeper),
        unchecked: false,
    })
}
