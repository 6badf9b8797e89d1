use thiserror::Error;

use super::{DataType, Storage};
use crate::Malformed;

/// The way in which a table from a guest breaks the contract. The message is for the author of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MalformedTable {
    /// The table has too few fields or too many.
    #[error("a table of {found} fields, the schema has {expected}")]
    FieldCount {
        /// Number of fields in the table.
        found: usize,
        /// Number of fields in the schema.
        expected: usize,
    },
    /// A child belongs to no list and no struct.
    #[error("child {number} is in no list and in no struct")]
    Unused {
        /// Number of the child.
        number: usize,
    },
    /// A field breaks a rule.
    #[error("field {field:?}: {problem}")]
    Field {
        /// Name of the field.
        field: String,
        /// The broken rule.
        problem: Problem,
    },
}

/// The rule that a field of a table breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The values have the layout of another type.
    #[error("{found} values, its type is stored as {expected}")]
    Storage {
        /// Layout of the values.
        found: Storage,
        /// Layout of the field's type.
        expected: Storage,
    },
    /// The field has too few values or too many.
    #[error("{found} values in a table of {expected} rows")]
    Rows {
        /// Number of values.
        found: usize,
        /// Number of rows.
        expected: usize,
    },
    /// The field has a validity bitmap, and its type is not nullable.
    #[error("a validity bitmap, but the field is not nullable")]
    NotNullable,
    /// Offsets, a bitmap, or a text break a rule.
    #[error(transparent)]
    Column(#[from] Malformed),
    /// A decimal lacks its high word.
    #[error("{words} words of decimals, each decimal has two")]
    HalfDecimal {
        /// Number of words.
        words: usize,
    },
    /// A decimal has too many digits.
    #[error("row {row} is {found} without its point, which has more than {precision} digits")]
    Decimal {
        /// The row.
        row: usize,
        /// The decimal without its point.
        found: i128,
        /// Most digits.
        precision: u8,
    },
    /// A list or a struct names a child that the table does not have.
    #[error("child {number} is named, the table has {children}")]
    ChildOutOfRange {
        /// Number of the named child.
        number: u32,
        /// Number of children of the table.
        children: usize,
    },
    /// A child is named twice.
    #[error("child {number} is named twice")]
    ChildTwice {
        /// Number of the child.
        number: u32,
    },
    /// A struct has too few members or too many.
    #[error("a struct of {found} members, its type has {expected}")]
    Members {
        /// Number of members.
        found: usize,
        /// Number of members of the type.
        expected: usize,
    },
    /// `same` is used inside of a list or a struct.
    #[error("`same` inside of a list or a struct")]
    SameInside,
    /// `same` is used where there is no input table.
    #[error("`same`, but there is no input table")]
    NoInput,
    /// `same` names a field that the input does not have.
    #[error("`same` of field {found}, the input has {fields}")]
    SameOutOfRange {
        /// Number of the named field.
        found: u32,
        /// Number of fields of the input.
        fields: usize,
    },
    /// `same` names a field of another type.
    #[error("`same` of field {input:?}, which is {found}, not {expected}")]
    SameType {
        /// Name of the field of the input.
        input: String,
        /// Type of the field of the input.
        found: DataType,
        /// Type of this field.
        expected: DataType,
    },
    /// `same` names a field with nulls, and this field is not nullable.
    #[error("`same` of field {input:?}, which has nulls; this field is not nullable")]
    SameNulls {
        /// Name of the field of the input.
        input: String,
    },
    /// `same` is used in a table that has not as many rows as the input.
    #[error("`same` in a table of {found} rows, the input has {expected}")]
    SameRows {
        /// Number of rows of this table.
        found: usize,
        /// Number of rows of the input.
        expected: usize,
    },
    /// `same` comes with a validity bitmap.
    #[error("`same` with a validity bitmap of its own")]
    SameValidity,
}
