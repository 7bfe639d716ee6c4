//! What several commands share: which way to leave this host, and the slips that show before anything is sent.

use crate::fail;
use crate::failure::while_trying;
use anyhow::Result;
use netwhy_model::{Host, Source};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// From where to send.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Way {
    /// Send from this address
    #[arg(long, value_name = "ADDR")]
    source_address: Option<String>,
    /// Send through this interface
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
}

/// Which family of addresses to use.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Family {
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Way {
    /// The source, with everything this host can check checked.
    pub fn source(&self, family: Option<u8>, resolvers: Vec<SocketAddr>) -> Result<Source> {
        let address = self.source_address.as_deref().map(own_address).transpose()?;
        checked(Source { address, interface: self.interface.clone(), family, resolvers })
    }
}

impl Family {
    /// `4`, `6` or either.
    pub fn number(&self) -> Option<u8> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(4),
            (_, true) => Some(6),
            _ => None,
        }
    }
}

/// Reads an address to send from.
pub fn own_address(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| {
        fail(
            (format!("{text:?} is not an address to send from"), format!("{text:?} 不是可用来发送的地址")),
            ("write one of this host's own: ip address", "请写本机的一个地址：ip address 可列出"),
        )
    })
}

/// Refuses a source this host does not have.
pub fn checked(source: Source) -> Result<Source> {
    if let (Some(family), Some(address)) = (source.family, source.address)
        && family != family_of(address)
    {
        return Err(fail(
            (format!("{address} is no IPv{family} address"), format!("{address} 不是 IPv{family} 地址")),
            ("leave out -4, -6 or --source-address", "去掉 -4、-6 或 --source-address"),
        ));
    }
    if let Some(name) = &source.interface
        && nix::net::if_::if_nametoindex(name.as_str()).is_err()
    {
        return Err(fail(
            (format!("this host has no interface {name:?}"), format!("本机没有网卡 {name:?}")),
            ("ip link lists them", "ip link 可列出"),
        ));
    }
    if let Some(address) = source.address
        && !is_ours(address)
    {
        return Err(fail(
            (format!("{address} is no address of this host"), format!("{address} 不是本机的地址")),
            ("ip address lists them", "ip address 可列出"),
        ));
    }
    Ok(source)
}

/// The kernel's own answer: an address that can be bound; what else may fail there is not judged here.
fn is_ours(address: IpAddr) -> bool {
    let bound = std::net::UdpSocket::bind((address, 0));
    !bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
}

/// `4` or `6`.
pub fn family_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// A file that can be opened, so that a slip shows before anything is sent.
pub fn readable(flag: &str, path: Option<&Path>) -> Result<Option<String>> {
    let Some(path) = path else { return Ok(None) };
    let shown = path.display().to_string();
    let is_folder = || std::io::Error::from(std::io::ErrorKind::IsADirectory);
    let opened = match path.is_dir() {
        true => Err(is_folder()),
        false => std::fs::File::open(path).map(|_| ()),
    };
    let tried = (format!("cannot read {flag} {shown:?}"), format!("无法读取 {flag} {shown:?}"));
    opened.map(|()| Some(shown)).map_err(|error| while_trying(tried, error))
}

/// The host has no address, or none of the family wanted.
pub fn no_address(host: &Host, family: Option<u8>) -> anyhow::Error {
    let (kind, kind_zh) = match family {
        Some(family) => (format!(" of IPv{family}"), format!(" IPv{family}")),
        None => (String::new(), String::new()),
    };
    fail(
        (format!("{host} has no address{kind} here"), format!("在此无法得到 {host} 的{kind_zh} 地址")),
        (format!("ask why with: netwhy dns {host}"), format!("询问原因：netwhy dns {host}")),
    )
}

/// A method is a token (RFC 9110, section 9.1).
pub fn method(text: &str) -> Result<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(fail(
            (format!("{text:?} is not a request method"), format!("{text:?} 不是请求方法")),
            ("such as GET, HEAD or POST", "例如 GET、HEAD 或 POST"),
        ));
    }
    Ok(text.to_owned())
}

/// A path as a request line carries it.
pub fn rooted(path: &str) -> Result<String> {
    if !path.starts_with('/') || path.contains(|c: char| c.is_control() || c == ' ') {
        return Err(fail(
            (format!("{path:?} is not a health-check path"), format!("{path:?} 不是健康检查路径")),
            ("it starts with /, such as /healthz", "应以 / 开头，如 /healthz"),
        ));
    }
    Ok(path.to_owned())
}
