//! Names of interfaces as bits.

/// How many different names and patterns one rule set may have to stay exact.
const ATOM_COUNT_MAX: usize = 63;

/// Every name that a rule set mentions, as a bit of its own; one more bit for all others.
///
/// A pattern (`eth*`) has the bits of the names and patterns it covers, and one for names nobody mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The name or what it begins with, and whether it is a pattern; sorted.
    atoms: Vec<(String, bool)>,
}

impl Names {
    /// `None` when there are more than 63: rules of interfaces then cannot be modelled.
    pub fn of(mentioned: impl IntoIterator<Item = (String, bool)>) -> Option<Names> {
        let mut atoms: Vec<(String, bool)> = mentioned.into_iter().collect();
        atoms.sort();
        atoms.dedup();
        (atoms.len() <= ATOM_COUNT_MAX).then_some(Names { atoms })
    }

    /// The bits of a name or pattern that was mentioned; for another name those of the longest pattern it fits,
    /// else the bit of all others.
    pub fn bits(&self, text: &str, prefix: bool) -> u64 {
        if prefix {
            let mut bits = 0;
            for (at, (atom, _)) in self.atoms.iter().enumerate() {
                if atom.starts_with(text) {
                    bits |= 1 << at;
                }
            }
            return if text.is_empty() { u64::MAX } else { bits };
        }
        if let Some(at) = self.atoms.iter().position(|(atom, pattern)| !pattern && atom == text) {
            return 1 << at;
        }
        let fits = |(atom, pattern): &(String, bool)| *pattern && text.starts_with(atom.as_str());
        let longest =
            self.atoms.iter().enumerate().filter(|(_, atom)| fits(atom)).max_by_key(|(_, a)| a.0.len());
        longest.map_or(1 << ATOM_COUNT_MAX, |(at, _)| 1 << at)
    }

    /// The bit of a name that was mentioned as itself; 0 when none was.
    pub fn exactly(&self, name: &str) -> u64 {
        self.atoms.iter().position(|(atom, pattern)| !pattern && atom == name).map_or(0, |at| 1 << at)
    }

    /// The names and patterns of some bits; `None` when it is all of them.
    pub fn words(&self, bits: u64) -> Option<String> {
        let all = self
            .atoms
            .iter()
            .enumerate()
            .map(|(at, _)| 1 << at)
            .fold(1 << ATOM_COUNT_MAX, |all, bit| all | bit);
        if bits & all == all {
            return None;
        }
        let own = self.atoms.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
        let mut words: Vec<String> = own
            .map(|(_, (atom, pattern))| if *pattern { format!("{atom}*") } else { atom.clone() })
            .collect();
        words.extend((bits >> ATOM_COUNT_MAX & 1 == 1).then(|| "other".to_owned()));
        Some(words.join(","))
    }

    /// One name that has this bit; `*` for "any other".
    pub fn example(&self, bits: u64) -> Option<String> {
        if bits == u64::MAX {
            return None;
        }
        let at = bits.trailing_zeros() as usize;
        Some(match self.atoms.get(at) {
            Some((atom, true)) => format!("{atom}*"),
            Some((atom, false)) => atom.clone(),
            None => "*".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_the_names_that_fit_it() {
        let names =
            Names::of([("eth0".to_owned(), false), ("eth".to_owned(), true), ("lo".to_owned(), false)]);
        let names = names.expect("few names");
        let (eth, eth0, eth1) =
            (names.bits("eth", true), names.bits("eth0", false), names.bits("eth1", false));
        assert_eq!(eth & eth0, eth0);
        assert_eq!(eth & eth1, eth1);
        assert_ne!(eth0, eth1);
        assert_eq!(eth & names.bits("lo", false), 0);
        assert_eq!(eth & names.bits("wg0", false), 0);
        assert_eq!(names.bits("wg0", false), names.bits("ppp0", false));
    }
}
