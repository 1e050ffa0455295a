//! Trains encoders and makes packs.

fn main() {}
