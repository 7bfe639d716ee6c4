//! Prints what rtnetlink and sock_diag say here: for comparing with `ip`, `tc` and `ss` by eye.
//!
//! `cargo run -p netwhy-netlink --example look [sockets | ADDRESS [FROM [INTERFACE_INDEX]]]`
#![allow(clippy::print_stdout)]

use netwhy_netlink::sock_diag::{self, SocketQuery, Transport};
use netwhy_netlink::{route, xfrm};
use std::error::Error;
use std::net::IpAddr;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "sockets") {
        for transport in [Transport::Tcp, Transport::Udp] {
            sock_diag::sockets(&SocketQuery::all(transport), |socket| {
                println!("{} {} {}", sock_diag::state_name(socket.state), socket.local, socket.peer);
            })?;
        }
        return Ok(());
    }
    if let Some(to) = words.first() {
        let from: Option<IpAddr> = words.get(1).map(|word| word.parse()).transpose()?;
        let interface: Option<u32> = words.get(2).map(|word| word.parse()).transpose()?;
        let answer = route::route_get(to.parse()?, from, interface)?;
        println!("{} {answer:?}", answer.kind_name());
        return Ok(());
    }
    for link in route::links()? {
        println!("{link:?}");
    }
    for address in route::addresses()? {
        println!("{address:?}");
    }
    for neighbour in route::neighbours()? {
        println!("{} {neighbour:?}", neighbour.state_name());
    }
    for rule in route::rules()? {
        println!("rule {rule}");
    }
    for entry in route::routes()? {
        println!("route {entry}");
    }
    for qdisc in route::qdiscs()? {
        println!("{qdisc:?}");
    }
    for filter in route::filters()? {
        println!("{}: {filter} {filter:?}", filter.interface_name);
    }
    for policy in xfrm::policies()? {
        println!("{policy} {policy:?}");
    }
    println!("{} associations", xfrm::association_count()?);
    Ok(())
}
