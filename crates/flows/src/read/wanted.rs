//! Which records a question needs, and which of their columns.

use crate::{Action, Address, Flow};
use std::ops::BitOr;

/// A set of the columns of `schema`, in its order, and the records they are wanted of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    columns: u32,
    /// Nothing where it is every record.
    records: Option<Records>,
}

/// The records with all of these values; what is not given may be any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Records {
    pub action: Option<Action>,
    pub protocol: Option<u8>,
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
    pub source: Option<Address>,
    pub destination: Option<Address>,
}

impl Records {
    /// Whether a record is one of them; its columns that are asked about are read already.
    #[inline(always)]
    pub fn has(&self, flow: &Flow) -> bool {
        self.action.is_none_or(|action| action == flow.action)
            && self.protocol.is_none_or(|protocol| protocol == flow.protocol)
            && self.source_port.is_none_or(|port| port == flow.source_port)
            && self.destination_port.is_none_or(|port| port == flow.destination_port)
            && self.source.is_none_or(|source| source == flow.source)
            && self.destination.is_none_or(|destination| destination == flow.destination)
    }

    /// The columns that must be read to know.
    pub(super) fn columns(&self) -> Wanted {
        let column = |is_asked: bool, column: Wanted| if is_asked { column } else { Wanted::NONE };
        column(self.action.is_some(), Wanted::ACTION)
            | column(self.protocol.is_some(), Wanted::PROTOCOL)
            | column(self.source_port.is_some(), Wanted::SOURCE_PORT)
            | column(self.destination_port.is_some(), Wanted::DESTINATION_PORT)
            | column(self.source.is_some(), Wanted::SOURCE)
            | column(self.destination.is_some(), Wanted::DESTINATION)
    }
}

macro_rules! wanted {
    ($($name:ident $bit:literal;)*) => {
        impl Wanted { $(pub const $name: Wanted = Wanted::columns(1 << $bit);)* }
    };
}

wanted! {
    START 0; END 1; SOURCE 2; DESTINATION 3; SOURCE_PORT 4; DESTINATION_PORT 5; PROTOCOL 6; PACKETS 7; BYTES 8;
    TCP_FLAGS 9; ACTION 10; DIRECTION 11; OPENER 12; STATUS 13; ACCOUNT 14; INTERFACE 15; RULE 16; FILE 17; OFFSET 18;
}

impl Wanted {
    pub const NONE: Wanted = Wanted::columns(0);
    pub const ALL: Wanted = Wanted::columns((1 << 19) - 1);

    const fn columns(columns: u32) -> Wanted {
        Wanted { columns, records: None }
    }

    /// The same of these records only. Of others no more is looked at than what tells them: they are read and left out.
    pub fn of(self, records: Records) -> Wanted {
        let telling = records.columns();
        if telling == Wanted::NONE { self } else { Wanted { records: Some(records), ..self | telling } }
    }

    /// The records that are wanted, where it is not every one.
    pub fn records(&self) -> Option<Records> {
        self.records
    }

    /// The set of the columns with these names; the first unknown name otherwise.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Wanted, &'a str> {
        let columns = crate::schema::columns();
        names.into_iter().try_fold(Wanted::NONE, |all, name| {
            let place = columns.iter().position(|column| column.name == name).ok_or(name)?;
            Ok(all | Wanted::columns(1 << place))
        })
    }

    /// Whether any column of `other` is in this set.
    pub const fn has(self, other: Wanted) -> bool {
        self.columns & other.columns != 0
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
        if self.columns != Wanted::ALL.columns {
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

    /// The columns of both, of this one's records.
    fn bitor(self, other: Wanted) -> Wanted {
        Wanted { columns: self.columns | other.columns, ..self }
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
