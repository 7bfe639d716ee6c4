//! Directives: what each line of a file says.

use super::actions::{Actions, actions, engine, ids};
use super::apply::Change;
use super::lines::{Line, words};
use super::operator::operator;
use super::target::targets;
use super::{Item, LINKS_COUNT_MAX, Preset, RULES_COUNT_MAX, Reader};
use crate::operator::{Operator, Test};
use crate::place::{Place, Unread, both};
use crate::rule::{About, Flow, Link, Rule, Template};
use netwhy_model::Text;
use std::sync::Arc;

/// The phase of a rule that names none.
const PHASE_DEFAULT: u8 = 2;

/// Directives that change nothing of what is asked here.
const IRRELEVANT: &[&str] = &[
    "secargumentslimit",
    "secauditengine",
    "secauditlog",
    "secauditlog2",
    "secauditlogdir",
    "secauditlogdirmode",
    "secauditlogfilemode",
    "secauditlogformat",
    "secauditlogparts",
    "secauditlogrelevantstatus",
    "secauditlogstoragedir",
    "secauditlogtype",
    "secauditlogprefix",
    "seccollectiontimeout",
    "seccomponentsignature",
    "secconnengine",
    "seccookieformat",
    "seccookiev0separator",
    "secdatadir",
    "secdebuglog",
    "secdebugloglevel",
    "secgeolookupdb",
    "secgsblookupdb",
    "secguardianlog",
    "sechashengine",
    "sechashkey",
    "sechashparam",
    "sechttpblkey",
    "secinterceptonerror",
    "secparsexmlintoargs",
    "secpcrematchlimit",
    "secpcrematchlimitrecursion",
    "secreadstatelimit",
    "secremoterulesfailaction",
    "secrequestbodyinmemorylimit",
    "secrequestbodyjsondepthlimit",
    "secrequestbodynofileslimit",
    "secresponsebodyaccess",
    "secresponsebodylimit",
    "secresponsebodylimitaction",
    "secresponsebodymimetype",
    "secresponsebodymimetypesclear",
    "secsensorid",
    "secserversignature",
    "secstatusengine",
    "secstreaminbodyinspection",
    "secstreamoutbodyinspection",
    "sectmpdir",
    "sectmpsaveuploadedfiles",
    "secunicodemap",
    "secunicodemapfile",
    "secuploaddir",
    "secuploadfilelimit",
    "secuploadfilemode",
    "secuploadkeepfiles",
    "secwebappid",
    "secwritestatelimit",
    "secxmlexternalentity",
    "secchrootdir",
    "seccachetransformations",
    "secruleperftime",
    "secdisablebackendcompression",
];

