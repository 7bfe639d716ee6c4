//! What must hold of a scenario before anything is built.

use crate::address::End;
use crate::pki::Profile;
use crate::scenario::{Network, Scenario, Service};
use crate::step::{self, Listener, Step};
use std::collections::BTreeSet;

type Checked = Result<(), String>;

/// Checks names, references, steps, addresses and options; the error is one sentence.
pub fn check(scenario: &Scenario) -> Checked {
    let head = &scenario.head;
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if head.name.is_empty() || !plain(&head.name) {
        return Err("the name must be lower-case letters, digits and -".into());
    }
    if head.cause.len() > 2 {
        return Err("at most two causes".into());
    }
    if !head.is_control() && (head.inject.is_empty() || head.heal.is_empty()) {
        return Err("a fault needs inject and heal".into());
    }
    if head.is_control() && !head.heal.is_empty() {
        return Err("a healthy control has nothing to heal".into());
    }
    for words in [&head.en, &head.zh] {
        if words.title.is_empty() || words.what.is_empty() {
            return Err("title and what must say something in both languages".into());
        }
    }
    if !scenario.network.host.iter().any(|host| host.name == head.from) {
        return Err(format!("netwhy shall run on {:?}, which is no host", head.from));
    }
    check_network(&scenario.network)?;
    check_steps(&scenario.network, head.inject.iter().chain(&head.heal))
}

/// Checks a network alone.
pub fn check_network(network: &Network) -> Checked {
    let hosts: BTreeSet<&str> = network.host.iter().map(|host| host.name.as_str()).collect();
    let known = |host: &str, by: &str| {
        if hosts.contains(host) { Ok(()) } else { Err(format!("{by} names {host:?}, which is no host")) }
    };
    if let Some(name) = hosts.iter().find(|host| ["pki", "zones", ""].contains(host)) {
        return Err(format!("no host may be called {name:?}"));
    }
    for link in &network.link {
        for text in &link.ends {
            known(&End::parse(text)?.host, &format!("link {}", link.name))?;
        }
        if link.ends.len() < 2 || (link.ends.len() > 2 && !link.shape.is_plain()) {
            return Err(format!("link {}: two ends, or more without a shape", link.name));
        }
    }
    for host in &network.host {
        for route in &host.routes {
            crate::address::Route::parse(route)?;
        }
    }
    for cert in &network.cert {
        Profile::parse(&cert.profile)
            .ok_or(format!("no certificate profile is called {:?}", cert.profile))?;
    }
    for service in &network.service {
        known(&service.host, &format!("service {}", service.name))?;
        check_service(service)?;
    }
    for (role, host) in network.ends.iter().filter(|(_, host)| !host.is_empty()) {
        known(host, &format!("the end {role}"))?;
    }
    for file in &network.file {
        known(&file.host, &format!("file {}", file.path))?;
    }
    check_steps(network, network.setup.iter())
}

fn check_service(service: &Service) -> Checked {
    let name = &service.name;
    for text in &service.ready {
        Listener::parse(text).ok_or(format!("service {name}: {text:?} is not like tcp:443"))?;
    }
    if service.kind != "exec" {
        return crate::server::check(&service.kind, &service.options)
            .map_err(|why| format!("service {name}: {why}"));
    }
    if service.command.is_empty() {
        return Err(format!("service {name} has no command"));
    }
    match service.options.keys().next() {
        Some(key) => Err(format!("service {name}: unknown key {key:?}")),
        None => Ok(()),
    }
}

fn check_steps<'a>(network: &Network, steps: impl Iterator<Item = &'a String>) -> Checked {
    for text in steps {
        let found = match step::parse(text)? {
            Step::Shell { host, .. } | Step::Listening { host, .. } => {
                network.host.iter().any(|known| known.name == host)
            }
            Step::Service { name, options, .. } => check_options(network, &name, &options)?,
            Step::Cert { name, profile, .. } => {
                let profile = profile.unwrap_or_default();
                Profile::parse(&profile).ok_or(format!("no certificate profile is called {profile:?}"))?;
                network.cert.iter().any(|cert| cert.name == name)
            }
            Step::Link { name, .. } => {
                network.link.iter().any(|link| link.name == name && link.ends.len() == 2)
            }
            Step::File { name, broken } => network
                .file
                .iter()
                .any(|file| (file.name == name || file.path == name) && (!broken || file.broken.is_some())),
            Step::Pause(_) => true,
        };
        if !found {
            return Err(format!("step {text:?} names something that is not there"));
        }
    }
    Ok(())
}

fn check_options(
    network: &Network,
    name: &str,
    options: &std::collections::BTreeMap<String, serde_json::Value>,
) -> Result<bool, String> {
    let Some(service) = network.service.iter().find(|service| service.name == name) else { return Ok(false) };
    if options.is_empty() {
        return Ok(true);
    }
    if service.kind == "exec" {
        return Err(format!("service {name} is a real daemon and takes no options in a step"));
    }
    let mut merged = service.options.clone();
    merged.extend(options.clone());
    crate::server::check(&service.kind, &merged).map_err(|why| format!("service {name}: {why}"))?;
    Ok(true)
}
