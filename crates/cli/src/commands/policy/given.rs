//! What is known besides the files, as words of the command line.

use crate::fail;
use anyhow::Result;
use netwhy_policy::balancer::Known;
use netwhy_policy::world::{Given, Role};
use netwhy_policy::zero_trust::Facts;

#[derive(Debug, Default, clap::Args)]
pub(super) struct Words {
    /// What is known of who asks, for zero-trust conditions: identity, group, mfa, device.KEY, time, country …; may be repeated
    #[arg(long = "fact", value_name = "KEY=VALUE")]
    facts: Vec<String>,
    /// A TCP port that a host listens on; those named of a host are taken for all it has
    #[arg(long, value_name = "HOST:PORT")]
    listening: Vec<String>,
    /// What a member of a balancer answers: 10.0.0.5:8080/health=200, 10.0.0.5:8080/=302>/login; * is any member
    #[arg(long, value_name = "HOST:PORT/PATH=CODE")]
    answers: Vec<String>,
}

impl Words {
    pub(super) fn given(&self, role: Option<Role>) -> Result<Given> {
        let mut known = Known::default();
        for text in &self.listening {
            known.listens(text).ok_or_else(|| no(text, "HOST:PORT", "--listening 10.0.0.5:8080"))?;
        }
        for text in &self.answers {
            let example = "--answers 10.0.0.5:8080/health=200";
            known.answer(text).ok_or_else(|| no(text, "HOST:PORT/PATH=CODE", example))?;
        }
        for text in &self.facts {
            let pair = text.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
            pair.ok_or_else(|| no(text, "KEY=VALUE", "--fact mfa=true"))?;
        }
        Ok(Given { role, facts: Facts::parse(self.facts.iter().map(String::as_str)), known })
    }
}

/// A word that is not of its form.
fn no(text: &str, form: &str, example: &str) -> anyhow::Error {
    fail(
        (format!("{text:?} is no {form}"), format!("{text:?} 不是 {form}")),
        (format!("write {example}"), format!("写作 {example}")),
    )
}