impl Reader<'_> {
    pub(super) fn directive(&mut self, line: &Line, place: &Place, depth: usize) -> Result<(), Text> {
        let words = words(&line.text);
        let name = words.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
        match name.as_str() {
            "secrule" => self.rule(Some((word(1), word(2))), word(3), place),
            "secaction" => self.rule(None, word(1), place),
            "secmarker" => {
                self.end_of_chain();
                self.set.items.push(Item::Marker(word(1).to_owned()));
                Ok(())
            }
            "secdefaultaction" => self.default(actions(word(1))),
            "include" | "includeoptional" => {
                let files = self.library.include(&place.file, word(1));
                if files.is_empty() && name == "include" {
                    return Err(both("no such file is at hand", "找不到该文件"));
                }
                files.iter().for_each(|file| self.file(file, depth + 1));
                Ok(())
            }
            "secscript" | "secruleinheritance" | "secrulescript" | "secremoterules" => {
                Err(both("rules from elsewhere are not read", "不读取外部规则"))
            }
            _ => self.change(&name, &words).unwrap_or_else(|| self.setting(&name, word(1))),
        }
    }

    /// What changes rules that stand elsewhere.
    fn change(&mut self, name: &str, words: &[String]) -> Option<Result<(), Text>> {
        let word = |at: usize| words.get(at).map(String::as_str).unwrap_or_default();
        let wrong = || both("its numbers of rules cannot be read", "规则编号无法识别");
        let change = match name {
            "secruleremovebyid" => ids(&words.get(1..).unwrap_or_default().join(" ")).map(Change::RemoveById),
            "secruleremovebytag" => Some(Change::RemoveByTag(word(1).to_owned())),
            "secruleremovebymsg" => Some(Change::RemoveByMsg(word(1).to_owned())),
            "secruleupdatetargetbyid" => ids(word(1)).map(|ids| Change::targets_by_id(ids, word(2), word(3))),
            "secruleupdatetargetbytag" => Some(Change::targets_by_tag(word(1), word(2), word(3))),
            "secruleupdatetargetbymsg" => Some(Change::targets_by_msg(word(1), word(2), word(3))),
            "secruleupdateactionbyid" => {
                let id = word(1).split(':').next().unwrap_or_default();
                ids(id).map(|ids| Change::ActionById(ids, Box::new(actions(word(2)))))
            }
            _ => return None,
        };
        Some(change.ok_or_else(wrong).map(|change| self.changes.push(change)))
    }

    fn setting(&mut self, name: &str, value: &str) -> Result<(), Text> {
        let wrong = || both("its value is not understood", "其值无法理解");
        match name {
            "secruleengine" => self.set.engine = Some(engine(value).ok_or_else(wrong)?),
            "secrequestbodyaccess" => self.set.body_access = Some(value.eq_ignore_ascii_case("on")),
            "secrequestbodylimit" => self.set.body_bytes_max = Some(value.parse().map_err(|_| wrong())?),
            "secrequestbodylimitaction" => self.set.body_rejects = value.eq_ignore_ascii_case("reject"),
            "secargumentseparator" => self.set.argument_separator = value.bytes().next(),
            _ if IRRELEVANT.contains(&name) => {}
            _ => return Err(both("this directive is not known", "不认识该指令")),
        }
        Ok(())
    }

    fn default(&mut self, read: Actions) -> Result<(), Text> {
        let default = Preset {
            disruptive: read.disruptive,
            status: read.status,
            logged: read.logged,
            transforms: read.transforms,
        };
        self.set.defaults.insert(read.phase.unwrap_or(PHASE_DEFAULT), default);
        read.unread.into_iter().next().map_or(Ok(()), Err)
    }

    fn rule(&mut self, asks: Option<(&str, &str)>, acts: &str, place: &Place) -> Result<(), Text> {
        self.rules += 1;
        if self.rules > RULES_COUNT_MAX {
            return Err(both("more than 200,000 rules", "规则超过 200,000 条"));
        }
        let mut read = actions(acts);
        let chained = read.chain;
        let (link, doubt) = self.link(asks, &mut read, place);
        let unread = doubt.into_iter().chain(read.unread.iter().cloned());
        let unread = unread.map(|why| Unread::new(place.clone(), acts_or(asks, acts), why));
        self.set.unread.extend(unread);
        match self.chain.take() {
            Some(mut rule) if rule.links.len() < LINKS_COUNT_MAX => {
                rule.links.push(link);
                self.chain = Some(rule);
            }
            Some(rule) => {
                self.chain = Some(rule);
                return Err(both("more than 64 rules in a chain", "规则链超过 64 条"));
            }
            None => self.chain = Some(self.head(read, link, place)),
        }
        if !chained && let Some(rule) = self.chain.take() {
            self.set.items.push(Item::Rule(Arc::new(rule)));
        }
        Ok(())
    }

    /// The rule that a chain, perhaps of one, begins with.
    fn head(&self, read: Actions, link: Link, place: &Place) -> Rule {
        let phase = read.phase.unwrap_or(PHASE_DEFAULT);
        let default = self.set.defaults.get(&phase);
        let logged = read.logged.or_else(|| default?.logged).unwrap_or(true);
        let disruptive = read.disruptive.or_else(|| default?.disruptive.clone());
        Rule {
            id: read.id.unwrap_or(0),
            place: place.clone(),
            phase,
            links: vec![link],
            about: About {
                msg: Template::read(&read.msg.unwrap_or_default()),
                severity: read.severity,
                tags: read.tags,
                logged,
            },
            flow: Flow {
                disruptive,
                status: read.status.or_else(|| default?.status),
                skip_after: read.skip_after,
                skip: read.skip,
            },
        }
    }

    fn link(&self, asks: Option<(&str, &str)>, read: &mut Actions, place: &Place) -> (Link, Option<Text>) {
        let ((targets, excluded), (mut operator, mut doubt)) = match asks {
            Some((names, asked)) => (targets(names), operator(asked, &place.file, self.library)),
            None => Default::default(),
        };
        if let Some(why) = read.doubt.take() {
            operator = Operator::unknown(why.clone());
            doubt.get_or_insert(why);
        }
        let phase = read.phase.or(self.chain.as_ref().map(|rule| rule.phase)).unwrap_or(PHASE_DEFAULT);
        let mut transforms = match self.set.defaults.get(&phase) {
            Some(default) if !read.transforms_reset => default.transforms.clone(),
            _ => Vec::new(),
        };
        transforms.append(&mut read.transforms);
        let link = Link {
            line: place.line,
            targets,
            excluded,
            operator,
            transforms,
            multi_match: read.multi_match,
            capture: read.capture,
            sets: std::mem::take(&mut read.sets),
            controls: std::mem::take(&mut read.controls),
        };
        (link, doubt)
    }
}

fn acts_or<'a>(asks: Option<(&'a str, &'a str)>, acts: &'a str) -> &'a str {
    asks.map_or(acts, |(_, asked)| asked)
}

impl Default for Operator {
    /// What an action without a question asks: nothing.
    fn default() -> Operator {
        Operator { negated: false, test: Test::Always }
    }
}
