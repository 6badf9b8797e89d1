use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::InferenceError;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread becomes the error of an inference call. If so, a panic hook need not print
/// the panic, because the caller receives it.
///
/// The panic hook belongs to the program, which calls this function; the library never replaces the hook. A
/// program that does not call it sees the panic printed, and nothing else changes.
#[must_use]
pub fn panic_is_an_answer() -> bool {
    CONTAINED.get()
}

/// Calls foreign code that may panic. A panic becomes an error that names the operation.
///
/// After a panic, the captured values must not be used again, unless a half-done change to them is harmless.
pub(super) fn contained<T>(doing: &str, call: impl FnOnce() -> Result<T, InferenceError>) -> Result<T, InferenceError> {
    let before = CONTAINED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(call));
    CONTAINED.set(before);
    outcome.unwrap_or_else(|panic| {
        let said = said(&*panic);
        // tract panics with this text if its allocator returns null. Rust's own allocation failure ends the
        // process instead.
        if said.starts_with("failed to allocate ") {
            return Err(InferenceError::OutOfMemory(format!("{doing}: {said}")));
        }
        Err(InferenceError::Backend(format!("it panicked {doing}: {said}")))
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
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
