//! `netwhy demo`: a small network, three faults, three verdicts; needs nothing but this program.

use super::lab::{Teller, play};
use crate::{Common, print};
use netwhy_lab::{LabError, Measured, Phase};
use netwhy_model::Lang;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How long one diagnosis may take without namespaces, in seconds.
const ASK_S_MAX: u64 = 60;

pub(crate) const EXAMPLES: &str = "\
Builds a client, a router, a resolver and a web server in namespaces of its own, all served by netwhy itself;
lets the certificate expire, kills the server, hangs the resolver; says after each what netwhy finds, mends it
and asks again. Touches nothing else and leaves nothing behind. For more faults: netwhy lab list";

/// Nothing to choose.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// The story of each act, by its name: English, Chinese.
const STORIES: [(&str, &str, &str); 3] = [
    ("certificate", "1. The certificate of the shop expires.", "1. 商店的证书过期了。"),
    ("service", "2. The web server is killed.", "2. Web 服务进程被杀死。"),
    ("resolver", "3. The resolver hangs.", "3. 解析器挂起。"),
];

/// Plays the demo; 0 when netwhy named every fault.
pub async fn run(_args: Args, common: Common) -> anyhow::Result<u8> {
    let teller = Teller { common: &common, silent: common.json, stories: &STORIES };
    let lang = common.lang;
    teller.paragraph(lang.pick(
        "A small network is built inside this machine: client, router, resolver, server. Then it breaks.",
        "将在本机内部搭建一个小网络：客户端、路由器、解析器、服务器，然后让它出故障。",
    ))?;
    let mut script = netwhy_lab::demo()?;
    script.arguments = language_arguments(lang);
    let broken = match play(&script, &teller).await {
        Ok(played) => played.broken,
        Err(error) if matches!(error.downcast_ref(), Some(LabError::NeedsRoot(_))) => {
            explain_the_fallback(&error, lang);
            loopback(&teller).await?
        }
        Err(error) => return Err(error),
    };
    teller.paragraph(lang.pick(
        "Now your own target:\n  netwhy https://your.site/\n  netwhy your.host:22\n\
         More faults to learn from: netwhy lab list",
        "现在诊断你自己的目标：\n  netwhy https://your.site/\n  netwhy your.host:22\n更多可学习的故障：netwhy lab list",
    ))?;
    if common.json {
        print(&netwhy_report::to_json(&broken, true)?)?;
    }
    Ok(u8::from(!broken.iter().all(names_a_cause)))
}

fn language_arguments(lang: Lang) -> Vec<String> {
    vec!["--lang".into(), lang.pick("en", "zh").into()]
}

fn names_a_cause(measured: &Measured) -> bool {
    measured.verdict.as_ref().and_then(|verdict| verdict.pointer("/causes/0/id")).is_some()
}

fn explain_the_fallback(error: &anyhow::Error, lang: Lang) {
    let on = lang.pick("; the demo goes on over loopback alone", "；演示改为仅在回环上进行");
    crate::failure::note(error, on, lang);
}

/// Two faults that need no namespace: a port nobody listens on, and plain text where TLS is due.
async fn loopback(teller: &Teller<'_>) -> anyhow::Result<Vec<Measured>> {
    let lang = teller.common.lang;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    drop(listener);
    teller.heading(lang.pick("1. Nobody listens on this port.", "1. 该端口上没有进程监听。"))?;
    let mut measured = vec![ask(&format!("tcp://127.0.0.1:{port}"), teller).await?];

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    teller.heading(
        lang.pick("2. A server speaks plain text where TLS is due.", "2. 应当使用 TLS 的端口在说明文。"),
    )?;
    let server = tokio::spawn(speak_plainly(listener));
    measured.push(ask(&format!("https://127.0.0.1:{port}/"), teller).await?);
    server.abort();
    Ok(measured)
}

async fn speak_plainly(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0u8; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        });
    }
}

/// Runs this program on one target, as the lab does inside its walls.
async fn ask(target: &str, teller: &Teller<'_>) -> anyhow::Result<Measured> {
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.arg("--json").args(language_arguments(teller.common.lang)).arg(target).stdin(Stdio::null());
    let started = Instant::now();
    let output =
        tokio::time::timeout(Duration::from_secs(ASK_S_MAX), command.kill_on_drop(true).output()).await??;
    let measured = Measured {
        verdict: serde_json::from_slice(&output.stdout).ok(),
        exit: output.status.code().unwrap_or(-1),
        wall_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        memory_kib: 0,
        complaint: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        saved: None,
        command: format!("netwhy {target}"),
    };
    teller.measured(Phase::Broken, &measured)?;
    Ok(measured)
}
