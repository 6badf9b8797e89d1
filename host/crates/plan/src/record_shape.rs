use std::sync::Arc;

use sage_batch::fields::{DataType, FieldType, Members, NoMembers, Schema, UnknownType};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::field_name::check_field_name;
use super::{FieldNameError, Port};

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
    /// Fields of the records on the side outputs, in the order of their numbers (from 1).
    pub sides: Vec<SideShape>,
}

/// Fields of the records on a side output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideShape {
    /// Name of the output.
    pub name: String,
    /// Fields of the records.
    pub gives: Arc<Schema>,
    /// Whether the other fields of the input record travel on.
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
    /// A list has more fields than [`RecordShape::MOST_FIELDS`], members of structs included.
    #[error("`{list}` has {count} fields, at most {} are read", RecordShape::MOST_FIELDS)]
    TooMany {
        /// `reads`, `gives`, or the name of a side output.
        list: String,
        /// Number of fields.
        count: usize,
    },
    /// A name cannot be the name of a field.
    #[error("the name of field {number} of `{list}` cannot be used: {error}")]
    Name {
        /// As for `TooMany`.
        list: String,
        /// Position of the field, from 1.
        number: usize,
        /// The reason.
        error: FieldNameError,
    },
    /// A field has no known type.
    #[error("field `{name}` of `{list}`: {error}")]
    Type {
        /// As for `TooMany`.
        list: String,
        /// Name of the field.
        name: String,
        /// The reason.
        error: UnknownType,
    },
    /// A struct has no usable members.
    #[error("field `{name}` of `{list}` cannot be a struct: {error}")]
    Struct {
        /// As for `TooMany`.
        list: String,
        /// Name of the field.
        name: String,
        /// The reason.
        error: NoMembers,
    },
    /// A field that is no struct has members.
    #[error("field `{name}` of `{list}` has `fields`, which go with the type struct")]
    Members {
        /// As for `TooMany`.
        list: String,
        /// Name of the field.
        name: String,
    },
    /// Two fields of a list have one name.
    #[error("two fields of `{list}` are called `{name}`")]
    Twice {
        /// As for `TooMany`.
        list: String,
        /// Name of the fields.
        name: String,
    },
    /// There is a `rest` beside neither `reads` nor `gives`.
    #[error("`rest` goes with `reads` or `gives`, and there is neither")]
    RestAlone,
    /// There are `ports` beside neither `reads` nor `gives`.
    #[error("`ports` go with `reads` or `gives`, and there is neither")]
    PortsAlone,
    /// There are too many side outputs.
    #[error("`ports` has {count} side outputs, at most {} are read", RecordShape::MOST_SIDES)]
    TooManySides {
        /// Number of side outputs.
        count: usize,
    },
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ports: Option<Vec<WrittenSide>>,
}

/// A side output as a description has it. Keys of a later version are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WrittenSide {
    name: String,
    #[serde(default)]
    gives: Vec<WrittenField>,
    #[serde(default)]
    rest: Rest,
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
    /// The members of a struct.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Self>>,
}

/// The name of the type of structs. Its members stand beside it.
const STRUCT: &str = "struct";

impl RecordShape {
    /// Largest number of fields that an operator may read or give.
    pub const MOST_FIELDS: usize = 1_000;
    /// Largest number of side outputs.
    pub const MOST_SIDES: usize = 32;

    /// The fields that the operator gives on an output, and what becomes of the other fields there. `None` for an
    /// output that the operator does not have, and for the rejected records.
    #[must_use]
    pub fn output(&self, port: &Port) -> Option<(&Arc<Schema>, Rest)> {
        match port {
            Port::Main => Some((&self.gives, self.rest)),
            Port::Rejects => None,
            Port::Side(number, _) => {
                let side = (*number as usize).checked_sub(1).and_then(|side| self.sides.get(side))?;
                Some((&side.gives, side.rest))
            }
        }
    }

    /// The fields on each output and what becomes of the other fields there: the main output, then the side outputs.
    pub fn outputs(&self) -> impl Iterator<Item = (&Arc<Schema>, Rest)> {
        std::iter::once((&self.gives, self.rest)).chain(self.sides.iter().map(|side| (&side.gives, side.rest)))
    }
}

impl WrittenShape {
    /// The shape. `None` if no key of a shape was written.
    pub(super) fn read(self) -> Result<Option<RecordShape>, ShapeError> {
        match self {
            Self { reads: None, gives: None, rest: None, ports: None } => Ok(None),
            Self { reads: None, gives: None, rest: Some(_), .. } => Err(ShapeError::RestAlone),
            Self { reads: None, gives: None, ports: Some(_), .. } => Err(ShapeError::PortsAlone),
            written => RecordShape::try_from(written).map(Some),
        }
    }
}

