//! The way of packets through the chains of a hook.
