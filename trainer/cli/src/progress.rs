//! A bar that shows how far a command is, where somebody looks at it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many of something.
pub fn bar(len: u64, of_what: &str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    let template = format!("{{bar:30}} {{pos}}/{{len}} {of_what}, {{per_sec}}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
