//! Names events in sensor streams with classes typed as text.

fn main() {}
