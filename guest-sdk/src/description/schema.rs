use crate::fields::FieldType;

/// The description of an operator.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The operator's documentation comment.
    pub docs: &'static str,
    /// Whether the operator keeps keyed state.
    pub stateful: bool,
    /// Shape of the `config` table; [`Schema::Any`] is left out of the JSON.
    pub config: &'static Schema,
    /// The fields of an operator that takes records by field.
    pub fields: Option<Fields>,
}

/// The fields that an operator reads and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    /// The fields that the host passes, in this order.
    pub reads: &'static [FieldType],
    /// The fields of the answer, in this order.
    pub gives: &'static [FieldType],
    /// Whether an output record also has the other fields of its input record.
    pub keeps_rest: bool,
    /// The fields on the side outputs of a process or source, in the order of the outputs.
    pub ports: &'static [PortFields],
}

/// The fields on a side output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortFields {
    /// Name of the output.
    pub name: &'static str,
    /// The fields of its records.
    pub gives: &'static [FieldType],
    /// Whether a record also has the other fields of its input record.
    pub keeps_rest: bool,
}

/// The shape of a value: the part of JSON Schema that descriptions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Any value.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A whole number from `minimum` to `maximum`, both included.
    Integer {
        /// The smallest allowed number.
        minimum: i128,
        /// The largest allowed number.
        maximum: i128,
    },
    /// A number.
    Number,
    /// Text.
    Text,
    /// Text of one character.
    Character,
    /// A text from a fixed list.
    OneOf(&'static [&'static str]),
    /// A list of any length whose items have this shape.
    List(&'static Schema),
    /// A table with keys of any name, whose values have this shape.
    Map(&'static Schema),
    /// A value of this shape, or `null`.
    Nullable(&'static Schema),
    /// A table with fixed fields.
    Object(&'static Object),
}

/// The shape of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// The struct's documentation comment.
    pub docs: &'static str,
    /// The fields, in the order of their declaration.
    pub fields: &'static [Field],
    /// Whether an unknown field is an error.
    pub closed: bool,
}

/// A field of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name of the field in the configuration.
    pub name: &'static str,
    /// The field's documentation comment.
    pub docs: &'static str,
    /// Whether the configuration must contain the field.
    pub required: bool,
    /// Shape of the field's value.
    pub schema: &'static Schema,
}
