//! What the node's own configuration says of its origin, beside what the origin expects.

use super::Sides;
use crate::upstream::CHANGED_SINCE;
use netwhy_model::host::{Frontend, Record, Upstream};
use netwhy_model::{Evidence, Link, Stamp, Vantage};
use std::net::{IpAddr, SocketAddr};

/// What the user asks the node for: by this it chooses among its sites and locations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The name, or the address written as one.
    pub site: &'a str,
    /// Path and query.
    pub path: &'a str,
}

/// How a node asks its origin, by its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    pub tls: bool,
    /// The Host it sends instead of the user's.
    pub host: Option<String>,
    /// The path of its health check.
    pub health_path: Option<String>,
}

/// The part of a node's configuration that decides where a request of the user goes.
pub(super) struct Configured<'r> {
    /// The servers it can be sent to.
    chosen: Vec<&'r Upstream>,
    asked: Option<Asked<'r>>,
}

impl<'r> Configured<'r> {
    /// Chooses by port, site and path, as the node does.
    pub(super) fn of(node: &'r Record, asked: Option<Asked<'r>>) -> Configured<'r> {
        let port = node.spec.port;
        let mut chosen: Vec<&Upstream> =
            node.upstreams.iter().filter(|upstream| upstream.listens.contains(&port)).collect();
        if let Some(asked) = asked {
            match serving(node.frontends.iter().filter(|front| front.port == port), asked.site) {
                Serving::These(these) => {
                    chosen.retain(|upstream| these.iter().any(|front| front.sites == upstream.sites));
                }
                Serving::Unknown => chosen.clear(),
                Serving::Nobody => {}
            }
            let fit = |upstream: &Upstream| path_fit(&upstream.location, asked.path);
            let best = chosen.iter().filter_map(|upstream| fit(upstream).flatten()).max();
            // What a condition decides may always be meant.
            chosen.retain(|upstream| fit(upstream).is_none_or(|fit| fit.is_some() && fit == best));
        }
        Configured { chosen, asked }
    }

    /// `edge.config`; `None` when it cannot be told.
    pub(super) fn evidence(
        &self,
        node: &Record,
        origin: Option<&Record>,
        dialled: Option<SocketAddr>,
        at: Stamp,
    ) -> Option<Evidence> {
        // What was read is not what runs.
        if node.unread.iter().any(|gap| gap.why == CHANGED_SINCE) {
            return None;
        }
        let first = *self.chosen.first()?;
        let said = |value: &str, upstream: &Upstream, text: &str| {
            let place = format!("{}, {}:{}: {text}", upstream.program, upstream.file, upstream.line);
            let mut evidence = Evidence::seen("edge.config", value, Link::Edge, at, super::COLLECTOR, place);
            evidence.vantage = Vantage::Edge;
            evidence.about(node.name.clone())
        };
        let mut asking: Vec<&Upstream> = self.enabled().collect();
        if asking.is_empty() {
            return Some(said("no_backend", first, "no server is left to send requests to"));
        }
        // Of several servers the one that is really asked counts.
        if let Some(dialled) = dialled
            && asking.iter().any(|upstream| means(upstream, dialled))
        {
            asking.retain(|upstream| means(upstream, dialled));
        }
        let judged = |upstream: &Upstream| judge(upstream, origin, dialled, self.asked);
        let (upstream, others) = asking.split_first()?;
        let (value, text) = judged(upstream)?;
        let agree = others.iter().all(|other| judged(other).is_some_and(|(other, _)| other == value));
        agree.then(|| said(value, upstream, &text))
    }

    /// True when this address can be one of the servers': its own, or an old one of its name.
    pub(super) fn may_mean(&self, to: SocketAddr) -> bool {
        let by_port = |upstream: &Upstream| upstream.name.is_some() && port(upstream) == Some(to.port());
        self.enabled().any(|upstream| means(upstream, to) || by_port(upstream))
    }

    /// A sentence when the node connects to an address that the name in its configuration no longer means.
    ///
    /// Many names mean now this, now that address: without the origin's own record, the user's word `named` must
    /// confirm where the name leads.
    pub(super) fn old_name(
        &self,
        node: &Record,
        has_origin: bool,
        named: Option<SocketAddr>,
        to: SocketAddr,
    ) -> Option<String> {
        const NAMED_COUNT_MAX: usize = 4;
        if node.upstreams.iter().any(|upstream| means(upstream, to)) {
            return None;
        }
        let leads = |upstream: &Upstream| match named {
            _ if has_origin => !upstream.resolves_to.is_empty(),
            Some(named) => named.ip() != to.ip() && upstream.resolves_to.contains(&named.ip()),
            None => false,
        };
        let old = self.enabled().find(|upstream| {
            upstream.name.is_some() && port(upstream) == Some(to.port()) && leads(upstream)
        })?;
        let name = old.name.as_deref().unwrap_or_default();
        let now: Vec<String> =
            old.resolves_to.iter().take(NAMED_COUNT_MAX).map(ToString::to_string).collect();
        let (now, file, line) = (now.join(", "), &old.file, old.line);
        Some(format!("{} connects to {to}, while {name} ({file}:{line}) means {now} now", node.name))
    }

    /// How the node speaks to this address; `None` when its configuration does not say, or says several things.
    pub(super) fn manner(&self, to: SocketAddr) -> Option<Manner> {
        let by_port = |upstream: &Upstream| upstream.name.is_some() && port(upstream) == Some(to.port());
        let mut all = self.enabled().filter(|upstream| means(upstream, to) || by_port(upstream));
        let of = |upstream: &Upstream| Manner {
            tls: upstream.tls,
            host: upstream.host_sent.clone(),
            health_path: upstream.check_path.clone().filter(|path| path.starts_with('/')),
        };
        let first = of(all.next().filter(|upstream| !upstream.raw)?);
        all.all(|other| of(other) == first).then_some(first)
    }

    fn enabled(&self) -> impl Iterator<Item = &'r Upstream> + '_ {
        self.chosen.iter().copied().filter(|upstream| is_enabled(upstream))
    }
}

