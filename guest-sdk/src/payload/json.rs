use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

use super::finite::Finite;
use super::{FromPayload, IntoPayload, excerpt};
use crate::Error;

/// A payload that is JSON text of a `T`.
///
/// The payload is deserialized when the operator is called, and serialized directly into the output column. `T`
/// may borrow from the payload (`struct Reading<'a> { sensor: &'a str }`), which saves a copy. A string with an
/// escape cannot be borrowed; use `#[serde(borrow)] Cow<'a, str>` if escapes may occur.
///
/// JSON has no NaN and no infinity. A record whose `T` holds one of them is rejected, never written as `null`.
///
/// ```
/// use sage_guest::Json;
///
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct Reading { sensor: String, celsius: f64 }
///
/// #[sage_guest::map]
/// fn warmer(Json(mut reading): Json<Reading>) -> Json<Reading> {
///     reading.celsius += 1.0;
///     Json(reading)
/// }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'a, T: Deserialize<'a>> FromPayload<'a> for Json<T> {
    #[inline]
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
        // One UTF-8 check of the whole payload replaces a check of each string.
        match serde_json::from_str(<&str>::from_payload(payload)?) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(unreadable(payload, &error)),
        }
    }
}

impl<T: Serialize> IntoPayload for Json<T> {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        write_json(&self.0, out).map_err(|error| unwritable(&error))
    }
}

impl<T: Serialize> IntoPayload for &Json<T> {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        write_json(&self.0, out).map_err(|error| unwritable(&error))
    }
}

/// Appends a value as JSON. A float that is not finite is an error.
#[inline]
pub(crate) fn write_json<T: Serialize>(value: &T, out: &mut Vec<u8>) -> serde_json::Result<()> {
    value.serialize(Finite(&mut serde_json::Serializer::new(out)))
}

#[cold]
fn unreadable(payload: &[u8], error: &serde_json::Error) -> Error {
    Error::new(format_args!("payload is not the JSON this operator takes: {error}, in {}", excerpt(payload)))
}

#[cold]
fn unwritable(error: &serde_json::Error) -> Error {
    Error::new(format_args!("cannot be written as JSON: {error}"))
}
