//! Addresses as scenario files write them: link ends, routes, and `{host.v4}` in texts.

use crate::scenario::Network;
use std::net::IpAddr;

/// One end of a link: `client:eth0 10.61.1.10/24 fd61:1::10/64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub host: String,
    /// `None`: the first free `eth` number.
    pub interface: Option<String>,
    pub addresses: Vec<(IpAddr, u8)>,
}

impl End {
    /// Reads one end.
    pub fn parse(text: &str) -> Result<End, String> {
        let mut words = text.split_whitespace();
        let place = words.next().ok_or("a link end is empty")?;
        let (host, interface) = match place.split_once(':') {
            Some((host, interface)) => (host, Some(interface.to_owned())),
            None => (place, None),
        };
        if interface
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.len() > crate::netlink::NAME_BYTES_MAX)
        {
            return Err(format!("link end {text:?}: an interface name has 1 to 15 characters"));
        }
        let addresses = words.map(prefixed).collect::<Result<_, _>>()?;
        Ok(End { host: host.to_owned(), interface, addresses })
    }
}

/// A route: `default via 10.61.1.1` or `10.61.80.0/24 via 10.61.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub target: IpAddr,
    pub prefix: u8,
    pub gateway: IpAddr,
}

impl Route {
    /// Reads one route.
    pub fn parse(text: &str) -> Result<Route, String> {
        let bad = || format!("{text:?} is not a route such as `default via 10.61.1.1`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [target, "via", gateway] = words.as_slice() else { return Err(bad()) };
        let gateway: IpAddr = gateway.parse().map_err(|_| bad())?;
        let (target, prefix) = match *target {
            "default" => (unspecified(gateway), 0),
            target => prefixed(target)?,
        };
        if target.is_ipv4() != gateway.is_ipv4() {
            return Err(bad());
        }
        Ok(Route { target, prefix, gateway })
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::from([0u8; 4]),
        IpAddr::V6(_) => IpAddr::from([0u8; 16]),
    }
}

fn prefixed(text: &str) -> Result<(IpAddr, u8), String> {
    let bad = || format!("{text:?} is not an address with a prefix length");
    let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let prefix: u8 = prefix.parse().map_err(|_| bad())?;
    if prefix > if address.is_ipv4() { 32 } else { 128 } {
        return Err(bad());
    }
    Ok((address, prefix))
}

/// Every end of the network with its interface name settled: link by link, in order.
pub fn settled_ends(network: &Network) -> Result<Vec<Vec<End>>, String> {
    let mut taken: Vec<(String, String)> = Vec::new();
    let mut links = Vec::new();
    for link in &network.link {
        let mut ends = Vec::new();
        for text in &link.ends {
            let mut end = End::parse(text)?;
            let free = |name: &String| !taken.contains(&(end.host.clone(), name.clone()));
            let name = match end.interface.take() {
                Some(name) => name,
                None => (0..).map(|n| format!("eth{n}")).find(free).unwrap_or_default(),
            };
            taken.push((end.host.clone(), name.clone()));
            ends.push(End { interface: Some(name), ..end });
        }
        links.push(ends);
    }
    Ok(links)
}

/// What may stand in texts and what it becomes: `{origin.v4}`, `{origin.eth1.v6}`, `{origin.dev}`, `{pki}`.
#[derive(Debug, Clone, Default)]
pub struct Words(Vec<(String, String)>);

impl Words {
    /// Collects the words of a network.
    pub fn of(network: &Network) -> Result<Words, String> {
        let mut words = vec![];
        for (name, path) in [("pki", "pki"), ("zones", "zones"), ("run", "")] {
            let path = format!("{}/{path}", crate::isolate::LAB_DIRECTORY);
            words.push((format!("{{{name}}}"), path.trim_end_matches('/').to_owned()));
        }
        let mut add = |key: String, value: &str| {
            if !words.iter().any(|(known, _)| *known == key) {
                words.push((key, value.to_owned()));
            }
        };
        for end in settled_ends(network)?.iter().flatten() {
            let host = &end.host;
            let interface = end.interface.as_deref().unwrap_or_default();
            add(format!("{{{host}.dev}}"), interface);
            for (address, _) in &end.addresses {
                let family = if address.is_ipv4() { "v4" } else { "v6" };
                add(format!("{{{host}.{family}}}"), &address.to_string());
                add(format!("{{{host}.{interface}.{family}}}"), &address.to_string());
            }
        }
        Ok(Words(words))
    }

    /// A text with every word replaced; other braces stay as they are.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains('{') {
            return text.to_owned();
        }
        self.0.iter().fold(text.to_owned(), |text, (key, value)| text.replace(key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Link;
    use proptest::prelude::*;

    #[test]
    fn names_interfaces_in_order_and_fills_words() {
        let ends = |a: &str, b: &str| Link { ends: vec![a.into(), b.into()], ..Link::default() };
        let network = Network {
            link: vec![ends("a 10.61.1.1/24 fd61::1/64", "b:wan 10.61.1.2/24"), ends("a 10.61.2.1/24", "c")],
            ..Network::default()
        };
        let words = Words::of(&network).unwrap();
        assert_eq!(
            words.fill("{a.v4} {a.v6} {a.eth1.v4} {b.dev} { x }"),
            "10.61.1.1 fd61::1 10.61.2.1 wan { x }"
        );
        assert_eq!(words.fill("{pki}/x.pem"), "/run/lab/pki/x.pem");
    }

    #[test]
    fn reads_routes() {
        assert_eq!(Route::parse("default via fd61::1").unwrap().prefix, 0);
        assert_eq!(Route::parse("10.61.0.0/16 via 10.61.1.1").unwrap().prefix, 16);
        for text in ["default", "10.0.0.0/33 via 10.0.0.1", "fd61::/64 via 10.0.0.1", "via via via"] {
            assert!(Route::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,60}") {
            let _ = (Route::parse(&text), End::parse(&text));
        }
    }
}
