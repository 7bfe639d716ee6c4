//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod aliyun;
pub mod aws;
pub mod azure;
pub mod balancer;
pub mod can;
pub mod changes;
pub mod check;
pub mod cloud;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod gcp;
mod glob;
pub mod huawei;
pub mod intents;
pub mod kube;
pub mod lint;
pub mod list;
pub mod matrix;
pub mod netfilter;
pub mod place;
mod points;
pub mod ranges;
pub mod reach;
pub mod read;
pub mod sarif;
pub mod space;
pub mod suggest;
pub mod tencent;
pub mod terraform;
pub mod world;
pub mod zero_trust;

pub use place::{Place, Unread};
