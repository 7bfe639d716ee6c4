//! Boxes and packets as small as they can be kept and compared.

use super::{Bounds, Point};

/// A number as the index keeps it.
pub trait Number: Copy + Ord + std::fmt::Debug {
    const BITS: u32;

    /// Of numbers too large the largest there is.
    fn of(number: u128) -> Self;

    fn wide(self) -> u128;

    /// How far it lies behind another, around the end where it lies before.
    fn behind(self, other: Self) -> Self;
}

macro_rules! number {
    ($($own:ty)*) => {$(
        impl Number for $own {
            const BITS: u32 = <$own>::BITS;

            fn of(number: u128) -> $own {
                <$own>::try_from(number).unwrap_or(<$own>::MAX)
            }

            fn wide(self) -> u128 {
                self.into()
            }

            #[inline]
            fn behind(self, other: $own) -> $own {
                self.wrapping_sub(other)
            }
        }
    )*};
}

number!(u8 u16 u32 u128);

/// A range that is not empty: where it begins, and how far its last number lies behind that. So one comparison
/// tells whether a number is in it.
#[derive(Debug, Clone, Copy)]
struct Reach<N> {
    first: N,
    width: N,
}

impl<N: Number> Reach<N> {
    fn of((first, last): (N, N)) -> Reach<N> {
        Reach { first, width: last.behind(first) }
    }

    #[inline]
    fn has(self, number: N) -> bool {
        number.behind(self.first) <= self.width
    }
}

/// A packet with numbers as short as those of the boxes it is held against.
#[derive(Debug, Clone, Copy)]
pub struct Narrow<N> {
    pub source: N,
    pub destination: N,
    source_port: u16,
    pub destination_port: u16,
    protocol: u8,
}

impl<N: Number> Narrow<N> {
    pub fn of(point: &Point) -> Narrow<N> {
        Narrow {
            source: N::of(point.source),
            destination: N::of(point.destination),
            source_port: point.source_port,
            destination_port: point.destination_port,
            protocol: point.protocol,
        }
    }
}

/// A box with its number.
#[derive(Debug, Clone, Copy)]
pub struct Entry<N> {
    pub number: u32,
    destination: Reach<N>,
    source: Reach<N>,
    destination_port: Reach<u16>,
    source_port: Reach<u16>,
    protocol: Reach<u8>,
}

impl<N: Number> Entry<N> {
    /// Of bounds that are not empty.
    pub fn new(number: u32, bounds: &Bounds) -> Entry<N> {
        let addresses = |(first, last): (u128, u128)| Reach::of((N::of(first), N::of(last)));
        Entry {
            number,
            destination: addresses(bounds.destination),
            source: addresses(bounds.source),
            destination_port: Reach::of(bounds.destination_port),
            source_port: Reach::of(bounds.source_port),
            protocol: Reach::of(bounds.protocol),
        }
    }

    /// Whether a packet is in it.
    #[inline]
    pub fn holds(&self, point: &Narrow<N>) -> bool {
        // No branches: which of them fails is hard to foretell.
        self.destination.has(point.destination)
            & self.source.has(point.source)
            & self.destination_port.has(point.destination_port)
            & self.source_port.has(point.source_port)
            & self.protocol.has(point.protocol)
    }
}
