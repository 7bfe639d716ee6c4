//! Distance by TTL: senders start at 64, 128 or 255, and each router takes one away.

/// Hops a packet has crossed, guessed from its TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hops(u8);

/// One sender's place beside another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Same,
    Nearer,
    Farther,
}

impl Hops {
    /// Guesses the distance from the next common starting value at or above.
    pub(crate) fn of(ttl: u8) -> Hops {
        let start = [32, 64, 128, 255].into_iter().find(|start| ttl <= *start).unwrap_or(255);
        Hops(start - ttl)
    }

    /// Where this sender is beside another.
    pub(crate) fn beside(self, other: Hops) -> Place {
        match self.cmp(&other) {
            std::cmp::Ordering::Equal => Place::Same,
            std::cmp::Ordering::Less => Place::Nearer,
            std::cmp::Ordering::Greater => Place::Farther,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_guessed() {
        assert_eq!(Hops::of(62), Hops(2));
        assert_eq!(Hops::of(126), Hops(2));
        assert_eq!(Hops::of(253), Hops(2));
        assert_eq!(Hops::of(64).beside(Hops::of(62)), Place::Nearer);
        assert_eq!(Hops::of(254).beside(Hops::of(61)), Place::Nearer);
    }
}
