use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::InferenceError;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread would be an inference call's error, so that a panic hook has nothing to say: the caller is told.
///
/// The hook is the program's, which asks this; the library never replaces it. A program that does not ask sees the panic printed, and
/// nothing else changes.
#[must_use]
pub fn panic_is_an_answer() -> bool {
    CONTAINED.get()
}

/// Calls what is not ours and may panic; a panic is an error that says what it was doing.
///
/// What it was called with must not be used again after a panic unless a half-done change to it does no harm.
pub(super) fn contained<T>(doing: &str, call: impl FnOnce() -> Result<T, InferenceError>) -> Result<T, InferenceError> {
    let before = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CONTAINED.set(before);
    outcome.unwrap_or_else(|panic| {
        let said = said(&*panic);
        // tract's words where its allocator answers nothing; Rust's own ends the process instead.
        if said.starts_with("failed to allocate ") {
            return Err(InferenceError::OutOfMemory(format!("{doing}: {said}")));
        }
        Err(InferenceError::Backend(format!("it panicked {doing}: {said}")))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_thread_goes_on() {
        assert!(!panic_is_an_answer());
        let error = contained::<()>("to test", || {
            assert!(panic_is_an_answer(), "a hook that runs now stays silent");
            panic!("row {} is odd", 7)
        });
        assert_eq!(error, Err(InferenceError::Backend("it panicked to test: row 7 is odd".to_owned())));
        assert!(!panic_is_an_answer());
        assert_eq!(contained("to test", || Ok(1)), Ok(1));
    }
}
