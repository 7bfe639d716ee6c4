//! Looks at open ports and says what is there: `look NAME ADDRESS:PORT...`; NAME may be `-`.
#![allow(clippy::print_stdout)]

use netwhy_scan::LookFor;
use netwhy_scan::look::look_all;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn main() -> Result<(), std::net::AddrParseError> {
    let mut words = std::env::args().skip(1);
    let name = words.next().filter(|name| name != "-");
    let addresses = words.map(|word| word.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    let deadline = Instant::now() + Duration::from_secs(4);
    for (address, look) in
        addresses.iter().zip(look_all(&addresses, &LookFor { name, ..LookFor::default() }, deadline))
    {
        println!("{address} {look:?}");
    }
    Ok(())
}
