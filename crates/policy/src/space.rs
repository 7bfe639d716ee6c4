//! The space of packets: a [`Cube`] is a set of packets that no union is needed for, a region a list of cubes
//! that do not overlap.

mod axis;
mod cube;
mod join;
mod names;
mod words;

pub use axis::Ranges;
pub use cube::{Cube, Family, Nat, PORT_PROTOCOLS, Protocols, State};
pub use join::join;
pub use names::Names;
pub use words::{address, number, range};

/// What is left of a region without one cube.
///
/// Cubes of the region that do not overlap stay such.
pub fn subtract(region: &[Cube], taken: &Cube) -> Vec<Cube> {
    let mut left = Vec::with_capacity(region.len());
    for cube in region {
        cube.minus(taken, &mut left);
    }
    left
}

/// What a region and a cube share.
pub fn intersect(region: &[Cube], other: &Cube) -> Vec<Cube> {
    region.iter().filter_map(|cube| cube.and(other)).collect()
}
