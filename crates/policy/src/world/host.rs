//! A host's or router's packet filter as an estate: its chains as gates, and the way through them traced exactly.

use super::Role;
use crate::can::Class;
use crate::estate::{Ask, Because, Decision, End, Endpoint, Estate, Fix, Look, Outcome, Step, Way};
use crate::gate::{Action, Direction, Gate, Kind};
use crate::netfilter::ast::{Backend, Hook, Ruleset};
use crate::netfilter::lower::{ChainGate, gates};
use crate::netfilter::trace::{Traced, path};
use crate::place::{Place, Unread, both};
use crate::read::{CLIENT_PORTS, protocol_name};
use crate::space::{Cube, Family, Protocols, State, number, range};
use netwhy_model::Text;
use std::net::IpAddr;
use std::sync::Arc;
