//! Panics of the inference library, as errors: it is known to panic on some files, and those that are
//! imported are anybody's.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use anyhow::anyhow;

thread_local! {
    /// Whether panics of this thread are not shown, since they become errors.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something of the inference library.
///
/// # Errors
///
/// Its error, or the message of its panic.
pub fn contained<T>(run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let shown = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                shown(panic);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let ran = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(outer);
    ran.unwrap_or_else(|panic| {
        Err(anyhow!(
            "the inference library failed on it: {}",
            message(&*panic)
        ))
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(contained(|| Ok(1)).unwrap(), 1);
        let error = |run: fn() -> anyhow::Result<()>| contained(run).unwrap_err().to_string();
        assert_eq!(error(|| Err(anyhow!("no"))), "no");
        let text = error(|| panic!("{} of {}", 3, 2));
        assert_eq!(text, "the inference library failed on it: 3 of 2");
        assert!(error(|| panic!("cut")).ends_with(": cut"));
        assert!(!QUIET.get());
    }
}
