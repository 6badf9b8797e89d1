use std::sync::Arc;

use sage_batch::fields::{FieldType, Schema, UnknownType};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::FieldNameError;
use super::field_name::check_field_name;

/// Fields that an operator reads and gives. An operator with a shape receives records as columns; an operator
/// without one receives bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenShape", into = "WrittenShape")]
pub struct RecordShape {
    /// Fields that the operator reads.
    pub reads: Arc<Schema>,
    /// Fields of the records that the operator sends on its main output. An operator that passes records on as
    /// they are, such as a filter, gives none.
    pub gives: Arc<Schema>,
    /// Whether the other fields of a record travel on.
    pub rest: Rest,
}

/// Treatment of the fields of a record that an operator does not give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rest {
    /// The operator's records have the given fields only.
    #[default]
    Drop,
    /// The other fields travel on with the given ones. A given field replaces a field of the same name.
    Keep,
}

/// The error for a description with fields that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// A list has more fields than [`RecordShape::MOST_FIELDS`].
    #[error("`{list}` has {count} fields, at most {} are read", RecordShape::MOST_FIELDS)]
    TooMany {
        /// `reads` or `gives`.
        list: &'static str,
        /// Number of fields.
        count: usize,
    },
    /// A name cannot be the name of a field.
    #[error("the name of field {number} of `{list}` cannot be used: {error}")]
    Name {
        /// `reads` or `gives`.
        list: &'static str,
        /// Position of the field, from 1.
        number: usize,
        /// The reason.
        error: FieldNameError,
    },
    /// A field has no known type.
    #[error("field `{name}` of `{list}`: {error}")]
    Type {
        /// `reads` or `gives`.
        list: &'static str,
        /// Name of the field.
        name: String,
        /// The reason.
        error: UnknownType,
    },
    /// Two fields of a list have one name.
    #[error("two fields of `{list}` are called `{name}`")]
    Twice {
        /// `reads` or `gives`.
        list: &'static str,
        /// Name of the fields.
        name: String,
    },
    /// There is a `rest` beside neither `reads` nor `gives`.
    #[error("`rest` goes with `reads` or `gives`, and there is neither")]
    RestAlone,
}

/// The keys of a shape as a description has them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct WrittenShape {
    #[serde(default)]
    pub(super) reads: Option<Vec<WrittenField>>,
    #[serde(default)]
    pub(super) gives: Option<Vec<WrittenField>>,
    #[serde(default)]
    pub(super) rest: Option<Rest>,
}

/// A field as a description has it. Keys of a later version are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WrittenField {
    name: String,
    r#type: String,
    #[serde(default)]
    nullable: bool,
    #[serde(default)]
    docs: String,
}

impl RecordShape {
    /// Largest number of fields that an operator may read or give.
    pub const MOST_FIELDS: usize = 1_000;
}

impl WrittenShape {
    /// The shape. `None` if no key of a shape was written.
    pub(super) fn read(self) -> Result<Option<RecordShape>, ShapeError> {
        match self {
            Self { reads: None, gives: None, rest: None } => Ok(None),
            Self { reads: None, gives: None, rest: Some(_) } => Err(ShapeError::RestAlone),
            written => RecordShape::try_from(written).map(Some),
        }
    }
}

impl TryFrom<WrittenShape> for RecordShape {
    type Error = ShapeError;

    fn try_from(written: WrittenShape) -> Result<Self, ShapeError> {
        Ok(Self {
            reads: schema("reads", written.reads.unwrap_or_default())?,
            gives: schema("gives", written.gives.unwrap_or_default())?,
            rest: written.rest.unwrap_or_default(),
        })
    }
}

impl From<RecordShape> for WrittenShape {
    fn from(shape: RecordShape) -> Self {
        let written = |schema: &Schema| Some(schema.fields().iter().map(WrittenField::from).collect());
        Self { reads: written(&shape.reads), gives: written(&shape.gives), rest: Some(shape.rest) }
    }
}

impl From<&FieldType> for WrittenField {
    fn from(field: &FieldType) -> Self {
        let (name, docs) = (field.name.clone(), field.docs.clone());
        Self { name, r#type: field.data_type.to_string(), nullable: field.nullable, docs }
    }
}

fn schema(list: &'static str, written: Vec<WrittenField>) -> Result<Arc<Schema>, ShapeError> {
    if written.len() > RecordShape::MOST_FIELDS {
        return Err(ShapeError::TooMany { list, count: written.len() });
    }
    let field = |(at, WrittenField { name, r#type, nullable, docs }): (usize, WrittenField)| {
        check_field_name(&name).map_err(|error| ShapeError::Name { list, number: at + 1, error })?;
        match r#type.parse() {
            Ok(data_type) => Ok(FieldType { name, data_type, nullable, docs }),
            Err(error) => Err(ShapeError::Type { list, name, error }),
        }
    };
    let fields = written.into_iter().enumerate().map(field).collect::<Result<_, _>>()?;
    Schema::new(fields).map(Arc::new).map_err(|name| ShapeError::Twice { list, name })
}
