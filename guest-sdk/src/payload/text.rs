use std::borrow::Cow;

use super::{FromPayload, IntoPayload, excerpt};
use crate::Error;
use crate::bytes::{append, text};

impl<'a> FromPayload<'a> for &'a [u8] {
    #[inline]
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
        Ok(payload)
    }
}

impl<'a> FromPayload<'a> for Vec<u8> {
    #[inline]
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
        Ok(payload.to_vec())
    }
}

impl<'a> FromPayload<'a> for &'a str {
    #[inline]
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
        text(payload).map_err(|error| not_text(payload, error.valid_up_to()))
    }
}

impl<'a> FromPayload<'a> for String {
    #[inline]
    fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
        <&str>::from_payload(payload).map(str::to_owned)
    }
}

#[cold]
fn not_text(payload: &[u8], at: usize) -> Error {
    let byte = payload.get(at).copied().unwrap_or_default();
    Error::new(format_args!("payload is not UTF-8: byte 0x{byte:02x} at {at}, in {}", excerpt(payload)))
}

impl IntoPayload for &[u8] {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        append(out, self);
        Ok(())
    }
}

impl<const N: usize> IntoPayload for &[u8; N] {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_slice().write(out)
    }
}

impl<const N: usize> IntoPayload for [u8; N] {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_slice().write(out)
    }
}

/// Owned and borrowed text and bytes, all written as they are.
macro_rules! bytes {
    ($($type:ty: $as_bytes:ident),*) => {$(
        impl IntoPayload for $type {
            #[inline]
            fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
                append(out, self.$as_bytes());
                Ok(())
            }
        }
    )*};
}

bytes!(Vec<u8>: as_slice, &Vec<u8>: as_slice, Box<[u8]>: as_ref, Cow<'_, [u8]>: as_ref);
bytes!(&str: as_bytes, String: as_bytes, &String: as_bytes, Box<str>: as_bytes, Cow<'_, str>: as_bytes);

impl IntoPayload for char {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.encode_utf8(&mut [0; 4]).as_bytes().write(out)
    }
}
