//! A serializer that checks numbers: JSON has no NaN and no infinity, and serde_json silently writes `null` for
//! them.
//!
//! [`Finite`] wraps a serializer or a value and passes everything on unchanged. A float that is not finite is
//! an error.

use std::fmt::Display;

use serde::ser::{self, Serialize, Serializer};

/// A serializer that rejects floats that are not finite, or a value that is serialized through such a
/// serializer.
pub(super) struct Finite<T>(pub(super) T);

impl<T: Serialize + ?Sized> Serialize for Finite<&T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Finite(serializer))
    }
}

#[cold]
fn not_finite<E: ser::Error>(number: impl Display) -> E {
    E::custom(format_args!("{number} is not a finite number, and JSON has no other"))
}

/// Methods that pass a value on.
macro_rules! pass_on {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        }
    )*};
}

/// Methods that begin a compound value.
macro_rules! begin {
    ($($method:ident($($name:ident: $type:ty),*) -> $part:ident),* $(,)?) => {$(
        #[inline]
        fn $method(self, $($name: $type),*) -> Result<Self::$part, S::Error> {
            self.0.$method($($name),*).map(Finite)
        }
    )*};
}

impl<S: Serializer> Serializer for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Finite<S::SerializeSeq>;
    type SerializeTuple = Finite<S::SerializeTuple>;
    type SerializeTupleStruct = Finite<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Finite<S::SerializeTupleVariant>;
    type SerializeMap = Finite<S::SerializeMap>;
    type SerializeStruct = Finite<S::SerializeStruct>;
    type SerializeStructVariant = Finite<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_u128(u128), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
        serialize_unit_struct(&'static str),
    }

    begin! {
        serialize_seq(len: Option<usize>) -> SerializeSeq,
        serialize_tuple(len: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct,
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant,
        serialize_map(len: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct,
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant,
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f32(value) } else { Err(not_finite(value)) }
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f64(value) } else { Err(not_finite(value)) }
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&Finite(value))
    }

    #[inline]
    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Finite(value))
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &Finite(value))
    }

    #[inline]
    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// The elements of a sequence or tuple.
macro_rules! elements {
    ($($part:ident: $method:ident),* $(,)?) => {$(
        impl<S: ser::$part> ser::$part for Finite<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$method(&Finite(value))
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

/// The fields of a struct.
macro_rules! fields {
    ($($part:ident),*) => {$(
        impl<S: ser::$part> ser::$part for Finite<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
                self.0.serialize_field(key, &Finite(value))
            }

            #[inline]
            fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
                self.0.skip_field(key)
            }

            #[inline]
            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl<S: ser::SerializeMap> ser::SerializeMap for Finite<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    // serde_json writes float keys as text and rejects floats that are not finite.
    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Finite(value))
    }

    #[inline]
    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use crate::{IntoPayload, Json};

    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Unit,
        Newtype(f64),
        Tuple(f32, u8),
        Struct { number: f64 },
    }

    #[derive(Serialize)]
    struct Wrapped(f64);

    fn written(value: impl Serialize) -> Result<String, String> {
        let mut out = Vec::new();
        let result = Json(value).write(&mut out);
        result.map(|()| String::from_utf8(out).unwrap()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_number_that_is_not_finite_is_an_error_wherever_it_stands() {
        let wrong = "cannot be written as JSON: NaN is not a finite number, and JSON has no other";
        for result in [
            written(f64::NAN),
            written(f32::NAN),
            written(Some(f64::NAN)),
            written(vec![1.0, f64::NAN]),
            written([0.5, f64::NAN]),
            written((1, f64::NAN)),
            written(Wrapped(f64::NAN)),
            written(BTreeMap::from([("a", f64::NAN)])),
            written(Shape::Newtype(f64::NAN)),
            written(Shape::Tuple(f32::NAN, 1)),
            written(Shape::Struct { number: f64::NAN }),
            written(vec![Some(BTreeMap::from([("a", vec![f64::NAN])]))]),
        ] {
            assert_eq!(result, Err(wrong.to_owned()));
        }
        assert!(written(f64::INFINITY).unwrap_err().contains("inf is not"));
        assert!(written(-f64::INFINITY).unwrap_err().contains("-inf is not"));
    }

    #[test]
    fn everything_else_is_written_as_serde_json_writes_it() {
        assert_eq!(written(None::<f64>).unwrap(), "null");
        assert_eq!(written(()).unwrap(), "null");
        assert_eq!(written(vec![1e300, -0.0, 5.0]).unwrap(), "[1e+300,-0.0,5.0]");
        assert_eq!(written(BTreeMap::from([(1.5_f64.to_string(), 2)])).unwrap(), r#"{"1.5":2}"#);
        let shapes = [Shape::Unit, Shape::Newtype(1.0), Shape::Tuple(1.0, 2), Shape::Struct { number: 3.0 }];
        assert_eq!(written(shapes).unwrap(), r#"["unit",{"newtype":1.0},{"tuple":[1.0,2]},{"struct":{"number":3.0}}]"#);
        assert_eq!(written("a\"é").unwrap(), r#""a\"é""#);
        assert_eq!(written(u128::MAX).unwrap(), u128::MAX.to_string());
    }
}
