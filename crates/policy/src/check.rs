//! Intents held against the rules: what must be reached and what must not.

use crate::can::Verdict;
use crate::estate::{Ask, Because, End};
use crate::intents::{Exception, Intent, Must};
use crate::read::{Span, merge};
use crate::space::number;
use crate::world::World;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    Kept,
    Broken,
    /// The rules do not say.
    Depends,
}

/// One intent, and whether the rules keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    pub name: String,
    pub result: Kept,
    #[serde(flatten)]
    pub place: crate::Place,
    /// What was asked and not answered as it must: from, to, and why.
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub from: String,
    pub to: String,
    pub verdict: Verdict,
    pub by: Vec<Because>,
}

/// Holds one intent against the rules. A name that the files do not know makes it depend.
pub fn check(world: &World, intent: &Intent) -> Checked {
    let mut result = Kept::Kept;
    let mut failures = Vec::new();
    for ask in intent.asks.iter().filter(|ask| !is_excepted(&intent.exceptions, ask)) {
        let ask = &excepting(ask, &intent.exceptions);
        let (verdict, by) = answer(world, ask);
        let own = match (intent.must, verdict) {
            (Must::Reach, Verdict::Allowed) | (Must::NotReach, Verdict::Denied) => continue,
            (_, Verdict::Depends) => Kept::Depends,
            (Must::Reach, Verdict::Denied) | (Must::NotReach, Verdict::Allowed) => Kept::Broken,
        };
        if result != Kept::Broken {
            result = own;
        }
        let port = ask.port.map_or_else(String::new, |port| format!(":{port}"));
        failures.push(Failure {
            from: words(&ask.from),
            to: format!("{}{port}", words(&ask.to)),
            verdict,
            by,
        });
    }
    Checked { name: intent.name.clone(), result, place: intent.place.clone(), failures }
}

fn answer(world: &World, ask: &Ask) -> (Verdict, Vec<Because>) {
    let known = |end: &End| match end {
        End::Known(name) => world.end(name).ok_or_else(|| name.clone()),
        other => Ok(other.clone()),
    };
    let (from, to) = match (known(&ask.from), known(&ask.to)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(name), _) | (_, Err(name)) => {
            let why =
                crate::place::both(format!("the files know no {name:?}"), format!("文件中没有 {name:?}"));
            let place = crate::Place::whole(&"".into());
            return (
                Verdict::Depends,
                vec![Because { place, within: String::new(), rule: None, text: String::new(), why }],
            );
        }
    };
    let answer = world.can(&Ask { from, to, ..ask.clone() });
    let by = match answer.verdict {
        Verdict::Denied => answer.blockers,
        Verdict::Depends => answer.depends,
        Verdict::Allowed => answer.steps.into_iter().flat_map(|step| step.by).collect(),
    };
    (answer.verdict, by)
}

/// Whether a question lies within an exception, as far as ends alone show it.
fn is_excepted(exceptions: &[Exception], ask: &Ask) -> bool {
    exceptions.iter().any(|one| within(&ask.from, &one.from) && within(&ask.to, &one.to))
}

/// The same question without the addresses that exceptions take out of "outside", on one side or the other.
fn excepting(ask: &Ask, exceptions: &[Exception]) -> Ask {
    let spans = |ends: &[End]| -> Vec<Span> {
        let range = |end: &End| match end {
            End::Addresses(first, last) => Some(Span { last: number(*last), ..Span::one(*first) }),
            _ => None,
        };
        ends.iter().filter_map(range).collect()
    };
    let but = |end: &End, taken: Vec<Span>| match end {
        End::Outside if !taken.is_empty() => End::OutsideBut(merge(&taken)),
        end => end.clone(),
    };
    let of = |own: fn(&Exception) -> &Vec<End>, other: fn(&Exception) -> &Vec<End>, beside: &End| {
        let meant = exceptions.iter().filter(|one| within(beside, other(one)));
        meant.flat_map(|one| spans(own(one))).collect::<Vec<Span>>()
    };
    Ask {
        from: but(&ask.from, of(|one| &one.from, |one| &one.to, &ask.to)),
        to: but(&ask.to, of(|one| &one.to, |one| &one.from, &ask.from)),
        ..ask.clone()
    }
}

/// Whether an end lies within those of an exception, which means all when it names none.
fn within(end: &End, ends: &[End]) -> bool {
    ends.is_empty() || ends.iter().any(|one| holds(one, end))
}

fn holds(outer: &End, inner: &End) -> bool {
    match (outer, inner) {
        (End::Addresses(a, b), End::Addresses(c, d)) => a <= c && d <= b && a.is_ipv4() == c.is_ipv4(),
        (outer, inner) => outer == inner,
    }
}

fn words(end: &End) -> String {
    match end {
        End::Known(name) => name.clone(),
        End::Addresses(first, last) if first == last => first.to_string(),
        End::Addresses(first, last) => {
            let family = crate::space::Family::of(*first);
            crate::space::range(family, (crate::space::number(*first), crate::space::number(*last)))
        }
        End::Outside => "outside".to_owned(),
        End::OutsideBut(but) => {
            let but: Vec<String> = but.iter().map(ToString::to_string).collect();
            format!("outside but {}", but.join(", "))
        }
    }
}