/// True when the server can be asked at all.
fn is_enabled(upstream: &Upstream) -> bool {
    let maintained = upstream.state.as_deref().is_some_and(|state| state.starts_with("MAINT"));
    !upstream.server.is_empty() && (!upstream.disabled || upstream.backup) && !maintained
}

/// True when this address is what the configuration means by the server.
fn means(upstream: &Upstream, address: SocketAddr) -> bool {
    addresses(upstream).any(|own| own == address)
}

/// The addresses a server has by its configuration.
fn addresses(upstream: &Upstream) -> impl Iterator<Item = SocketAddr> + '_ {
    let named =
        port(upstream).map(|port| upstream.resolves_to.iter().map(move |ip| SocketAddr::new(*ip, port)));
    upstream.address.into_iter().chain(named.into_iter().flatten())
}

/// The port behind a name, as written.
fn port(upstream: &Upstream) -> Option<u16> {
    upstream.server.rsplit_once(':')?.1.parse().ok()
}

/// What is wrong with this server's entry, and a sentence on it; `None` when that cannot be told.
fn judge(
    upstream: &Upstream,
    origin: Option<&Record>,
    dialled: Option<SocketAddr>,
    asked: Option<Asked<'_>>,
) -> Option<(&'static str, String)> {
    let server = &upstream.server;
    let fronts = expecting(upstream, origin, dialled);
    let known = !fronts.is_empty();
    let wants_header = fronts.iter().any(|front| front.proxy_protocol);
    if upstream.proxy_protocol && !wants_header {
        return Some(("proxy_header", format!("it sends a PROXY header to {server}")));
    }
    if wants_header && !upstream.proxy_protocol {
        return Some(("no_proxy_header", format!("it sends no PROXY header to {server}, which expects one")));
    }
    if known && !upstream.raw {
        match (upstream.tls, fronts.iter().any(|front| front.tls)) {
            (false, true) => {
                return Some((
                    "plain_to_tls",
                    format!("it speaks plain HTTP to {server}, which expects TLS"),
                ));
            }
            (true, false) => {
                return Some(("tls_to_plain", format!("it speaks TLS to {server}, which expects none")));
            }
            _ => {}
        }
    }
    if upstream.tls && upstream.sni.is_none() && needs_name(upstream, &fronts, asked) {
        return Some(("no_sni", format!("its hello to {server} names no site")));
    }
    match host(upstream, &fronts, asked)? {
        Some(sent) => Some(("host_differs", format!("it sends {server} the Host {sent}"))),
        None => Some(("fits", format!("it sends requests to {server}"))),
    }
}

