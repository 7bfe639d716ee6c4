//! What a host knows of itself, as text and as a page: the verdict, the findings, then compact tables.
//!
//! Text and HTML are made from the same parts, so that neither says what the other does not.

mod connections;
mod findings;
mod firewall;
mod network;
mod page;
mod part;
mod readings;
mod services;
mod sockets;
mod terms;
mod text;
mod words;

use crate::Style;
use netwhy_catalogue::Catalogue;
use netwhy_model::Lang;
use netwhy_model::host::Snapshot;
use part::Part;

pub use findings::{Headline, headline, title};
pub use sockets::{Group, groups, process_label};
pub use terms::{reason, sign_name};
pub use words::{bytes, fill_of, grouped, shown_time, subject};

/// The subjects a look at a host is told under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    #[default]
    Findings,
    Listeners,
    Connections,
    Counters,
    Limits,
    Settings,
    Conntrack,
    Interfaces,
    Firewall,
    Routes,
    Services,
    Unread,
}

impl Topic {
    /// All, in the order of the page.
    pub const ALL: [Topic; 12] = [
        Topic::Findings,
        Topic::Listeners,
        Topic::Connections,
        Topic::Counters,
        Topic::Limits,
        Topic::Conntrack,
        Topic::Firewall,
        Topic::Interfaces,
        Topic::Routes,
        Topic::Services,
        Topic::Settings,
        Topic::Unread,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Findings => "findings",
            Topic::Listeners => "listeners",
            Topic::Connections => "connections",
            Topic::Counters => "counters",
            Topic::Limits => "limits",
            Topic::Settings => "settings",
            Topic::Conntrack => "conntrack",
            Topic::Interfaces => "interfaces",
            Topic::Firewall => "firewall",
            Topic::Routes => "routes",
            Topic::Services => "services",
            Topic::Unread => "unread",
        }
    }

    /// The topic of that name.
    pub fn named(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// Writes a look at a host for a terminal or a plain file; only these topics, or all when none is named.
pub fn host_text(snapshot: &Snapshot, catalogue: &Catalogue, style: &Style, only: &[Topic]) -> String {
    let looked = Looked { snapshot, catalogue, lang: style.lang };
    text::write(&looked, &looked.parts(only), style, only)
}

/// Writes a look at a host as one self-contained page.
pub fn host_html(snapshot: &Snapshot, catalogue: &Catalogue, lang: Lang, only: &[Topic]) -> String {
    let looked = Looked { snapshot, catalogue, lang };
    page::page(&looked, &looked.parts(only))
}

/// Writes a look at a host as an `article` element, for a page that brings the style.
pub fn host_article(snapshot: &Snapshot, catalogue: &Catalogue, lang: Lang, only: &[Topic]) -> String {
    let looked = Looked { snapshot, catalogue, lang };
    page::article(&looked, &looked.parts(only))
}

/// A look with what is needed to tell it.
pub(crate) struct Looked<'a> {
    snapshot: &'a Snapshot,
    catalogue: &'a Catalogue,
    lang: Lang,
}

impl Looked<'_> {
    /// The parts wanted that have something in them.
    fn parts(&self, only: &[Topic]) -> Vec<Part> {
        let wanted = |topic: &Topic| only.is_empty() || only.contains(topic);
        let parts = Topic::ALL.into_iter().filter(wanted).map(|topic| self.part(topic));
        parts.filter(|part| !part.brief.is_empty() || !part.full.is_empty()).collect()
    }

    fn part(&self, topic: Topic) -> Part {
        let part = match topic {
            Topic::Findings => findings::part(self),
            Topic::Listeners => sockets::listeners(self),
            Topic::Connections => connections::part(self),
            Topic::Counters | Topic::Limits | Topic::Settings => readings::part(self, topic),
            Topic::Conntrack => network::conntrack(self),
            Topic::Interfaces => network::interfaces(self),
            Topic::Routes => network::routes(self),
            Topic::Firewall => firewall::part(self),
            Topic::Services => services::part(self),
            Topic::Unread => services::unread(self),
        };
        Part { topic, ..part }
    }

    /// One of two texts in the language of the page.
    fn say(&self, en: &str, zh: &str) -> String {
        self.lang.pick(en, zh).to_owned()
    }
}
