//! Every rule that can stand between A and B, in one model: read, asked, checked, compared.

pub mod aliyun;
pub mod azure;
pub mod cloud;
pub mod can;
pub mod changes;
pub mod balancer;
pub mod doc;
pub mod estate;
pub mod finding;
pub mod gate;
pub mod gcp;
pub mod huawei;
pub mod kube;
pub mod lint;
pub mod list;
pub mod netfilter;
pub mod place;
pub mod reach;
pub mod read;
pub mod range;
pub mod space;
pub mod tencent;
pub mod terraform;
pub mod world;

pub use place::{Place, Unread};
