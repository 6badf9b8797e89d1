//! Messages to the user who runs the pipeline: [`trace!`](crate::log::trace), `debug!`, `info!`, `warn!` and
//! `error!`, with the syntax of `format!`.
//!
//! The host adds the names of operator and instance, and limits the volume (`limits.log_bytes_per_second`). Log
//! rare events, not every record. Natively, messages go to stderr, and [`testing`](crate::testing) keeps them.
//!
//! ```
//! use sage_guest::log;
//!
//! log::info!("model {} has {} classes", "magika", 113);
//! ```

use std::fmt;

/// Severity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step of the work.
    Trace,
    /// Details that help to find a fault.
    Debug,
    /// Events of interest to a user who watches the run.
    Info,
    /// A problem that does not stop the work.
    Warn,
    /// A failure.
    Error,
}

/// Writes a message; the macros call this function.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => crate::host::log(level, text),
        None => crate::host::log(level, &message.to_string()),
    }
}

/// Writes a message at [`Level::Trace`].
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::core::format_args!($($message)+)) };
}

/// Writes a message at [`Level::Debug`].
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($message)+)) };
}

/// Writes a message at [`Level::Info`].
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($message)+)) };
}

/// Writes a message at [`Level::Warn`].
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($message)+)) };
}

/// Writes a message at [`Level::Error`].
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($message)+)) };
}

#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};
