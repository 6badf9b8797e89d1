//! Composite keys: several parts as the key of a record, as the host makes them for
//! `key = ["region", "sensor"]` at an input.
//!
//! A composite key is its parts in order, each with its length in front: four bytes, the low byte first. Two lists of
//! parts are therefore equal exactly if their keys are. The form is part of the contract; `wit/keys.json` has examples.
//!
//! ```
//! use sage_guest::key;
//!
//! let made = key::composite(["north", "roof"]);
//! assert_eq!(key::parts(&made).unwrap(), [b"north".as_slice(), b"roof"]);
//! assert!(key::parts(b"north").is_err());
//! ```

use crate::Error;

/// Makes a composite key of these parts.
///
/// # Panics
/// A part is longer than 4 GiB, which no memory of a component can hold.
#[must_use]
pub fn composite<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Vec<u8> {
    let mut key = Vec::new();
    for part in parts {
        let part = part.as_ref();
        #[expect(clippy::expect_used, reason = "the memory of a component has 4 GiB at most")]
        let length = u32::try_from(part.len()).expect("a part of at most 4 GiB");
        key.extend_from_slice(&length.to_le_bytes());
        key.extend_from_slice(part);
    }
    key
}

/// Returns the parts of a composite key.
///
/// # Errors
/// The bytes are no composite key.
pub fn parts(mut key: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut parts = Vec::new();
    while !key.is_empty() {
        let broken = || Error::new("the key is no composite key");
        let (length, rest) = key.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| broken())?;
        let (part, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
        parts.push(part);
        key = rest;
    }
    Ok(parts)
}
