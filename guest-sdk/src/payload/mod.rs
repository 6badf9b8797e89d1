//! Conversions between payload bytes and the types of operators.
//!
//! Payloads are text by default, because most records come from lines and go to lines. Numbers and `bool` are
//! decimal text (`42`, `-1.5`, `true`), never raw binary. An operator that wants raw numbers takes `&[u8]`. A
//! payload that does not decode rejects its record, with a message that quotes the payload; it never panics.

mod finite;
mod json;
mod number;
mod text;

pub use json::Json;
pub(crate) use json::write_json;

use crate::Error;

/// A type that an operator can take as the payload of a record.
///
/// These types are `&[u8]`, `Vec<u8>`, `&str`, `String`, integers, floats and `bool` (as text; surrounding
/// white space is ignored), and [`Json<T>`](crate::Json) for any `T: serde::Deserialize`, which may borrow from
/// the payload.
#[diagnostic::on_unimplemented(
    message = "an operator cannot take `{Self}` as a record",
    label = "not a payload type",
    note = "take `&[u8]`, `&str`, `String`, `Vec<u8>`, a number, a `bool`, or `Json<T>` where `T: serde::Deserialize`",
    note = "or implement `sage_guest::FromPayload` for it",
    note = "a struct with `#[derive(Record)]` is a record by field and no payload: `Emitter` and `Records` take \
        payloads, such as `Json<T>`; by field, write `Batch<In>` and `out: &mut Port<Out>`"
)]
pub trait FromPayload<'a>: Sized {
    /// Decodes the bytes of a record. An error rejects the record.
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error>;
}

/// A type that an operator can give as a payload or a key.
///
/// These types are `&[u8]`, `Vec<u8>`, `&str`, `String`, integers, floats and `bool` (as text), `Cow` of these,
/// and [`Json<T>`](crate::Json) for any `T: serde::Serialize`.
#[diagnostic::on_unimplemented(
    message = "an operator cannot give `{Self}` as a record",
    label = "not a payload type",
    note = "give `&[u8]`, `&str`, `String`, `Vec<u8>`, a number, a `bool`, or `Json<T>` where `T: \
        serde::Serialize`; wrap it in `Result<_, Error>` to be able to reject a record",
    note = "or implement `sage_guest::IntoPayload` for it",
    note = "only a `map` or `flat_map` that also takes a struct with `#[derive(Record)]` gives one by field"
)]
pub trait IntoPayload {
    /// Appends the bytes of the value to the output column. An error rejects the record and undoes the appended
    /// bytes.
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error>;

    /// Returns the bytes of the value if they already exist in memory. Otherwise appends them to `out`, like
    /// [`write`](Self::write), and returns `None`.
    ///
    /// A `map` calls this method: bytes that are a piece of the record are then moved within the batch instead
    /// of copied out of it. Implement this method for a type that borrows exactly the bytes to be written;
    /// other types do not need it.
    ///
    /// ```
    /// use sage_guest::{Error, IntoPayload};
    ///
    /// /// Text without white space around it.
    /// struct Trimmed<'a>(&'a str);
    ///
    /// impl IntoPayload for Trimmed<'_> {
    ///     fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
    ///         self.0.trim().write(out)
    ///     }
    ///
    ///     fn lend_or_write<'a>(self, _: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Error>
    ///     where
    ///         Self: 'a,
    ///     {
    ///         Ok(Some(self.0.trim().as_bytes()))
    ///     }
    /// }
    ///
    /// let mut out = Vec::new();
    /// assert_eq!(Trimmed(" a ").lend_or_write(&mut out).unwrap(), Some(&b"a"[..]));
    /// assert!(out.is_empty());
    /// ```
    #[inline]
    fn lend_or_write<'a>(self, out: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Error>
    where
        Self: Sized + 'a,
    {
        self.write(out)?;
        Ok(None)
    }
}

/// Returns the beginning of a payload, quoted for a message.
pub(crate) fn excerpt(payload: &[u8]) -> String {
    const SHOWN: usize = 48;
    let shown = payload.get(..SHOWN).unwrap_or(payload);
    let text = String::from_utf8_lossy(shown);
    if payload.len() > SHOWN { format!("{text:?}... ({} bytes)", payload.len()) } else { format!("{text:?}") }
}