/// What the origin's own configuration says of the port this server is asked on; empty when not known.
fn expecting<'r>(
    upstream: &Upstream,
    origin: Option<&'r Record>,
    dialled: Option<SocketAddr>,
) -> Vec<&'r Frontend> {
    let Some(origin) = origin else { return Vec::new() };
    let targets = addresses(upstream).chain(dialled.filter(|to| port(upstream) == Some(to.port())));
    let Some(to) = targets.into_iter().find(|to| origin.own_addresses.contains(&to.ip())) else {
        return Vec::new();
    };
    let is_meant = |own: Option<IpAddr>| match own {
        None => true,
        Some(own) => own == to.ip() || (own.is_unspecified() && own.is_ipv4() == to.is_ipv4()),
    };
    let on_port = origin.frontends.iter().filter(|front| front.port == to.port());
    on_port.filter(|front| is_meant(front.address)).collect()
}

/// True when a hello without a name does not get this site's certificate, as far as can be told.
fn needs_name(upstream: &Upstream, fronts: &[&Frontend], asked: Option<Asked<'_>>) -> bool {
    let Some(default) = fronts.iter().find(|front| front.is_default) else { return true };
    let served = asked.map(|asked| serving(fronts.iter().copied(), asked.site));
    let elsewhere = matches!(served, Some(Serving::These(these)) if these.iter().all(|front| front.sites != default.sites));
    default.refuses_unnamed || (upstream.verify && elsewhere)
}

/// The Host sent when it leads elsewhere than the site's own, `Some(None)` when it does not, `None` when not known.
fn host<'u>(
    upstream: &'u Upstream,
    fronts: &[&Frontend],
    asked: Option<Asked<'_>>,
) -> Option<Option<&'u str>> {
    // Who asks an address asks for no site of a name.
    let Some(asked) = asked.filter(|asked| bare(asked.site).parse::<IpAddr>().is_err()) else {
        return Some(None);
    };
    let Some(sent) = upstream.host_sent.as_deref() else {
        let passes =
            ["$host", "$http_host", "$host:$server_port", "$http_host:$server_port", "%[req.hdr(host)]"];
        let header = upstream.host_header.as_deref();
        return header.is_none_or(|header| passes.contains(&header)).then_some(None);
    };
    if bare(sent) == bare(asked.site) {
        return Some(None);
    }
    // The origin may take both names for one site.
    let of = |name: &str| match serving(fronts.iter().copied(), name) {
        Serving::These(these) => these.first().map(|front| &front.sites),
        Serving::Unknown | Serving::Nobody => None,
    };
    let same = of(&bare(sent)).is_some_and(|sites| Some(sites) == of(&bare(asked.site)));
    Some((!same).then_some(sent))
}

/// A name without its port, its last dot and its capitals.
fn bare(name: &str) -> String {
    let name = match name.rfind(']') {
        Some(end) => &name[..=end],
        None if name.matches(':').count() == 1 => name.split(':').next().unwrap_or(name),
        None => name,
    };
    name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}

