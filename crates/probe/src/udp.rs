//! Question "udp".

use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;

/// Answers the question "udp" for one address.
pub async fn udp(_case: &Case, _address: SocketAddr) -> Vec<Evidence> {
    Vec::new()
}
