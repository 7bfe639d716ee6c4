//! Which columns of a record a question needs.

use crate::Flow;
use std::ops::BitOr;

/// A set of the columns of `schema`, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted(u32);

macro_rules! wanted {
    ($($name:ident $bit:literal;)*) => {
        impl Wanted { $(pub const $name: Wanted = Wanted(1 << $bit);)* }
    };
}

wanted! {
    START 0; END 1; SOURCE 2; DESTINATION 3; SOURCE_PORT 4; DESTINATION_PORT 5; PROTOCOL 6; PACKETS 7; BYTES 8;
    TCP_FLAGS 9; ACTION 10; DIRECTION 11; OPENER 12; STATUS 13; ACCOUNT 14; INTERFACE 15; RULE 16; FILE 17; OFFSET 18;
}

impl Wanted {
    pub const NONE: Wanted = Wanted(0);
    pub const ALL: Wanted = Wanted((1 << 19) - 1);

    /// The set of the columns with these names; the first unknown name otherwise.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Wanted, &'a str> {
        let columns = crate::schema::columns();
        names.into_iter().try_fold(Wanted::NONE, |all, name| {
            let place = columns.iter().position(|column| column.name == name).ok_or(name)?;
            Ok(all | Wanted(1 << place))
        })
    }

    /// Whether any column of `other` is in this set.
    pub const fn has(self, other: Wanted) -> bool {
        self.0 & other.0 != 0
    }

    /// The record with the columns outside this set at their defaults; status, file and offset stay.
    pub fn only(self, mut flow: Flow) -> Flow {
        macro_rules! clear {
            ($($bit:ident $column:ident;)*) => {
                $(if !self.has(Wanted::$bit) {
                    flow.$column = Default::default();
                })*
            };
        }
        if self != Wanted::ALL {
            clear! {
                START start_ms; END end_ms; SOURCE source; DESTINATION destination; SOURCE_PORT source_port;
                DESTINATION_PORT destination_port; PROTOCOL protocol; PACKETS packets; BYTES bytes;
                TCP_FLAGS tcp_flags; ACTION action; DIRECTION direction; OPENER opener; ACCOUNT account;
                INTERFACE interface; RULE rule;
            }
        }
        flow
    }
}

impl BitOr for Wanted {
    type Output = Wanted;

    fn bitor(self, other: Wanted) -> Wanted {
        Wanted(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_the_columns_of_the_schema() {
        let names: Vec<_> = crate::schema::columns().iter().map(|column| column.name).collect();
        assert_eq!(Wanted::named(names.iter().copied()), Ok(Wanted::ALL));
        let some = Wanted::SOURCE | Wanted::DESTINATION_PORT | Wanted::TCP_FLAGS | Wanted::OFFSET;
        assert_eq!(Wanted::named(["src", "dport", "tcp_flags", "offset"]), Ok(some));
        assert_eq!(Wanted::named(["src", "color"]), Err("color"));
    }
}
