//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod aliyun;
pub mod azure;
pub mod cloud;
pub mod aws;
pub mod can;
pub mod changes;
pub mod check;
pub mod balancer;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod intents;
pub mod matrix;
pub mod gcp;
pub mod huawei;
pub mod kube;
pub mod lint;
pub mod list;
pub mod netfilter;
pub mod place;
pub mod reach;
pub mod read;
pub mod ranges;
pub mod sarif;
pub mod space;
pub mod tencent;
pub mod suggest;
pub mod zero_trust;
pub mod terraform;
pub mod world;

pub use place::{Place, Unread};
