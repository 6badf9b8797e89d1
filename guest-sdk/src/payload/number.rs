use std::io::Write;

use super::{FromPayload, IntoPayload, excerpt};
use crate::Error;
use crate::bytes::append;

#[cold]
fn not_a(what: &str, payload: &[u8]) -> Error {
    Error::new(format_args!("payload is not {what}: {}", excerpt(payload)))
}

fn parse<T: std::str::FromStr>(payload: &[u8], what: &str) -> Result<T, Error> {
    std::str::from_utf8(payload.trim_ascii())
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| not_a(what, payload))
}

macro_rules! from_text {
    ($($type:ty: $what:literal),*) => {$(
        impl<'a> FromPayload<'a> for $type {
            #[inline]
            fn from_payload(payload: &'a [u8]) -> Result<Self, Error> {
                parse(payload, $what)
            }
        }
    )*};
}

from_text!(
    u8: "a whole number from 0 to 255 (u8)",
    u16: "a whole number from 0 to 65535 (u16)",
    u32: "a whole number of 32 bits, not negative (u32)",
    u64: "a whole number of 64 bits, not negative (u64)",
    u128: "a whole number of 128 bits, not negative (u128)",
    usize: "a whole number, not negative (usize)",
    i8: "a whole number from -128 to 127 (i8)",
    i16: "a whole number from -32768 to 32767 (i16)",
    i32: "a whole number of 32 bits (i32)",
    i64: "a whole number of 64 bits (i64)",
    i128: "a whole number of 128 bits (i128)",
    isize: "a whole number (isize)",
    f32: "a number (f32)",
    f64: "a number (f64)",
    bool: "`true` or `false`"
);

macro_rules! integer_text {
    ($($type:ty),*) => {$(
        impl IntoPayload for $type {
            #[inline]
            fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
                append(out, itoa::Buffer::new().format(self).as_bytes());
                Ok(())
            }
        }
    )*};
}

integer_text!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

macro_rules! display_text {
    ($($type:ty),*) => {$(
        impl IntoPayload for $type {
            fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
                Ok(write!(out, "{self}")?)
            }
        }
    )*};
}

display_text!(f32, f64, bool);
