//! Label selectors.

use crate::doc::Node;
use crate::place::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub(super) type Labels = BTreeMap<String, String>;

/// All of its requirements must hold; without any it selects everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
    pub requirements: Vec<Requirement>,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// How much of something a selector selects: pods of one owner may differ in their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Selects {
    All,
    Some,
    None,
}

/// Why a selector is refused, with the node to blame.
pub(super) type Refused<'a> = (&'a Node, &'static str, &'static str);

impl Selector {
    pub fn everything(place: &Place) -> Selector {
        Selector { requirements: Vec::new(), place: place.clone() }
    }

    /// `matchLabels` and `matchExpressions`.
    pub fn read(node: &Node) -> Result<Selector, Refused<'_>> {
        let mut selector = Selector::everything(&node.place);
        for (name, member) in node.members() {
            match name.as_str() {
                "matchLabels" => selector.requirements.extend(equals(member)?),
                "matchExpressions" => {
                    for expression in member.list() {
                        selector.requirements.push(Requirement::read(expression)?);
                    }
                }
                _ => return Err((member, "a selector has no such field", "选择器没有这个字段")),
            }
        }
        selector.requirements.sort();
        Ok(selector)
    }

    /// A plain map of labels, as services have it.
    pub fn map(node: &Node) -> Result<Selector, Refused<'_>> {
        let requirements = equals(node)?;
        Ok(Selector { requirements, place: node.place.clone() })
    }

    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether it asks for labels besides one.
    pub fn asks_beyond(&self, label: &str) -> bool {
        self.requirements.iter().any(|requirement| requirement.key != label)
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels))
    }

    pub fn of_all(&self, variants: &BTreeSet<Labels>) -> Selects {
        match variants.iter().filter(|labels| self.matches(labels)).count() {
            0 => Selects::None,
            count if count == variants.len() => Selects::All,
            _ => Selects::Some,
        }
    }
}

fn equals(node: &Node) -> Result<Vec<Requirement>, Refused<'_>> {
    let one = |(key, value): &'_ (String, Node)| {
        let values = vec![value.text()?.to_owned()];
        Some(Requirement { key: key.clone(), operator: Operator::In, values })
    };
    let mut requirements = Vec::new();
    for member in node.members() {
        let wrong = "a label's value must be a text: yes, no, on, true … need quotes";
        let requirement =
            one(member).ok_or((&member.1, wrong, "标签的值必须是字符串：yes、no、on、true 等须加引号"))?;
        requirements.push(requirement);
    }
    Ok(requirements)
}

impl Requirement {
    fn read(node: &Node) -> Result<Requirement, Refused<'_>> {
        let operator = match node.word("operator") {
            Some("In") => Operator::In,
            Some("NotIn") => Operator::NotIn,
            Some("Exists") => Operator::Exists,
            Some("DoesNotExist") => Operator::DoesNotExist,
            _ => {
                return Err((
                    node,
                    "operator must be In, NotIn, Exists or DoesNotExist",
                    "operator 只能是 In、NotIn、Exists 或 DoesNotExist",
                ));
            }
        };
        let Some(key) = node.word("key") else {
            return Err((node, "a requirement without a key", "条件缺少 key"));
        };
        let values: Vec<String> =
            node.each("values").iter().filter_map(|v| v.text().map(str::to_owned)).collect();
        if values.is_empty() == matches!(operator, Operator::In | Operator::NotIn) {
            let en = "In and NotIn need values, Exists and DoesNotExist have none";
            return Err((node, en, "In 与 NotIn 须有 values，Exists 与 DoesNotExist 不得有"));
        }
        Ok(Requirement { key: key.to_owned(), operator, values })
    }

    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            // An absent label is not in any list.
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return to.write_str("{}");
        }
        for (at, requirement) in self.requirements.iter().enumerate() {
            let Requirement { key, operator, values } = requirement;
            let (comma, list) = (if at > 0 { "," } else { "" }, values.join(" "));
            match operator {
                Operator::In if values.len() == 1 => write!(to, "{comma}{key}={list}")?,
                Operator::In => write!(to, "{comma}{key} in ({list})")?,
                Operator::NotIn => write!(to, "{comma}{key} notin ({list})")?,
                Operator::Exists => write!(to, "{comma}{key}")?,
                Operator::DoesNotExist => write!(to, "{comma}!{key}")?,
            }
        }
        Ok(())
    }
}
