//! The smallest policy that lets packets through.

use super::Kube;
use crate::estate::Fix;
use crate::gate::Gate;
use crate::space::Cube;

pub(super) fn allow(_kube: &Kube, _gate: &Gate, _packets: &[Cube]) -> Vec<Fix> {
    Vec::new()
}
