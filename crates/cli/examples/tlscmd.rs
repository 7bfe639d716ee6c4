//! Scratch.
#![allow(clippy::all, clippy::unwrap_used, dead_code, clippy::print_stdout, unused_imports)]
#[path = "../src/commands/tls.rs"]
mod tls;
use clap::Parser;
use netwhy_model::Lang;
pub struct Common {
    pub lang: Lang,
    pub json: bool,
    pub color: bool,
    pub unicode: bool,
}
pub fn fail(a: impl Into<String>, b: impl Into<String>) -> anyhow::Error {
    anyhow::anyhow!("{} hint: {}", a.into(), b.into())
}
pub fn print(t: &str) -> anyhow::Result<()> {
    print!("{t}");
    Ok(())
}
#[derive(Parser)]
struct C {
    #[command(flatten)]
    a: tls::Args,
    #[arg(long)]
    json: bool,
    #[arg(long)]
    zh: bool,
}
#[tokio::main]
async fn main() {
    let c = C::parse();
    let common =
        Common { lang: if c.zh { Lang::Zh } else { Lang::En }, json: c.json, color: false, unicode: true };
    match tls::run(c.a, &common).await {
        Ok(n) => println!("exit {n}"),
        Err(e) => println!("error {e:#}"),
    }
}
