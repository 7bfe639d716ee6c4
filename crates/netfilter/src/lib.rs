//! The running kernel's packet filter, read live: nf_tables, ip_tables, connection tracking, rule traces.
