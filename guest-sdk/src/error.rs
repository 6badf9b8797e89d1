use std::fmt::{self, Display};

/// The reason why a record is rejected or an operator cannot open: a message for the user who runs the
/// pipeline.
///
/// Any value that implements `Display` becomes an `Error` through `?` or `.into()`: text, `format!`, any
/// `std::error::Error`. For this reason `Error` is not itself an error type, like `anyhow::Error`; read its
/// text with [`message`](Self::message).
///
/// ```
/// use sage_guest::Error;
///
/// fn celsius(text: &str) -> Result<f64, Error> {
///     let kelvin: f64 = text.parse()?;
///     if kelvin < 0.0 {
///         return Err("below absolute zero".into());
///     }
///     Ok(kelvin - 273.15)
/// }
///
/// assert_eq!(celsius("-1").unwrap_err().message(), "below absolute zero");
/// assert_eq!(celsius("cold").unwrap_err().message(), "invalid float literal");
/// ```
pub struct Error(Box<str>);

impl Error {
    /// Creates an error with this message.
    #[cold]
    pub fn new(message: impl Display) -> Self {
        Self(message.to_string().into_boxed_str())
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.0
    }

    /// Adds the action that failed: the message becomes `doing: message`.
    #[must_use]
    pub fn context(self, doing: impl Display) -> Self {
        Self::new(format_args!("{doing}: {}", self.0))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Display> From<E> for Error {
    #[cold]
    fn from(error: E) -> Self {
        Self::new(error)
    }
}
