use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::Schema;

/// A type whose shape is known at compile time, so that the host can check `config` before the run.
///
/// Derive `Describe` beside `serde::Deserialize`. The derive obeys serde's attributes `rename`, `rename_all`,
/// `alias`, `default`, `skip`, `deny_unknown_fields`, `transparent`, `from` and `try_from`. The host does not
/// check parts that serde reads in another way (`flatten`, `with`, enums with values).
///
/// ```
/// use sage_guest::Describe;
///
/// /// Settings of the sampler.
/// #[derive(serde::Deserialize, Describe)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     /// Number of records of which one stays.
///     one_in: u32,
/// }
///
/// #[sage_guest::filter]
/// fn sample(record: &[u8], settings: &Settings) -> bool {
///     record.len() as u32 % settings.one_in == 0
/// }
/// ```
///
/// A struct with `open` names the type in its attribute: `#[sage_guest::process(config = Settings)]`.
#[diagnostic::on_unimplemented(
    message = "the shape of `{Self}` as configuration is not known",
    label = "not described",
    note = "write `#[derive(sage_guest::Describe)]` on it"
)]
pub trait Describe {
    /// The shape of the type.
    const SCHEMA: &'static Schema;
}

macro_rules! described {
    ($($type:ty: $schema:expr),* $(,)?) => {$(
        impl Describe for $type {
            const SCHEMA: &'static Schema = &$schema;
        }
    )*};
}

macro_rules! integers {
    ($($type:ty),*) => {
        described!($($type: Schema::Integer { minimum: <$type>::MIN as i128, maximum: <$type>::MAX as i128 }),*);
    };
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! non_zero {
    ($($type:ident),*) => {
        described!($(
            std::num::$type: Schema::Integer {
                minimum: 1,
                maximum: std::num::$type::MAX.get() as i128,
            }
        ),*);
    };
}

non_zero!(NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize);

described! {
    bool: Schema::Boolean,
    f32: Schema::Number,
    f64: Schema::Number,
    char: Schema::Character,
    String: Schema::Text,
    str: Schema::Text,
    PathBuf: Schema::Text,
    serde_json::Value: Schema::Any,
}

impl<T: Describe> Describe for Option<T> {
    const SCHEMA: &'static Schema = &Schema::Nullable(T::SCHEMA);
}

impl<T: Describe + ?Sized> Describe for Box<T> {
    const SCHEMA: &'static Schema = T::SCHEMA;
}

impl<T: Describe + ToOwned + ?Sized> Describe for Cow<'_, T> {
    const SCHEMA: &'static Schema = T::SCHEMA;
}

impl<T: Describe> Describe for Vec<T> {
    const SCHEMA: &'static Schema = &Schema::List(T::SCHEMA);
}

impl<T: Describe> Describe for BTreeMap<String, T> {
    const SCHEMA: &'static Schema = &Schema::Map(T::SCHEMA);
}

impl<T: Describe, S> Describe for HashMap<String, T, S> {
    const SCHEMA: &'static Schema = &Schema::Map(T::SCHEMA);
}
