//! The ends of a question as a cloud knows them, and how two of them are connected.

use super::super::Cloud;
use super::super::route::{Hop, lookup};
use crate::estate::{Ask, End};
use crate::place::Place;
use crate::read::{Span, not_internet, without};
use crate::space::{Family, number};
use std::net::IpAddr;
use std::sync::Arc;

/// How many interfaces one end of a question may mean.
const INTERFACE_COUNT_MAX: usize = 64;

/// Addresses of IPv6 that are no part of the Internet.
const NOT_INTERNET_V6: [&str; 7] =
    ["::/8", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "100::/64", "2001:db8::/32"];

/// One end of a question: an interface, addresses in a subnet, or addresses nobody here knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Point {
    pub interface: Option<usize>,
    pub subnet: Option<usize>,
    pub network: Option<usize>,
    /// Its own addresses, without NAT.
    pub spans: Vec<Span>,
    /// Asked by a public address: the way goes over the Internet.
    pub by_public: bool,
    /// Anywhere outside.
    pub outside: bool,
}

impl Point {
    pub(super) fn is_known(&self) -> bool {
        self.interface.is_some() || self.subnet.is_some()
    }

    pub(super) fn place(&self, cloud: &Cloud) -> Place {
        let interface = self.interface.map(|at| cloud.interfaces[at].place.clone());
        let subnet = self.subnet.map(|at| cloud.subnets[at].place.clone());
        interface.or(subnet).unwrap_or_else(|| Place::whole(&Arc::from("")))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Within one subnet.
    Subnet,
    /// Within one network.
    Network,
    Peered,
    /// Over an appliance in a network that both are peered with.
    Relayed,
    Internet,
    /// To or from private addresses that the files do not know.
    Beyond,
    /// Both are known and nothing connects them.
    Apart,
}

/// Every address of the Internet.
pub(crate) fn internet() -> Vec<Span> {
    without(&Span::anywhere(), &not_internet(&NOT_INTERNET_V6))
}

/// Whether none of these addresses is of the Internet.
pub(super) fn is_private(spans: &[Span]) -> bool {
    without(spans, &not_internet(&NOT_INTERNET_V6)).is_empty()
}

/// What an end may mean here; one unknown point when nothing of it is known.
pub(super) fn points(cloud: &Cloud, end: &End) -> Vec<Point> {
    match end {
        End::Known(id) => {
            let of = |at: &usize| &cloud.endpoints[cloud.interfaces[*at].endpoint].id == id;
            let own = (0..cloud.interfaces.len()).filter(of).take(INTERFACE_COUNT_MAX);
            own.map(|at| interface(cloud, at, false)).collect()
        }
        End::Addresses(first, last) => {
            let span = Span { last: number(*last), ..Span::one(*first) };
            addressed(cloud, span)
        }
        End::Outside => outside(cloud, &[]),
        End::OutsideBut(but) => outside(cloud, but),
    }
}

fn outside(cloud: &Cloud, but: &[Span]) -> Vec<Point> {
    let spans = without(&without(&internet(), &claimed(cloud)), but);
    vec![Point { spans, outside: true, ..Point::default() }]
}

fn claimed(cloud: &Cloud) -> Vec<Span> {
    let networks = cloud.networks.iter().flat_map(|network| network.spans.iter().copied());
    let public = cloud.interfaces.iter().flat_map(|one| one.public.iter().map(|address| Span::one(*address)));
    networks.chain(public).collect()
}

fn interface(cloud: &Cloud, at: usize, by_public: bool) -> Point {
    let one = &cloud.interfaces[at];
    Point {
        interface: Some(at),
        subnet: one.subnet,
        network: one.network,
        spans: own_addresses(cloud, one),
        by_public,
        outside: false,
    }
}

/// The addresses of an interface; of one that gets them only later, any of its subnet or network.
fn own_addresses(cloud: &Cloud, one: &super::super::Interface) -> Vec<Span> {
    if !one.private.is_empty() {
        return one.private.iter().map(|address| Span::one(*address)).collect();
    }
    let subnet = one.subnet.map(|at| cloud.subnets[at].spans.clone()).unwrap_or_default();
    let network = one.network.map(|at| cloud.networks[at].spans.clone()).unwrap_or_default();
    match (subnet.is_empty(), network.is_empty()) {
        (false, _) => subnet,
        (true, false) => network,
        _ => crate::read::private(),
    }
}

fn addressed(cloud: &Cloud, span: Span) -> Vec<Point> {
    let mut points = Vec::new();
    let mut taken = Vec::new();
    for (at, one) in cloud.interfaces.iter().enumerate() {
        let private: Vec<Span> = one
            .private
            .iter()
            .filter(|address| span.has(**address))
            .map(|address| Span::one(*address))
            .collect();
        let public: Vec<Span> = one
            .public
            .iter()
            .filter(|address| span.has(**address))
            .map(|address| Span::one(*address))
            .collect();
        if points.len() < INTERFACE_COUNT_MAX && !private.is_empty() {
            points.push(Point { spans: private.clone(), ..interface(cloud, at, false) });
        } else if points.len() < INTERFACE_COUNT_MAX && !public.is_empty() {
            points.push(interface(cloud, at, true));
        }
        taken.extend(private.into_iter().chain(public));
    }
    // An address of a subnet that no interface has, asked alone; a whole range is answered by who is in it.
    if points.is_empty() {
        points = in_subnets(cloud, &without(&[span], &taken));
    }
    if points.is_empty() {
        let network =
            cloud.networks.iter().position(|network| network.spans.iter().any(|own| own.contains(&span)));
        points.push(Point { spans: vec![span], network, ..Point::default() });
    }
    points
}

fn in_subnets(cloud: &Cloud, asked: &[Span]) -> Vec<Point> {
    let part = |(at, subnet): (usize, &super::super::Subnet)| {
        let spans: Vec<Span> =
            subnet.spans.iter().flat_map(|own| asked.iter().filter_map(|asked| asked.and(own))).collect();
        let network = Some(subnet.network);
        (!spans.is_empty()).then(|| Point { subnet: Some(at), network, spans, ..Point::default() })
    };
    cloud.subnets.iter().enumerate().filter_map(part).take(INTERFACE_COUNT_MAX).collect()
}

/// The pairs a question means: of a named endpoint the interface that is nearest to the other end, of addresses all.
pub(super) fn pairs<'a>(
    cloud: &Cloud,
    ask: &Ask,
    from: &'a [Point],
    to: &'a [Point],
) -> Vec<(&'a Point, &'a Point)> {
    let named = |end: &End| matches!(end, End::Known(_));
    let mut pairs: Vec<(&Point, &Point)> = from
        .iter()
        .flat_map(|from| to.iter().map(move |to| (from, to)))
        .filter(|(from, to)| meet(from, to))
        .collect();
    if named(&ask.from) && named(&ask.to) {
        pairs.sort_by_key(|(from, to)| distance(link(cloud, from, to)));
        pairs.truncate(1);
    } else if named(&ask.from) {
        nearest(cloud, &mut pairs, |pair| std::ptr::from_ref(pair.1));
    } else if named(&ask.to) {
        nearest(cloud, &mut pairs, |pair| std::ptr::from_ref(pair.0));
    }
    pairs
}

