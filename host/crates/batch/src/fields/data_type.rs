use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Type of a field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// True or false.
    Bool,
    /// Integer of 8 bits with a sign.
    S8,
    /// Integer of 16 bits with a sign.
    S16,
    /// Integer of 32 bits with a sign.
    S32,
    /// Integer of 64 bits with a sign.
    S64,
    /// Integer of 8 bits without a sign.
    U8,
    /// Integer of 16 bits without a sign.
    U16,
    /// Integer of 32 bits without a sign.
    U32,
    /// Integer of 64 bits without a sign.
    U64,
    /// IEEE 754 number of 32 bits.
    F32,
    /// IEEE 754 number of 64 bits.
    F64,
    /// Instant: microseconds since the Unix epoch, UTC, in an integer of 64 bits.
    Timestamp,
    /// Day: days since the Unix epoch, in an integer of 32 bits.
    Date,
    /// Decimal number: an integer of 128 bits, divided by 10 to the power of `scale`.
    Decimal {
        /// Number of digits, 1 to 38.
        precision: u8,
        /// Number of digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// Text in UTF-8.
    String,
    /// Bytes.
    Bytes,
    /// Any JSON value, as its text. For values that no other type describes.
    Json,
    /// Any number of values of one type, in their order.
    List(Arc<Element>),
    /// Named values.
    Struct(Arc<Members>),
}

impl DataType {
    /// Whether the values are lists or structs.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::List(_) | Self::Struct(_))
    }

    /// Whether every value of this type is a value of `wider`, so that the host may convert it. A struct widens to one
    /// with the same members in any order. It does not widen to one with fewer members: the record would lose the
    /// others, also for later stages.
    #[must_use]
    pub fn widens_to(&self, wider: &Self) -> bool {
        if self == wider {
            return true;
        }
        match (self, wider) {
            (Self::List(narrow), Self::List(wide)) => {
                narrow.data_type().widens_to(wide.data_type()) && (wide.is_nullable() || !narrow.is_nullable())
            }
            (Self::Struct(narrow), Self::Struct(wide)) => {
                narrow.fields().len() == wide.fields().len()
                    && wide.fields().iter().all(|wide| {
                        let fits = |narrow: &FieldType| {
                            narrow.data_type.widens_to(&wide.data_type) && (wide.nullable || !narrow.nullable)
                        };
                        narrow.get(&wide.name).is_some_and(fits)
                    })
            }
            _ => {
                let rank = |list: &[Self], one| list.iter().position(|entry| entry == one);
                [
                    &[Self::S8, Self::S16, Self::S32, Self::S64][..],
                    &[Self::U8, Self::U16, Self::U32, Self::U64],
                    &[Self::F32, Self::F64],
                ]
                .iter()
                .any(
                    |list| matches!((rank(list, self), rank(list, wider)), (Some(narrow), Some(wide)) if narrow < wide),
                )
            }
        }
    }
}

/// The rule of lists and structs.
pub(super) const NESTED: &str =
    "the elements of a list and the members of a struct are neither lists nor structs: the type json takes any value";

/// Type of the elements of a list. An element is neither a list nor a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    data_type: DataType,
    nullable: bool,
}

impl Element {
    /// Elements of this type. `None` if the type is a list or a struct.
    #[must_use]
    pub fn new(data_type: DataType, nullable: bool) -> Option<Self> {
        (!data_type.is_nested()).then_some(Self { data_type, nullable })
    }

    /// Type of an element.
    #[must_use]
    #[inline]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether an element may be null.
    #[must_use]
    #[inline]
    pub fn is_nullable(&self) -> bool {
        self.nullable
    }
}

impl From<Element> for DataType {
    fn from(element: Element) -> Self {
        Self::List(Arc::new(element))
    }
}

/// Members of a struct: at least one, each with a name of its own. A member is neither a list nor a struct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Members {
    fields: Schema,
}

/// The error for fields that are no members of a struct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMembers {
    /// There is no member.
    #[error("a struct has at least one member")]
    None,
    /// Two members have one name.
    #[error("two members are called `{0}`")]
    Twice(String),
    /// A member is a list or a struct.
    #[error("member `{0}`: {NESTED}")]
    Nested(String),
}

impl Members {
    /// These fields as the members of a struct.
    ///
    /// # Errors
    /// There is none, two have one name, or one is a list or a struct.
    pub fn new(fields: Vec<FieldType>) -> Result<Self, NoMembers> {
        if fields.is_empty() {
            return Err(NoMembers::None);
        }
        if let Some(field) = fields.iter().find(|field| field.data_type.is_nested()) {
            return Err(NoMembers::Nested(field.name.clone()));
        }
        Ok(Self { fields: Schema::new(fields).map_err(NoMembers::Twice)? })
    }

    /// The members, in their order.
    #[must_use]
    #[inline]
    pub fn fields(&self) -> &[FieldType] {
        self.fields.fields()
    }

    /// The member with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FieldType> {
        self.fields().get(self.fields.position(name)?)
    }

    /// The place of the member with this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.position(name)
    }
}

impl From<Members> for DataType {
    fn from(members: Members) -> Self {
        Self::Struct(Arc::new(members))
    }
}

/// Name and type of a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldType {
    /// Name of the field in the record.
    pub name: String,
    /// Type of the values.
    pub data_type: DataType,
    /// Whether a record may lack a value.
    pub nullable: bool,
    /// Purpose of the field, for people.
    pub docs: String,
}

/// Fields of a record, in their order. No two fields have one name.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Schema {
    fields: Vec<FieldType>,
    /// The numbers of the columns inside lists and structs, from 0: a table of this schema has that many.
    children: Vec<u32>,
}

impl Schema {
    /// A schema of these fields, unless two of them have one name.
    ///
    /// # Errors
    /// The name that occurs twice.
    pub fn new(fields: Vec<FieldType>) -> Result<Self, String> {
        let mut seen = HashSet::with_capacity(fields.len());
        let twice = fields.iter().find(|field| !seen.insert(field.name.as_str())).map(|field| field.name.clone());
        match twice {
            Some(name) => Err(name),
            None => {
                let inside = |field: &FieldType| match &field.data_type {
                    DataType::List(_) => 1,
                    DataType::Struct(members) => members.fields().len(),
                    _ => 0,
                };
                let children = fields.iter().map(inside).sum::<usize>();
                Ok(Self { fields, children: (0..).take(children).collect() })
            }
        }
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &[FieldType] {
        &self.fields
    }

    /// The numbers of the columns inside lists and structs, in the order of the fields: 0, 1, and so on.
    #[must_use]
    #[inline]
    pub fn children(&self) -> &[u32] {
        &self.children
    }

    /// The place of the field with this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Schema").field("fields", &self.fields).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_has_members_of_one_level_with_names_that_differ() {
        let field = |name: &str, data_type: &str| FieldType {
            name: name.to_owned(),
            data_type: data_type.parse().unwrap(),
            nullable: false,
            docs: String::new(),
        };
        for (fields, message) in [
            (vec![], "a struct has at least one member"),
            (vec![field("a", "s8"), field("a", "f64")], "two members are called `a`"),
            (vec![field("a", "s8"), field("b", "list<s8>")], "member `b`: the elements of a list and the members"),
        ] {
            assert!(Members::new(fields).unwrap_err().to_string().starts_with(message));
        }
        assert!(Element::new("list<s8>".parse().unwrap(), false).is_none());
    }
}
