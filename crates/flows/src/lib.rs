//! What the logs know: flow logs, NetFlow, captures, access and authentication logs, read and searched for attacks.

pub mod capture;
pub mod dump;
pub mod export;
mod icmp;
pub mod live;
pub mod detect;
pub mod logs;
pub mod names;
pub mod place;
pub mod read;
pub mod record;
pub mod schema;

pub use names::{Names, Symbol};
pub use place::{Unread, UnreadCount};
pub use record::{Action, Address, Direction, Flow, Opener, Status};
