//! SYNs with an unusual type of service, by the kernel, and the type of service of the RSTs that answer.

use super::CONTROL_COUNT;
use crate::connect::attempt::{Attempt, Plan, attempt};
use crate::connect::unlikely_ports;
use crate::tap::{Tap, flow};
use netwhy_model::Source;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// AF11: an ordinary value, so that nobody drops it, and not the usual 0 (RFC 2597); its ECN bits are 0.
pub(super) const CLASS: u8 = 0x28;
/// Times the target's port is asked.
const TARGET_COUNT: usize = 2;

/// The RSTs one port sent: the port, and the type of service of each.
pub(super) type Reset = (u16, u8);

/// Asks the target's port twice and closed ports of the same host, all at once; at most `wait`.
///
/// # Errors
/// EPERM without CAP_NET_RAW.
pub(super) async fn ask(source: &Arc<Source>, address: SocketAddr, wait: Duration) -> io::Result<Vec<Reset>> {
    let mut tap = Tap::open(&[address.ip()])?;
    let plan = Plan { traffic_class: Some(CLASS), ..Plan::new(source) };
    let mut ports = vec![address.port(); TARGET_COUNT];
    ports.extend(unlikely_ports(address.port(), CONTROL_COUNT));
    let mut tasks = JoinSet::new();
    for port in ports {
        let plan = plan.clone();
        // The scope of a link-local address must come along.
        let mut remote = address;
        remote.set_port(port);
        tasks.spawn(async move { attempt(&plan, remote, wait).await });
    }
    let mut attempts: Vec<Attempt> = Vec::new();
    while let Some(done) = tasks.join_next().await {
        if let Ok(mut one) = done {
            one.close();
            attempts.push(one);
        }
    }
    let seen = tap.drain();
    let mut resets: Vec<Reset> = attempts
        .iter()
        .filter_map(|one| {
            let view = flow(seen, one.local?, one.remote, one.started_ns);
            let reset = view.resets.iter().find(|reset| view.reset_valid(&reset.segment))?;
            Some((one.remote.port(), reset.segment.traffic_class))
        })
        .collect();
    resets.sort_unstable();
    Ok(resets)
}
