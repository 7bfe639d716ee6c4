//! What NAT makes of packets.

use super::flow::Flow;
use crate::netfilter::ast::{Data, Element, Hook, Nat, NatKind, Span};
use crate::space::{Cube, Family, Nat as Changed, PORT_PROTOCOLS, State};

type Addresses = Option<(u128, u128)>;
type Ports = Option<(u16, u16)>;

/// The packets after a rule of NAT; those it left as they are stand apart.
pub(super) fn apply(flow: Flow, hook: Hook, change: &Nat, addresses: Addresses, ports: Ports) -> Vec<Flow> {
    let of_destination = match change.kind {
        NatKind::Destination | NatKind::Redirect => true,
        NatKind::Source | NatKind::Masquerade => false,
        NatKind::Netmap => matches!(hook, Hook::Prerouting | Hook::Output),
    };
    let any = Some((0, flow.now.family.last()));
    let addresses = match change.kind {
        NatKind::Redirect if hook == Hook::Output => Some(match flow.now.family {
            Family::V4 => (0x7f00_0001, 0x7f00_0001),
            Family::V6 => (1, 1),
        }),
        // The address of an interface, which is not in the rules.
        NatKind::Redirect | NatKind::Masquerade => any,
        NatKind::Destination | NatKind::Source | NatKind::Netmap => addresses,
    };
    let same = unchanged(&flow.now, of_destination, addresses, ports);
    let (same, others) = match same {
        Some(cube) => flow.split(&[cube]),
        None => (Vec::new(), vec![flow]),
    };
    let same = same.into_iter().map(|flow| Flow { translated_here: true, ..flow });
    let others = others.into_iter().map(|flow| {
        let mut flow =
            if of_destination { destination(flow, addresses, ports) } else { source(flow, addresses, ports) };
        flow.translated_here = true;
        flow.local = change.kind == NatKind::Redirect;
        flow
    });
    same.chain(others).collect()
}

/// The packets that have the new address and port already: they count as not translated.
fn unchanged(cube: &Cube, of_destination: bool, addresses: Addresses, ports: Ports) -> Option<Cube> {
    let (first, last) = addresses?;
    if first != last || ports.is_some_and(|(first, last)| first != last) {
        return None;
    }
    let mut same = Cube::all(cube.family);
    let (address, port) = match of_destination {
        true => (&mut same.destination, &mut same.destination_ports),
        false => (&mut same.source, &mut same.source_ports),
    };
    *address = (first, last);
    *port = ports.unwrap_or(*port);
    cube.and(&same)
}

fn destination(mut flow: Flow, addresses: Addresses, ports: Ports) -> Flow {
    if let Some(addresses) = addresses {
        flow.now.destination = addresses;
        flow.moved.destination = true;
    }
    if let Some(ports) = ports.filter(|_| has_ports(&flow.now)) {
        flow.now.destination_ports = ports;
        flow.moved.destination_ports = true;
    }
    mark(&mut flow, Changed::Destination, Changed::Source);
    flow
}

fn source(mut flow: Flow, addresses: Addresses, ports: Ports) -> Flow {
    if let Some(addresses) = addresses {
        flow.now.source = addresses;
        flow.moved.source = true;
    }
    if let Some(ports) = ports.filter(|_| has_ports(&flow.now)) {
        flow.now.source_ports = ports;
        flow.moved.source_ports = true;
    }
    mark(&mut flow, Changed::Source, Changed::Destination);
    flow
}

fn has_ports(cube: &Cube) -> bool {
    cube.protocols.without(&PORT_PROTOCOLS).is_empty()
}

/// The connection is known as translated from here on.
fn mark(flow: &mut Flow, this: Changed, other: Changed) {
    let was_other = !flow.now.state.and(State::nat(other)).is_empty();
    let nat = if was_other { Changed::Both } else { this };
    flow.now.state = State::NEW.and(State::nat(nat));
    flow.moved.state = true;
}

/// What an element of a map of NAT gives: an address, a port, or both.
pub(super) fn of_map(element: &Element, gives_address: bool, gives_port: bool) -> (Addresses, Ports) {
    let Some(Data::Values(spans)) = &element.data else { return (None, None) };
    let mut numbers = spans.iter().filter_map(|span| match span {
        Span::Numbers(first, last) => Some((*first, *last)),
        Span::Name { .. } => None,
    });
    let addresses = if gives_address { numbers.next() } else { None };
    let ports = if gives_port { numbers.next() } else { None };
    let short = |number: u128| u16::try_from(number).ok();
    (addresses, ports.and_then(|(first, last)| short(first).zip(short(last))))
}
