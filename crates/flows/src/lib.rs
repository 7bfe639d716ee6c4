//! What the logs know: flow logs, NetFlow, captures, access and authentication logs, read and searched for attacks.

pub mod capture;
pub mod detect;
pub mod dump;
pub mod export;
pub mod generate;
mod icmp;
pub mod live;
pub mod logs;
pub mod names;
pub mod place;
pub mod read;
pub mod record;
pub mod schema;
pub mod source;
pub mod way;

pub use names::{Names, Symbol};
pub use place::{Unread, UnreadCount};
pub use record::{Action, Address, Direction, Flow, Opener, Status};
