//! The node on the host: plays a recording through a pty.

fn main() {}
