//! Packets to flows: a bounded table of conversations with timeouts.
