//! Where on the way something sits: links, vantages and layers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One link of the chain a connection crosses, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// The host that asks: its interface, routes, ports, clock, own firewall.
    SourceHost,
    /// Names: hosts file, resolvers, the zone's own servers.
    Resolver,
    /// The hops between, both directions.
    Path,
    /// A protection, CDN or load-balancing node in front of the origin.
    Edge,
    /// The host that owns the target address: its firewall, routes, kernel limits.
    OriginHost,
    /// The listening socket: port, queues, binding.
    Socket,
    /// The application behind the socket: TLS, HTTP, banner.
    Service,
}

impl Link {
    /// All links in the order a connection crosses them.
    pub const ALL: [Link; 7] = [
        Link::SourceHost,
        Link::Resolver,
        Link::Path,
        Link::Edge,
        Link::OriginHost,
        Link::Socket,
        Link::Service,
    ];

    /// The name used in JSON and in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Link::SourceHost => "source-host",
            Link::Resolver => "resolver",
            Link::Path => "path",
            Link::Edge => "edge",
            Link::OriginHost => "origin-host",
            Link::Socket => "socket",
            Link::Service => "service",
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a fact was seen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Vantage {
    /// The host netwhy runs on, asking as a client.
    Source,
    /// The protection or load-balancing node.
    Edge,
    /// The origin host itself.
    Origin,
    /// A device between.
    Path,
    /// A file of configuration.
    Config,
}

/// Which of two connections a fact is about, where a node stands in front of the origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leg {
    /// The connection the user makes: to the node, or to the origin where there is none.
    #[default]
    Front,
    /// The connection the node makes to the origin.
    Inner,
}

impl Leg {
    /// True for the leg that is understood when none is named.
    pub fn is_front(&self) -> bool {
        *self == Leg::Front
    }
}

/// One of the five layers, 1 infrastructure to 5 security control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Layer(u8);

impl Layer {
    /// The layer's number, 1 to 5.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Layer {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if (1..=5).contains(&number) {
            Ok(Layer(number))
        } else {
            Err(format!("layer {number} is not 1 to 5"))
        }
    }
}

impl From<Layer> for u8 {
    fn from(layer: Layer) -> u8 {
        layer.0
    }
}
