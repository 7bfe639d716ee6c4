//! The packets of one question, as they are at one place of their way.

use super::net::Net;
use crate::read::ALL_PORTS;
pub use crate::read::EPHEMERAL_PORTS as ANY_CLIENT_PORTS;
use crate::space::{Cube, Family, Protocols};

/// The ports from which clients open connections, by what they are.
pub const LINUX_PORTS: (u16, u16) = (32_768, 60_999);
pub const WINDOWS_PORTS: (u16, u16) = (49_152, 65_535);

/// ICMP's echo: type 8 and its answer, type 0; of IPv6 128 and 129.
const ECHO: (u16, u16) = (8, 0);
const ECHO_V6: (u16, u16) = (128, 129);

/// A set of packets: every source with every destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packets {
    pub family: Family,
    pub source: Vec<(u128, u128)>,
    pub destination: Vec<(u128, u128)>,
    pub protocol: u8,
    pub source_ports: (u16, u16),
    pub destination_ports: (u16, u16),
    /// Whose ports the answers go to; empty on the way there.
    pub client: &'static str,
    /// The subnet of a source or destination whose address is not known before it is made.
    pub source_guess: Option<Net>,
    pub destination_guess: Option<Net>,
}

impl Packets {
    /// The first packets of what is asked.
    pub fn opening(family: Family, protocol: u8, port: Option<u16>) -> Packets {
        let (source_ports, destination_ports) = match (protocol, port) {
            (1, _) => ((ECHO.0, ECHO.0), (0, 0)),
            (58, _) => ((ECHO_V6.0, ECHO_V6.0), (0, 0)),
            (6 | 17, Some(port)) => (ANY_CLIENT_PORTS, (port, port)),
            _ => (ALL_PORTS, ALL_PORTS),
        };
        Packets {
            family,
            source: Vec::new(),
            destination: Vec::new(),
            protocol,
            source_ports,
            destination_ports,
            client: "",
            source_guess: None,
            destination_guess: None,
        }
    }

    /// The answers to them, to a client that uses these ports.
    pub fn answers(&self, client_ports: (u16, u16), client: &'static str) -> Packets {
        let (source_ports, destination_ports) = match self.protocol {
            1 => ((ECHO.1, ECHO.1), (0, 0)),
            58 => ((ECHO_V6.1, ECHO_V6.1), (0, 0)),
            6 | 17 => (self.destination_ports, client_ports),
            _ => (self.destination_ports, self.source_ports),
        };
        Packets {
            source: self.destination.clone(),
            destination: self.source.clone(),
            source_ports,
            destination_ports,
            client,
            source_guess: self.destination_guess,
            destination_guess: self.source_guess,
            ..*self
        }
    }

    #[must_use]
    pub fn from(mut self, source: &[(u128, u128)]) -> Packets {
        self.source = source.to_vec();
        self.source_guess = None;
        self
    }

    #[must_use]
    pub fn to(mut self, destination: &[(u128, u128)]) -> Packets {
        self.destination = destination.to_vec();
        self.destination_guess = None;
        self
    }

    pub fn cubes(&self) -> Vec<Cube> {
        let mut cubes = Vec::with_capacity(self.source.len() * self.destination.len());
        for source in &self.source {
            for destination in &self.destination {
                cubes.push(
                    Cube::all(self.family)
                        .source(source.0, source.1)
                        .destination(destination.0, destination.1)
                        .protocols(Protocols::of(&[self.protocol]))
                        .source_ports(self.source_ports.0..=self.source_ports.1)
                        .destination_ports(self.destination_ports.0..=self.destination_ports.1),
                );
            }
        }
        cubes
    }
}
