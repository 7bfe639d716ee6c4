//! `netwhy policy can`: may A reach B, which rule stops it, what mends it.

use super::tell::{answer, code};
use super::{Sources, files};
use crate::failure::did_you_mean;
use crate::{Common, fail, print};
use anyhow::Result;
use clap::ValueEnum;
use netwhy_model::Target;
use netwhy_policy::estate::{Ask, End, Request};
use netwhy_policy::world::{Role, World};

/// May A reach B?
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who asks: an address, a network, a name in the files, or outside
    #[arg(value_name = "FROM")]
    from: String,
    /// What is asked: an address, network or name with a port
    #[arg(value_name = "TO:PORT")]
    to: String,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    how: How,
    /// What is asked for, where rules of load balancers look at it: https://shop.example.com/api/orders
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// What a question goes by.
#[derive(Debug, Default, clap::Args)]
pub(super) struct How {
    /// The transport protocol, as a name or number
    #[arg(long, value_name = "NAME", default_value = "tcp")]
    pub protocol: String,
    /// What a host's packet filter among the files is: of the one asked, of the one asking, or of a router between
    #[arg(long, value_enum)]
    pub hook: Option<Hook>,
    /// The interface a packet comes in by
    #[arg(long = "in", value_name = "NAME")]
    pub from_interface: Option<String>,
    /// The interface it leaves by
    #[arg(long = "out", value_name = "NAME")]
    pub to_interface: Option<String>,
}

/// Where a packet filter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Hook {
    Input,
    Output,
    Forward,
}

impl How {
    pub(super) fn role(&self) -> Option<Role> {
        self.hook.map(|hook| match hook {
            Hook::Input => Role::Input,
            Hook::Output => Role::Output,
            Hook::Forward => Role::Forward,
        })
    }

    /// The protocol's number.
    pub(super) fn protocol(&self) -> Result<u8> {
        const NAMES: [(&str, u8); 7] =
            [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmpv6", 58), ("sctp", 132), ("esp", 50), ("gre", 47)];
        let lower = self.protocol.to_ascii_lowercase();
        let known = NAMES.iter().find(|(name, _)| *name == lower).map(|(_, number)| *number);
        known.or_else(|| lower.parse().ok()).ok_or_else(|| {
            fail(
                (
                    format!("there is no protocol {:?}", self.protocol),
                    format!("没有 {:?} 这种协议", self.protocol),
                ),
                did_you_mean(&lower, NAMES.map(|(name, _)| name)),
            )
        })
    }
}

pub(super) fn run(args: &Args, common: &Common) -> Result<u8> {
    let world = world(&args.sources, &args.how, common)?;
    let from = end(&world, &args.from)?;
    let (to, port) = split_port(&args.to);
    let ask = Ask {
        from,
        to: end(&world, to)?,
        protocol: args.how.protocol()?,
        port,
        request: args.url.as_deref().map(request).transpose()?,
    };
    if ask.port.is_none() && matches!(ask.protocol, 6 | 17 | 132) {
        return Err(fail(
            (format!("{:?} names no port", args.to), format!("{:?} 没有端口", args.to)),
            (format!("write {}:443", args.to), format!("写作 {}:443", args.to)),
        ));
    }
    let told = world.can(&ask);
    if common.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    } else {
        files::tell_unread(world.unread(), common.lang);
        let question = format!("{} → {} ({})", args.from, args.to, args.how.protocol);
        print(&answer(&told, &question, common))?;
    }
    Ok(code(told.verdict))
}

/// The request of a URL.
fn request(text: &str) -> Result<Request> {
    Request::of(&text.parse::<Target>()?).ok_or_else(|| {
        fail(
            (format!("{text:?} is no URL of the web"), format!("{text:?} 不是网页地址")),
            ("write https://shop.example.com/path", "写作 https://shop.example.com/path"),
        )
    })
}

/// Reads the files, or this machine's rules.
pub(super) fn world(sources: &Sources, how: &How, common: &Common) -> Result<World> {
    let given = sources.given.given(how.role())?;
    let mut read = Vec::new();
    if let Some(context) = &sources.cluster {
        read.extend(files::cluster(context)?);
    }
    let paths = sources.paths();
    if read.is_empty() || !paths.is_empty() {
        read.extend(files::sources(&paths, common)?);
    }
    let world = World::read_given(&read, given);
    Ok(world.through(how.from_interface.as_deref(), how.to_interface.as_deref()))
}

/// An end as the user writes it.
pub(super) fn end(world: &World, text: &str) -> Result<End> {
    world.end(text).ok_or_else(|| {
        fail(
            (format!("the files know no {text:?}"), format!("文件中没有 {text:?}")),
            did_you_mean(text, world.names()),
        )
    })
}

/// `host:443`, `[2001:db8::7]:443`, `10.0.0.0/8:443`; the port is what follows the last colon, if it is a number.
pub(super) fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some((host, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return (host, port.parse().ok());
    }
    match text.rsplit_once(':') {
        // A bare IPv6 address has more colons and no port.
        Some((host, port)) if !host.contains(':') && port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        _ => (text.trim_start_matches('[').trim_end_matches(']'), None),
    }
}
