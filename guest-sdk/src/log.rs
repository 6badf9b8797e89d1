//! Messages to whoever runs the pipeline: [`trace!`](crate::log::trace), `debug!`, `info!`, `warn!` and `error!`, written as `format!` is.
//!
//! The host names operator and instance and bounds the flood (`limits.log_bytes_per_second`): say what is rare, not what every record does. Natively
//! they go to stderr, and [`testing`](crate::testing) keeps them.
//!
//! ```
//! use sage_guest::log;
//!
//! log::info!("model {} has {} classes", "magika", 113);
//! ```

use std::fmt;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What someone who watches wants to know.
    Info,
    /// Something is not as it should be; the work goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Say something; the macros call this.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => crate::host::log(level, text),
        None => crate::host::log(level, &message.to_string()),
    }
}

/// Say something at [`Level::Trace`].
#[doc(hidden)]
#[macro_export]
macro_rules! __trace {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Trace, ::core::format_args!($($message)+)) };
}

/// Say something at [`Level::Debug`].
#[doc(hidden)]
#[macro_export]
macro_rules! __debug {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($message)+)) };
}

/// Say something at [`Level::Info`].
#[doc(hidden)]
#[macro_export]
macro_rules! __info {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($message)+)) };
}

/// Say something at [`Level::Warn`].
#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($message)+)) };
}

/// Say something at [`Level::Error`].
#[doc(hidden)]
#[macro_export]
macro_rules! __error {
    ($($message:tt)+) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($message)+)) };
}

#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};
