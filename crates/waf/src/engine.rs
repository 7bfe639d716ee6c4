//! Runs the rules of phases 1 and 2 over a request, as ModSecurity 3 does.

mod act;
mod memory;
mod run;

pub(crate) use run::recommended;

use crate::answer::{Answer, By, Verdict};
use crate::facts::Dialect;
use crate::place::{Unread, both};
use crate::request::Request;
use crate::rule::Rule;
use crate::seclang::{File, Library, Set};
use netwhy_model::Text;
use std::sync::Arc;

/// How many variables a caller may set before the rules run.
pub const PRESETS_COUNT_MAX: usize = 10_000;

/// A firewall: its rules, and how it is set up.
#[derive(Debug, Clone, Default)]
pub struct Waf {
    pub(crate) set: Set,
    /// Members of TX that are set before the first rule, such as `blocking_paranoia_level`.
    presets: Vec<(String, String)>,
    dialect: Dialect,
}

impl Waf {
    /// Reads the rules of some files, in that order.
    pub fn load(files: &[File], library: &dyn Library) -> Waf {
        Waf { set: Set::read(files, library), ..Waf::default() }
    }

    /// Sets a member of TX before the rules run, as a line in the rule set's own configuration would.
    pub fn preset(&mut self, name: &str, value: &str) {
        if self.presets.len() < PRESETS_COUNT_MAX {
            self.presets.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// Which engine is meant, where they differ.
    pub fn speak(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// What of the files was not understood.
    pub fn unread(&self) -> &[Unread] {
        &self.set.unread
    }

    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.set.rules()
    }

    /// Which rules the request trips, and what becomes of it.
    pub fn ask(&self, request: &Request) -> Answer {
        if request.is_malformed() {
            return Answer::refused();
        }
        let mut run = run::Run::new(self, request);
        run.head();
        run.body();
        let mut assumed = self.assumed();
        if run.hides_body() {
            assumed.push(both(
                "REQUEST_BODY is empty for a body that is no form, as documented; ModSecurity 3 shows it to the rules all the same",
                "按文档，非表单请求体的 REQUEST_BODY 为空；但 ModSecurity 3 仍会把它交给规则",
            ));
        }
        let added = request.added.iter();
        assumed
            .extend(added.map(|header| both(format!("sent with {header}"), format!("按带有 {header} 发送"))));
        run.finish(assumed)
    }

    /// Whether the files say nothing of the engine: then the recommended set-up holds.
    fn is_bare(&self) -> bool {
        self.set.body_access.is_none()
    }

    fn assumed(&self) -> Vec<Text> {
        let mut assumed = Vec::new();
        if self.set.engine.is_none() {
            assumed.push(both("SecRuleEngine On: no file says", "SecRuleEngine On：文件中未说明"));
        }
        if self.is_bare() {
            assumed.push(both(
                "SecRequestBodyAccess On, and JSON and XML bodies read as such, as the recommended configuration has it: no file says",
                "按推荐配置，SecRequestBodyAccess On，并按类型解析 JSON 和 XML：文件中未说明",
            ));
        }
        assumed
    }
}

impl Answer {
    /// No server hands a request with the end of a line inside of a header to its firewall.
    fn refused() -> Answer {
        let why = both(
            "the server itself refuses it: a header holds the end of a line or a null byte",
            "服务器自身会拒绝：头部含有换行符或空字节",
        );
        let by = By { id: 0, file: "HTTP".into(), line: 0, status: Some(400), why };
        Answer { verdict: Verdict::Blocked, blocked: true, by: Some(by), ..Answer::quiet() }
    }

    /// An answer before anything was asked.
    fn quiet() -> Answer {
        Answer {
            verdict: Verdict::Passed,
            blocked: false,
            by: None,
            tripped: Vec::new(),
            score: 0,
            threshold: None,
            unsure: Vec::new(),
            assumed: Vec::new(),
        }
    }
}
