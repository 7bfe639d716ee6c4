//! Routes: the longest prefix wins, and of equal ones the customer's own.

use crate::place::{Place, both};
use crate::read::{Span, without};
use netwhy_model::Text;
use std::net::IpAddr;

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hop {
    /// Stays in the network.
    Local,
    /// Over a peering to the network of this number.
    Peer(usize),
    Internet,
    /// Packets are dropped.
    Nowhere,
    /// To an appliance at this address; what it does is not known.
    Appliance(IpAddr, Text),
    /// To something that is not modelled: a gateway to other premises.
    Other(Text),
}

impl Hop {
    /// What the route of this text leads to is not modelled.
    pub(crate) fn strange(text: &str) -> Hop {
        Hop::Other(both(
            format!("what the next hop of {text} does with the packets"),
            format!("路由 {text} 的下一跳如何处理数据包"),
        ))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub to: Span,
    pub hop: Hop,
    pub text: String,
    pub place: Place,
    /// Of two routes to one prefix the lower rank wins.
    pub rank: i64,
}

/// The routes that the packets to these addresses take, each with what it takes of them; and what none takes.
pub(crate) fn lookup<'a>(routes: &[&'a Route], to: &[Span]) -> (Vec<(&'a Route, Vec<Span>)>, Vec<Span>) {
    let mut sorted: Vec<&Route> =
        routes.iter().copied().filter(|route| to.iter().any(|span| span.and(&route.to).is_some())).collect();
    sorted.sort_by_key(|route| (std::cmp::Reverse(route.to.prefix_length()), route.rank));
    let mut left = to.to_vec();
    let mut taken = Vec::new();
    for route in sorted {
        let part: Vec<Span> = left.iter().filter_map(|span| span.and(&route.to)).collect();
        if !part.is_empty() {
            left = without(&left, &[route.to]);
            taken.push((route, part));
        }
    }
    (taken, left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_longest_prefix_wins_and_of_equal_ones_the_lower_rank() {
        let file: Arc<str> = "r".into();
        let route = |to: &str, hop, rank| Route {
            to: Span::read(to).expect(to),
            hop,
            text: to.to_owned(),
            place: Place::whole(&file),
            rank,
        };
        let routes = [
            route("0.0.0.0/0", Hop::Internet, 9),
            route("0.0.0.0/0", Hop::Nowhere, 0),
            route("10.0.0.0/8", Hop::Local, 9),
        ];
        let all: Vec<&Route> = routes.iter().collect();
        let (taken, left) = lookup(&all, &[Span::read("10.1.0.0-11.0.0.0").expect("range")]);
        let hops: Vec<&Hop> = taken.iter().map(|(route, _)| &route.hop).collect();
        assert_eq!(hops, [&Hop::Local, &Hop::Nowhere]);
        assert!(left.is_empty());
    }
}