impl TryFrom<WrittenShape> for RecordShape {
    type Error = ShapeError;

    fn try_from(written: WrittenShape) -> Result<Self, ShapeError> {
        let sides = written.ports.unwrap_or_default();
        if sides.len() > Self::MOST_SIDES {
            return Err(ShapeError::TooManySides { count: sides.len() });
        }
        let side = |WrittenSide { name, gives, rest }| {
            let gives = schema(&name, gives)?;
            Ok(SideShape { name, gives, rest })
        };
        Ok(Self {
            reads: schema("reads", written.reads.unwrap_or_default())?,
            gives: schema("gives", written.gives.unwrap_or_default())?,
            rest: written.rest.unwrap_or_default(),
            sides: sides.into_iter().map(side).collect::<Result<_, _>>()?,
        })
    }
}

impl From<RecordShape> for WrittenShape {
    fn from(shape: RecordShape) -> Self {
        let written =
            |schema: &Schema| -> Vec<WrittenField> { schema.fields().iter().map(WrittenField::from).collect() };
        let side =
            |side: &SideShape| WrittenSide { name: side.name.clone(), gives: written(&side.gives), rest: side.rest };
        let sides: Vec<WrittenSide> = shape.sides.iter().map(side).collect();
        Self {
            reads: Some(written(&shape.reads)),
            gives: Some(written(&shape.gives)),
            rest: Some(shape.rest),
            ports: (!sides.is_empty()).then_some(sides),
        }
    }
}

impl From<&FieldType> for WrittenField {
    fn from(field: &FieldType) -> Self {
        let (name, docs) = (field.name.clone(), field.docs.clone());
        let (r#type, fields) = match &field.data_type {
            DataType::Struct(members) => (STRUCT.to_owned(), Some(members.fields().iter().map(Self::from).collect())),
            other => (other.to_string(), None),
        };
        Self { name, r#type, nullable: field.nullable, docs, fields }
    }
}

fn schema(list: &str, written: Vec<WrittenField>) -> Result<Arc<Schema>, ShapeError> {
    let columns = |field: &WrittenField| field.fields.as_ref().map_or(1, |members| members.len().max(1));
    let count = written.iter().map(columns).sum();
    if count > RecordShape::MOST_FIELDS {
        return Err(ShapeError::TooMany { list: list.to_owned(), count });
    }
    let fields = written.into_iter().enumerate().map(|(at, field)| read(list, at, field)).collect::<Result<_, _>>()?;
    Schema::new(fields).map(Arc::new).map_err(|name| ShapeError::Twice { list: list.to_owned(), name })
}

/// Reads a field, or a member of a struct.
fn read(list: &str, at: usize, written: WrittenField) -> Result<FieldType, ShapeError> {
    let WrittenField { name, r#type, nullable, docs, fields } = written;
    check_field_name(&name).map_err(|error| ShapeError::Name { list: list.to_owned(), number: at + 1, error })?;
    let data_type = match (r#type.as_str(), fields) {
        (STRUCT, fields) => {
            let members = fields.unwrap_or_default().into_iter().enumerate();
            let members: Vec<FieldType> =
                members.map(|(at, member)| read_member(list, &name, at, member)).collect::<Result<_, _>>()?;
            Members::new(members)
                .map_err(|error| ShapeError::Struct { list: list.to_owned(), name: name.clone(), error })?
                .into()
        }
        (_, Some(_)) => return Err(ShapeError::Members { list: list.to_owned(), name }),
        (other, None) => {
            other.parse().map_err(|error| ShapeError::Type { list: list.to_owned(), name: name.clone(), error })?
        }
    };
    Ok(FieldType { name, data_type, nullable, docs })
}

/// Reads a member of the struct `around`. A struct in a struct is refused before its members are read.
fn read_member(list: &str, around: &str, at: usize, member: WrittenField) -> Result<FieldType, ShapeError> {
    if member.r#type == STRUCT {
        let error = NoMembers::Nested(member.name);
        return Err(ShapeError::Struct { list: list.to_owned(), name: around.to_owned(), error });
    }
    let WrittenField { name, r#type, nullable, docs, fields } = member;
    check_field_name(&name).map_err(|error| ShapeError::Name { list: list.to_owned(), number: at + 1, error })?;
    let path = format!("{around}.{name}");
    match (fields, r#type.parse()) {
        (Some(_), _) => Err(ShapeError::Members { list: list.to_owned(), name: path }),
        (None, Err(error)) => Err(ShapeError::Type { list: list.to_owned(), name: path, error }),
        (None, Ok(data_type)) => Ok(FieldType { name, data_type, nullable, docs }),
    }
}
