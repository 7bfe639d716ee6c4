//! The other ends of a case: how netwhy runs over there (ssh, exec, netns, agent) and what is said on the wire between.
