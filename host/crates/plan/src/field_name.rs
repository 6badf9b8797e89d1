use thiserror::Error;

/// The error for a text that cannot be the name of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FieldNameError {
    /// The name is empty.
    #[error("it is empty")]
    Empty,
    /// The name is longer than [`FieldNameError::LONGEST`].
    #[error("it has {bytes} bytes, at most {} are read", FieldNameError::LONGEST)]
    TooLong {
        /// Length of the name, in bytes.
        bytes: usize,
    },
    /// The name has control characters, which could change the state of a terminal.
    #[error("it has control characters")]
    Control,
}

impl FieldNameError {
    /// Longest name of a field, in bytes.
    pub const LONGEST: usize = 256;
}

/// Checks the name of a field.
pub(super) fn check_field_name(name: &str) -> Result<(), FieldNameError> {
    match name.len() {
        0 => Err(FieldNameError::Empty),
        bytes if bytes > FieldNameError::LONGEST => Err(FieldNameError::TooLong { bytes }),
        _ if name.chars().any(char::is_control) => Err(FieldNameError::Control),
        _ => Ok(()),
    }
}
