/// What an operator says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The documentation comment.
    pub docs: &'static str,
    /// Whether the operator keeps keyed state.
    pub stateful: bool,
    /// What `config` must look like; [`Schema::Any`] is not written down.
    pub config: &'static Schema,
}

/// The shape of a value, as far as JSON Schema is needed to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Any value.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A whole number from `minimum` to `maximum`, both included.
    Integer {
        /// The least.
        minimum: i128,
        /// The greatest.
        maximum: i128,
    },
    /// A number.
    Number,
    /// Text.
    Text,
    /// Text of one character.
    Character,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// Any number of values.
    List(&'static Schema),
    /// Values by names that are the user's own.
    Map(&'static Schema),
    /// The value, or `null`.
    Nullable(&'static Schema),
    /// Fields.
    Object(&'static Object),
}

/// A struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// The documentation comment.
    pub docs: &'static str,
    /// The fields, in their order.
    pub fields: &'static [Field],
    /// Whether other fields are an error.
    pub closed: bool,
}

/// A field of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What it is called in the configuration.
    pub name: &'static str,
    /// The documentation comment.
    pub docs: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it holds.
    pub schema: &'static Schema,
}
