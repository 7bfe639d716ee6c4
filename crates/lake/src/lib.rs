//! The columnar store of flow records, and SQL on it.
