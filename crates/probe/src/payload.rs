//! Question "payload".

use crate::connect::Connected;
use netwhy_model::{Case, Evidence};
use std::net::SocketAddr;

/// Answers the question "payload" for one address.
pub async fn payload(_case: &Case, _address: SocketAddr, _connected: &Connected) -> Vec<Evidence> {
    Vec::new()
}
