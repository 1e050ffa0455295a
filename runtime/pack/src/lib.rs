//! The model bundle: read, verify, write.
