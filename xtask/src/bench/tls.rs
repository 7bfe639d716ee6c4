//! The TLS matrix of one loopback server, beside the scanners people use for it.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the figures lie until the page is written.
pub const FIGURES: &str = "target/bench-tls.json";
/// Runs of each tool.
const RUNS_COUNT: usize = 7;
/// How long nginx may take to listen, in milliseconds.
const READY_MS_MAX: u64 = 5_000;

/// One tool and the median of its runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Figure {
    pub tool: String,
    pub runs: usize,
    /// In milliseconds.
    pub median_ms: f64,
}

/// Measures on nginx with TLS 1.2 and 1.3 on 127.0.0.1; `slow` adds testssl.sh, once.
pub fn run(root: &Path, program: &Path, slow: bool) -> Result<()> {
    let folder = root.join("target/bench-tls");
    fs::create_dir_all(&folder).context("making the work directory")?;
    let port = free_port()?;
    let mut server = serve(&folder, port)?;
    let figures = measure(program, port, slow);
    // The server is ours; whether it was still there does not matter.
    let _ = server.kill();
    let _ = server.wait();
    let text = serde_json::to_string_pretty(&figures?)?;
    fs::write(root.join(FIGURES), text).with_context(|| format!("writing {FIGURES}"))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("finding a free port")?.local_addr()?.port())
}

/// A self-signed certificate and nginx in the foreground.
fn serve(folder: &Path, port: u16) -> Result<Child> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=bench.example.test", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .context("running openssl")?;
    if !made.success() {
        bail!("openssl made no certificate");
    }
    let text = format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;\nevents {{}}\nhttp {{ access_log off;\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;\n\
         ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem; return 204; }} }}\n",
        folder.display()
    );
    fs::write(folder.join("nginx.conf"), text).context("writing nginx.conf")?;
    let mut server = Command::new("nginx")
        .arg("-p")
        .arg(folder)
        .args(["-e", "error.log", "-c", "nginx.conf"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting nginx")?;
    let end = Instant::now() + Duration::from_millis(READY_MS_MAX);
    while Instant::now() < end {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(server);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = server.kill();
    let _ = server.wait();
    bail!("nginx did not listen")
}

fn measure(program: &Path, port: u16, slow: bool) -> Result<Vec<Figure>> {
    let at = format!("127.0.0.1:{port}");
    let netwhy = program.display().to_string();
    let mut tools: Vec<(&str, Vec<&str>, usize)> = vec![
        ("netwhy tls --matrix", vec![&netwhy, "tls", &at, "--matrix", "--json"], RUNS_COUNT),
        ("sslscan", vec!["sslscan", "--no-colour", &at], RUNS_COUNT),
    ];
    if slow {
        tools.push(("testssl.sh", vec!["testssl", "--quiet", "--color", "0", "--warnings", "batch", &at], 1));
    }
    let mut figures = Vec::new();
    for (tool, words, runs) in tools {
        let mut times = Vec::new();
        for _ in 0..runs {
            let started = Instant::now();
            let ran = Command::new(words[0])
                .args(&words[1..])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            match ran {
                Ok(_) => times.push(started.elapsed().as_secs_f64() * 1000.0),
                Err(_) => break,
            }
        }
        times.sort_by(f64::total_cmp);
        if let Some(median_ms) = times.get(times.len() / 2).copied() {
            figures.push(Figure { tool: tool.to_owned(), runs: times.len(), median_ms });
        }
    }
    Ok(figures)
}
