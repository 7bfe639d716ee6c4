//! The estate of a day: hosts with their tasks, interfaces and accounts, and the strangers around it.

use super::Variant;
use super::random::Random;
use crate::names::{Names, Symbol};
use crate::record::Address;
use std::collections::HashMap;

/// What a host is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    Balancer,
    Web,
    Worker,
    Database,
    Cache,
    Resolver,
    Mail,
    Gateway,
    Monitor,
    Builder,
    Backup,
    Bastion,
    Crawler,
}

/// One host of ours.
#[derive(Debug, Clone)]
pub struct Host {
    pub task: Task,
    pub address: Address,
    pub interface: Symbol,
    pub account: Symbol,
    /// Whether strangers reach it.
    pub is_public: bool,
    /// Whether its interface writes logs.
    pub is_logged: bool,
}

/// How the day is written and where it takes place.
#[derive(Debug)]
pub struct World {
    pub hosts: Vec<Host>,
    places: HashMap<Address, usize>,
    pub variant: Variant,
    /// The window of the aggregation, in seconds.
    pub window_s: i64,
    /// How late a record may be written, in seconds.
    pub late_s: i64,
    pub web_port: u16,
    pub database_port: u16,
    /// Where clients take their ports from.
    pub client_ports: (u16, u16),
    /// Clients of the public services.
    pub visitors: Vec<Address>,
    /// Strangers' servers: APIs, mirrors, the provider's services.
    pub services: Vec<Address>,
}

/// An address that no other plan uses.
pub fn stranger(random: &mut Random) -> Address {
    loop {
        let number = random.next() as u32;
        let first = number >> 24;
        let address = Address::v4(number);
        if (11..224).contains(&first) && first != 127 && first != 198 && !crate::detect::is_private(address) {
            return address;
        }
    }
}

impl World {
    pub fn new(random: &mut Random, names: &Names, variant: Variant, visitors: usize) -> World {
        let crowd = random.below(0, 40) as usize;
        let plan: &[(Task, usize)] = &[
            (Task::Balancer, 2),
            (Task::Web, 8 + crowd / 2),
            (Task::Worker, 12 + crowd),
            (Task::Database, 3),
            (Task::Cache, 2),
            (Task::Resolver, 2),
            (Task::Mail, 1),
            (Task::Gateway, 1),
            (Task::Monitor, 1),
            (Task::Builder, 2),
            (Task::Backup, 1),
            (Task::Bastion, 1),
            (Task::Crawler, 1),
        ];
        let accounts: Vec<Symbol> = (0..3)
            .map(|_| names.symbol(&format!("{:012}", random.below(100_000_000_000, 999_999_999_999))))
            .collect();
        let base = address_plan(random, variant);
        let mut hosts = Vec::new();
        let mut taken = std::collections::BTreeSet::new();
        for (task, count) in plan {
            for _ in 0..*count {
                let mut offset = random.below(4, 4000) as u32;
                while !taken.insert(offset) {
                    offset += 1;
                }
                let is_public = match variant {
                    Variant::Plain => {
                        matches!(task, Task::Balancer | Task::Bastion | Task::Mail | Task::Gateway)
                    }
                    Variant::Other => !matches!(task, Task::Database | Task::Cache | Task::Worker),
                };
                hosts.push(Host {
                    task: *task,
                    address: Address::v4(base + offset),
                    interface: names.symbol(&format!("eni-{:017x}", random.next() >> 8)),
                    account: *random.pick(&accounts),
                    is_public,
                    is_logged: variant == Variant::Plain || *task != Task::Worker || random.chance(0.7),
                });
            }
        }
        let other = variant == Variant::Other;
        let places = hosts.iter().enumerate().map(|(place, host)| (host.address, place)).collect();
        World {
            hosts,
            places,
            variant,
            window_s: *random.pick(&[60, 60, 300, 600]),
            late_s: random.below(0, 301) as i64,
            web_port: if other { *random.pick(&[8443, 8080, 443]) } else { 443 },
            database_port: *random.pick(if other { &[5432, 27017, 1433] } else { &[3306, 5432, 6379] }),
            client_ports: *random.pick(if other {
                &[(1024, 65535), (49152, 65535)]
            } else {
                &[(32768, 60999)]
            }),
            visitors: (0..visitors.max(50)).map(|_| stranger(random)).collect(),
            services: (0..60).map(|_| stranger(random)).collect(),
        }
    }

    pub fn of(&self, task: Task) -> Vec<Host> {
        self.hosts.iter().filter(|host| host.task == task).cloned().collect()
    }

    pub fn one(&self, task: Task) -> Host {
        self.of(task)[0].clone()
    }

    pub fn find(&self, address: Address) -> Option<&Host> {
        self.places.get(&address).map(|place| &self.hosts[*place])
    }

    pub fn client_port(&self, random: &mut Random) -> u16 {
        random.below(self.client_ports.0.into(), u64::from(self.client_ports.1) + 1) as u16
    }
}

fn address_plan(random: &mut Random, variant: Variant) -> u32 {
    match variant {
        Variant::Plain => 0x0a00_0000 | (random.below(0, 250) as u32) << 16,
        Variant::Other => *random.pick(&[0xac1f_0000, 0xc0a8_0000, 0x6440_0000, 0xc633_6000, 0x0a64_0000]),
    }
}
