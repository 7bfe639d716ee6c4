//! Networks as AWS writes them, and what of them is the internet's.

pub use crate::read::{Span as Net, address, number};

use crate::read::{private, without};
use crate::space::Family;

/// What the internet does not route, beside private networks.
const NOT_ROUTED: [&str; 3] = ["0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"];
/// All that the internet routes of IPv6.
const GLOBAL_V6: &str = "2000::/3";

/// A range of addresses as a network.
pub const fn span(family: Family, (first, last): (u128, u128)) -> Net {
    Net { family, first, last }
}

/// The ranges of addresses that the internet has.
pub fn public(family: Family) -> Vec<(u128, u128)> {
    let nets = match family {
        Family::V6 => Net::read(GLOBAL_V6).into_iter().collect(),
        Family::V4 => {
            let mut taken = private();
            taken.extend(NOT_ROUTED.iter().filter_map(|text| Net::read(text)));
            without(&[Net::all(Family::V4)], &taken)
        }
    };
    nets.iter().map(|net| (net.first, net.last)).collect()
}

/// Whether every address of a range is one of the internet's.
pub fn is_public(family: Family, (first, last): (u128, u128)) -> bool {
    public(family).iter().any(|(from, to)| *from <= first && last <= *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_internet_has_no_private_addresses() {
        let is = |text: &str| Net::read(text).is_some_and(|net| is_public(net.family, (net.first, net.last)));
        assert!(is("8.8.8.8") && is("172.32.0.1") && is("2600::1"));
        assert!(!is("172.31.0.1") && !is("100.64.1.1") && !is("224.0.0.1") && !is("fd00::1"));
    }
}