fn nearest<'a>(
    cloud: &Cloud,
    pairs: &mut Vec<(&'a Point, &'a Point)>,
    key: impl Fn(&(&'a Point, &'a Point)) -> *const Point,
) {
    pairs.sort_by_key(|pair| (key(pair), distance(link(cloud, pair.0, pair.1))));
    pairs.dedup_by_key(|pair| key(pair));
}

/// Whether both have addresses of one family.
fn meet(from: &Point, to: &Point) -> bool {
    let families = |point: &Point, family: Family| point.spans.iter().any(|span| span.family == family);
    [Family::V4, Family::V6].into_iter().any(|family| families(from, family) && families(to, family))
}

fn distance(link: Link) -> u8 {
    match link {
        Link::Subnet => 0,
        Link::Network => 1,
        Link::Peered => 2,
        Link::Relayed => 3,
        Link::Internet => 4,
        Link::Beyond => 5,
        Link::Apart => 6,
    }
}

/// How two points are connected.
pub(super) fn link(cloud: &Cloud, from: &Point, to: &Point) -> Link {
    if from.by_public || to.by_public || from.outside || to.outside {
        return Link::Internet;
    }
    match (from.network, to.network) {
        (Some(one), Some(two)) if one == two => match (from.subnet, to.subnet) {
            (Some(a), Some(b)) if a == b => Link::Subnet,
            _ => Link::Network,
        },
        (Some(one), Some(two)) if peered(cloud, one, two) => Link::Peered,
        (Some(one), Some(_)) if relayed(cloud, from, one, to) => Link::Relayed,
        (Some(_), Some(_)) => {
            let published = to.interface.map(|at| &cloud.interfaces[at]);
            let published = published.is_some_and(|one| one.published || !one.public.is_empty());
            if published { Link::Internet } else { Link::Apart }
        }
        _ if from.is_known() && to.is_known() => Link::Network,
        _ => {
            let strange = if from.is_known() { to } else { from };
            if is_private(&strange.spans) { Link::Beyond } else { Link::Internet }
        }
    }
}

/// Whether a route leads to an appliance in a network that the source is peered with. Whether that is peered with
/// the destination, the way tells.
fn relayed(cloud: &Cloud, from: &Point, network: usize, to: &Point) -> bool {
    let routes = super::routes(cloud, from, network);
    let (taken, _) = lookup(&routes, &to.spans);
    taken.iter().any(|(route, _)| match &route.hop {
        Hop::Appliance(address, _) => {
            hub(cloud, *address).is_some_and(|hub| hub == network || peered(cloud, network, hub))
        }
        _ => false,
    })
}

/// The network that an appliance stands in.
pub(super) fn hub(cloud: &Cloud, address: IpAddr) -> Option<usize> {
    cloud.networks.iter().position(|network| network.spans.iter().any(|span| span.has(address)))
}

fn peered(cloud: &Cloud, one: usize, two: usize) -> bool {
    let to =
        |from: usize, to: usize| cloud.networks[from].peers.iter().any(|p| p.network == Some(to) && p.works);
    // A network that no file tells of cannot deny the peering that the other has.
    match (to(one, two), to(two, one)) {
        (true, true) => true,
        (true, false) => !cloud.networks[two].known,
        (false, true) => !cloud.networks[one].known,
        (false, false) => false,
    }
}
