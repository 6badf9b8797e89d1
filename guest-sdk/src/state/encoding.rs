use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::write_json;
use crate::{Error, Json};

/// A type that keyed state can hold: numbers and `bool` (raw, little endian), `String`, `Vec<u8>`, and
/// [`Json<T>`](crate::Json) for every other type that serde can write and read.
#[diagnostic::on_unimplemented(
    message = "keyed state cannot hold `{Self}`",
    label = "not a state type",
    note = "hold a number, a `bool`, `String`, `Vec<u8>`, or `Json<T>` where `T: serde::Serialize + \
        serde::de::DeserializeOwned + Clone`"
)]
pub trait State: Clone + 'static {
    /// Decodes a value.
    fn decode(bytes: &[u8]) -> Result<Self, Error>;
    /// Appends the encoded value to `out`.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error>;
}

macro_rules! fixed_width {
    ($($type:ty),*) => {$(
        impl State for $type {
            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self, Error> {
                match bytes.try_into() {
                    Ok(bytes) => Ok(Self::from_le_bytes(bytes)),
                    Err(_) => Err(wrong_width(stringify!($type), size_of::<$type>(), bytes.len())),
                }
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
                out.extend_from_slice(&self.to_le_bytes());
                Ok(())
            }
        }
    )*};
}

fixed_width!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

#[cold]
fn wrong_width(what: &str, width: usize, found: usize) -> Error {
    Error::new(format_args!("a {what} has {width} bytes, found {found}: was the table written with another type?"))
}

/// A state type whose values all have the same number of bytes. A tuple of such types is a state type too.
pub trait FixedWidth: State {
    /// Number of bytes.
    const WIDTH: usize;
}

macro_rules! widths {
    ($($type:ty),*) => {$(
        impl FixedWidth for $type {
            const WIDTH: usize = size_of::<$type>();
        }
    )*};
}

widths!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, bool);

macro_rules! tuples {
    ($(($($part:ident $at:tt),*))*) => {$(
        impl<$($part: FixedWidth),*> State for ($($part,)*) {
            #[inline]
            fn decode(bytes: &[u8]) -> Result<Self, Error> {
                let width = 0 $(+ $part::WIDTH)*;
                if bytes.len() != width {
                    return Err(wrong_width("tuple", width, bytes.len()));
                }
                let mut rest = bytes;
                let mut next = |width: usize| {
                    let (part, after) = rest.split_at_checked(width).unwrap_or_default();
                    rest = after;
                    part
                };
                Ok(($($part::decode(next($part::WIDTH))?,)*))
            }

            #[inline]
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
                $(self.$at.encode(out)?;)*
                Ok(())
            }
        }
    )*};
}

tuples!((A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3));

impl State for bool {
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        u8::decode(bytes).map(|byte| byte != 0)
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        u8::from(*self).encode(out)
    }
}

impl State for String {
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(std::str::from_utf8(bytes)?.to_owned())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(out.write_all(self.as_bytes())?)
    }
}

impl State for Vec<u8> {
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(bytes.to_vec())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(out.write_all(self)?)
    }
}

impl<T: Serialize + DeserializeOwned + Clone + 'static> State for Json<T> {
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(serde_json::from_slice(bytes)?))
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(write_json(&self.0, out)?)
    }
}

/// A key type of a [`Map`](super::Map): integers, `String` and `Vec<u8>`. The stored bytes have the same order
/// as the keys, so that iteration over a map is in key order.
#[diagnostic::on_unimplemented(
    message = "a map in keyed state cannot be keyed by `{Self}`",
    label = "not a key type",
    note = "use an integer, `String` or `Vec<u8>`"
)]
pub trait StateKey: Sized + 'static {
    /// Decodes a key.
    fn decode_key(bytes: &[u8]) -> Result<Self, Error>;
    /// Returns the bytes under which the host stores the key.
    fn encode_key(&self) -> Vec<u8>;
}

/// Big endian, so that byte order is numeric order. The sign bit of signed integers is flipped.
macro_rules! ordered {
    ($($type:ty, $flip:expr;)*) => {$(
        impl StateKey for $type {
            fn decode_key(bytes: &[u8]) -> Result<Self, Error> {
                match bytes.try_into() {
                    Ok(bytes) => Ok(Self::from_be_bytes(bytes) ^ $flip),
                    Err(_) => Err(wrong_width(stringify!($type), size_of::<$type>(), bytes.len())),
                }
            }

            fn encode_key(&self) -> Vec<u8> {
                (*self ^ $flip).to_be_bytes().to_vec()
            }
        }
    )*};
}

ordered! {
    u8, 0; u16, 0; u32, 0; u64, 0; u128, 0;
    i8, Self::MIN; i16, Self::MIN; i32, Self::MIN; i64, Self::MIN; i128, Self::MIN;
}

impl StateKey for String {
    fn decode_key(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(bytes)
    }

    fn encode_key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl StateKey for Vec<u8> {
    fn decode_key(bytes: &[u8]) -> Result<Self, Error> {
        Ok(bytes.to_vec())
    }

    fn encode_key(&self) -> Vec<u8> {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{State, StateKey};
    use crate::Json;

    fn round_trip<T: State + PartialEq + std::fmt::Debug>(value: T) -> usize {
        let mut bytes = Vec::new();
        value.encode(&mut bytes).unwrap();
        assert_eq!(T::decode(&bytes).unwrap(), value);
        bytes.len()
    }

    #[test]
    fn state_reads_back_what_it_wrote() {
        assert_eq!(round_trip(u64::MAX), 8);
        assert_eq!(round_trip(-1.5_f32), 4);
        assert_eq!(round_trip(true), 1);
        assert_eq!(round_trip("käse".to_owned()), 5);
        assert_eq!(round_trip(vec![0_u8, 255]), 2);
        assert_eq!(round_trip(Json(vec![Some(1), None])), "[1,null]".len());
    }

    #[test]
    fn a_number_of_another_width_is_an_error_that_says_so() {
        let error = u64::decode(&[0; 4]).unwrap_err();
        assert_eq!(error.message(), "a u64 has 8 bytes, found 4: was the table written with another type?");
    }

    #[test]
    fn integer_keys_sort_as_their_bytes_do() {
        let numbers = [i64::MIN, -300, -1, 0, 1, 255, 256, i64::MAX];
        let keys: Vec<Vec<u8>> = numbers.iter().map(StateKey::encode_key).collect();
        assert!(keys.is_sorted());
        for (number, key) in numbers.iter().zip(&keys) {
            assert_eq!(i64::decode_key(key).unwrap(), *number);
        }
    }
}
