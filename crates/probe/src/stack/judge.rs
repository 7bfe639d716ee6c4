//! From what came back to the values of the facts. Pure.

use super::acks::{Acks, Tries};
use super::service::{CLASS, Reset};

/// RSTs without our type of service that the target's port must send before a firewall is behind it.
const ZEROED_COUNT_MIN: usize = 2;
/// ACKs that must have left before silence is told.
const LEFT_COUNT_MIN: usize = 2;

/// A fact's value, and the packets that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub value: &'static str,
    pub text: String,
}

/// The fact `tcp.rst_tos`: the target's RSTs beside those of closed ports of the same host.
pub(super) fn service(target: u16, resets: &[Reset]) -> Found {
    let (own, others): (Vec<&Reset>, Vec<&Reset>) = resets.iter().partition(|(port, _)| *port == target);
    let all_own = |class: u8| !own.is_empty() && own.iter().all(|(_, c)| *c == class);
    let control_echoes = others.iter().any(|(_, class)| *class == CLASS);
    let value = if all_own(CLASS) {
        "echoes"
    } else if all_own(0) && own.len() >= ZEROED_COUNT_MIN && control_echoes {
        "zeroed"
    } else {
        "none"
    };
    let list = |resets: &[&Reset]| {
        let parts: Vec<String> =
            resets.iter().map(|(port, class)| format!("{port} TOS {class:#04x}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let text = format!(
        "SYN with TOS {CLASS:#04x}; RST of the port: {}; of closed ports: {}",
        list(&own),
        list(&others)
    );
    Found { value, text }
}

/// The fact `tcp.ack_probe`; `None` where silence would say nothing of the port.
pub(super) fn acks(acks: &Acks) -> Option<Found> {
    let value = if !acks.target.resets_ms.is_empty() {
        "rst"
    } else if acks.target.left >= LEFT_COUNT_MIN
        && acks.target.others == 0
        // A closed port answers every stray ACK, unless something between eats them all.
        && acks.control.as_ref().is_none_or(|control| !control.resets_ms.is_empty())
    {
        "silent"
    } else {
        return None;
    };
    let control = acks.control.as_ref().map_or_else(|| "no closed port found".to_owned(), describe);
    Some(Found { value, text: format!("bare ACK to {}; closed {control}", describe(&acks.target)) })
}

fn describe(tries: &Tries) -> String {
    let soonest = tries.resets_ms.iter().copied().reduce(f64::min);
    match soonest {
        Some(ms) => format!("port {}: {} sent, RST after {ms:.2} ms", tries.port, tries.left),
        None => format!("port {}: {} sent, no answer", tries.port, tries.left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firewall_needs_two_zeroes_and_a_port_that_echoes() {
        let value = |resets: &[Reset]| service(80, resets).value;
        assert_eq!(value(&[(80, 0), (80, 0), (61_000, 0x28)]), "zeroed");
        assert_eq!(value(&[(80, 0), (61_000, 0x28)]), "none");
        assert_eq!(value(&[(80, 0), (80, 0), (61_000, 0)]), "none");
        assert_eq!(value(&[(80, 0), (80, 0)]), "none");
        assert_eq!(value(&[(80, 0), (80, 0x28), (61_000, 0x28)]), "none");
        assert_eq!(value(&[(80, 0x28), (80, 0x28)]), "echoes");
        assert_eq!(value(&[]), "none");
    }

    #[test]
    fn silence_counts_only_where_a_closed_port_answers() {
        let tries = |port, left, resets: &[f64]| Tries { port, left, resets_ms: resets.to_vec(), others: 0 };
        let value = |target: Tries, control: Option<Tries>| acks(&Acks { target, control }).map(|f| f.value);
        assert_eq!(value(tries(80, 1, &[0.4]), None), Some("rst"));
        assert_eq!(value(tries(80, 3, &[]), None), Some("silent"));
        assert_eq!(value(tries(80, 3, &[]), Some(tries(61_000, 3, &[0.3]))), Some("silent"));
        assert_eq!(value(tries(80, 3, &[]), Some(tries(61_000, 3, &[]))), None);
        assert_eq!(value(tries(80, 1, &[]), None), None);
        assert_eq!(value(Tries { others: 1, ..tries(80, 3, &[]) }, None), None);
    }
}
