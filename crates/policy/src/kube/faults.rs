//! What is wrong in manifests.
