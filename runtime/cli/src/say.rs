//! What is said beside the results.

/// Says something on stderr, as far as it can be written: a log on a full disk must not end sensing, as
/// `eprintln!` would.
macro_rules! say {
    ($($words:tt)*) => {{
        let line = format!("sensorium: {}\n", format_args!($($words)*));
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }};
}
