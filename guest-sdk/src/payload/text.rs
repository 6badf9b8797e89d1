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

impl<const N: usize> IntoPayload for [u8; N] {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_slice().write(out)
    }
}

/// Owned text and bytes, written unchanged.
macro_rules! owned {
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

owned!(Vec<u8>: as_slice, Box<[u8]>: as_ref, String: as_bytes, Box<str>: as_bytes);

/// Borrowed text and bytes.
macro_rules! borrowed {
    ($($type:ty: $as_bytes:ident),*) => {$(
        impl IntoPayload for &$type {
            #[inline]
            fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
                append(out, self.$as_bytes());
                Ok(())
            }

            #[inline]
            fn lend_or_write<'a>(self, _: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Error>
            where
                Self: 'a,
            {
                Ok(Some(self.$as_bytes()))
            }
        }
    )*};
}

borrowed!([u8]: as_ref, Vec<u8>: as_slice, str: as_bytes, String: as_bytes);

impl<const N: usize> IntoPayload for &[u8; N] {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_slice().write(out)
    }

    #[inline]
    fn lend_or_write<'a>(self, out: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Error>
    where
        Self: 'a,
    {
        self.as_slice().lend_or_write(out)
    }
}

/// Text and bytes that are either borrowed or owned.
macro_rules! either {
    ($($type:ty),*) => {$(
        impl IntoPayload for Cow<'_, $type> {
            #[inline]
            fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
                let bytes: &[u8] = self.as_ref().as_ref();
                append(out, bytes);
                Ok(())
            }

            #[inline]
            fn lend_or_write<'a>(self, out: &mut Vec<u8>) -> Result<Option<&'a [u8]>, Error>
            where
                Self: 'a,
            {
                match self {
                    Cow::Borrowed(text) => text.lend_or_write(out),
                    Cow::Owned(text) => text.lend_or_write(out),
                }
            }
        }
    )*};
}

either!([u8], str);

impl IntoPayload for char {
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.encode_utf8(&mut [0; 4]).as_bytes().write(out)
    }
}