enum Serving<'a> {
    These(Vec<&'a Frontend>),
    /// A regular expression may decide.
    Unknown,
    /// Nothing is known of the port.
    Nobody,
}

/// `host.site`: whether the web server that is asked has a site of the name; `None` when that is not known.
pub(super) fn site(sides: &Sides<'_>, far: &Record) -> Option<Evidence> {
    let asked = sides.asked.filter(|asked| bare(asked.site).parse::<IpAddr>().is_err())?;
    let fronts = || far.frontends.iter().filter(|front| front.port == sides.port);
    if far.unread.iter().any(|gap| gap.why == CHANGED_SINCE) || fronts().any(|front| front.program != "nginx")
    {
        return None;
    }
    let Serving::These(these) = serving(fronts(), asked.site) else { return None };
    let front = these.first()?;
    let wanted = bare(asked.site);
    let any = |own: &String| own.is_empty() || own == "_" || own == "*";
    let value = match () {
        () if front.sites.iter().any(|own| site_fit(own, &wanted).is_some()) => "served",
        // A lone site is everybody's, whatever it calls itself.
        () if front.sites.iter().all(any) || fronts().all(|other| other.sites == front.sites) => "all",
        () => "default",
    };
    let text = format!(
        "{}, {}:{}: {} is answered by the site of {}",
        front.program,
        front.file,
        front.line,
        asked.site,
        if front.sites.iter().all(any) { "every name".to_owned() } else { front.sites.join(" ") }
    );
    Some(sides.seen("host.site", value, Link::Service, text))
}

/// Which of the port's sites answers for a name: as nginx chooses, exact names before patterns before the default.
fn serving<'a>(fronts: impl Iterator<Item = &'a Frontend>, site: &str) -> Serving<'a> {
    let fronts: Vec<&Frontend> = fronts.collect();
    let site = bare(site);
    let best = fronts
        .iter()
        .filter_map(|front| front.sites.iter().filter_map(|own| site_fit(own, &site)).max())
        .max();
    if let Some(best) = best {
        let fits = |front: &&Frontend| front.sites.iter().any(|own| site_fit(own, &site) == Some(best));
        return Serving::These(fronts.into_iter().filter(fits).collect());
    }
    if fronts.is_empty() {
        return Serving::Nobody;
    }
    if fronts.iter().any(|front| front.sites.iter().any(|own| own.starts_with('~'))) {
        return Serving::Unknown;
    }
    Serving::These(fronts.into_iter().filter(|front| front.is_default).collect())
}

/// How well a written name fits: exact, then by a leading star, then by a trailing one, longer before shorter.
fn site_fit(own: &str, site: &str) -> Option<(u8, usize)> {
    let own = own.to_ascii_lowercase();
    if own == site {
        return Some((3, own.len()));
    }
    if let Some(end) = own.strip_prefix('*').or(own.starts_with('.').then_some(own.as_str()))
        && (site.ends_with(end) || Some(site) == end.strip_prefix('.').filter(|_| own.starts_with('.')))
    {
        return Some((2, own.len()));
    }
    let start = own.strip_suffix(".*")?;
    site.strip_prefix(start)?.starts_with('.').then_some((1, own.len()))
}

/// How well a location fits a path: `None` when only the program itself can tell, `Some(None)` when not at all.
fn path_fit(location: &str, path: &str) -> Option<Option<usize>> {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let prefix = match location.split_once(' ') {
        Some(("=", own)) => return Some((own == path).then_some(usize::MAX)),
        Some(("^~", own)) => own,
        _ if location.starts_with('~') => return None,
        // A named one takes what others hand on.
        _ if location.starts_with('@') => "",
        _ => location,
    };
    Some(path.starts_with(prefix).then_some(prefix.len()))
}

#[cfg(test)]
mod tests;
