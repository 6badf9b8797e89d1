use sage_batch::fields::DataType;
use toml::de::{DeTable, DeValue};

use super::table::{Node, Table};
use super::{Diagnostic, Diagnostics, Span, Spanned};

/// The `schema` of a source, as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceSchema {
    /// Place of the table.
    pub span: Option<Span>,
    /// The fields, in the order of the file.
    pub fields: Vec<SourceField>,
    /// Whether a field had an error, which was reported.
    pub torn: bool,
}

/// A field of a `schema`, as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceField {
    /// Name of the field in the pipeline.
    pub key: Spanned<String>,
    /// Type of the field.
    pub data_type: WrittenType,
    /// Whether a record may lack the field. `None` lets the type decide.
    pub null: Option<bool>,
    /// The field in the source's records: a name or a JSON pointer. `None` means the name in the pipeline. A member of
    /// a struct has none.
    pub name: Option<Spanned<String>>,
    /// Purpose of the field, for people.
    pub doc: String,
}

/// The type of a field, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenType {
    /// A name, `f64`. A `?` at its end means that a record may lack the field.
    Name(Spanned<String>),
    /// The members of a struct.
    Members {
        /// Place of the table.
        span: Span,
        /// The members, in the order of the file.
        members: Vec<SourceField>,
        /// Whether a member had an error, which was reported.
        torn: bool,
    },
}

impl Default for WrittenType {
    fn default() -> Self {
        Self::Name(Spanned::default())
    }
}

impl WrittenType {
    /// Place of the type.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Name(name) => name.span,
            Self::Members { span, .. } => Some(*span),
        }
    }
}

/// The keys of the long form of a field.
const KEYS: [&str; 4] = ["type", "null", "name", "doc"];

impl SourceSchema {
    /// Reads `schema = { sensor = "string", at = { type = "timestamp", null = true }, place = { lat = "f64" } }`.
    pub(super) fn read(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Self> {
        let inner = table.table("schema", errors)?;
        let place = table.place();
        let mut read = Self { span: Some(inner.span()), ..Self::default() };
        for (key, node) in inner.entries() {
            let name = format!("field \"{}\" of {place}", key.value);
            match SourceField::read(key, node, &inner, name, errors) {
                Some(field) => read.fields.push(field),
                None => read.torn = true,
            }
        }
        Some(read)
    }
}

impl SourceField {
    /// Reads a field of the table `around`: a type, the long form with a type, or the members of a struct. A table is
    /// the long form if it has the key `type`.
    fn read(
        key: Spanned<String>,
        node: &Node<'_>,
        around: &Table<'_, '_>,
        place: String,
        errors: &mut Diagnostics,
    ) -> Option<Self> {
        let span = node.span().into();
        match node.get_ref() {
            DeValue::Table(entries) if entries.contains_key("type") || lacks_a_type(entries) => {
                Self::long(key, Table::new(entries, span, place), errors)
            }
            DeValue::Table(entries) => {
                let data_type = members(&Table::new(entries, span, place), errors);
                Some(Self { key, data_type, ..Self::default() })
            }
            _ => {
                let data_type = name_of_type(&key.value, node, around, errors)?;
                Some(Self { key, data_type, ..Self::default() })
            }
        }
    }

    fn read_member(
        key: Spanned<String>,
        node: &Node<'_>,
        around: &Table<'_, '_>,
        errors: &mut Diagnostics,
    ) -> Option<Self> {
        let place = format!("member \"{}\" of {}", key.value, around.place());
        let span: Span = node.span().into();
        match node.get_ref() {
            DeValue::Table(entries) if !entries.contains_key("type") && !lacks_a_type(entries) => {
                nested(&place, span, errors);
                None
            }
            DeValue::Table(entries) => match entries.get("type").map(|node| (node.get_ref(), node.span())) {
                Some((DeValue::Table(_), span)) => {
                    nested(&place, span.into(), errors);
                    None
                }
                _ => {
                    let member = Self::long(key, Table::new(entries, span, place.clone()), errors)?;
                    if let Some(name) = &member.name {
                        let hint = "a member has one name, in the records and in the pipeline";
                        errors.push(Diagnostic::new(format!("{place} has another name")).on(name).hint(hint));
                    }
                    Some(member)
                }
            },
            _ => {
                let data_type = name_of_type(&key.value, node, around, errors)?;
                Some(Self { key, data_type, ..Self::default() })
            }
        }
    }

    fn long(key: Spanned<String>, mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<Self> {
        let data_type = table.node("type").and_then(|node| match node.get_ref() {
            DeValue::Table(entries) => {
                let inner = Table::new(entries, node.span().into(), table.place());
                Some(members(&inner, errors))
            }
            _ => table.string_of("type", node, errors).map(WrittenType::Name),
        });
        let null = table.boolean("null", errors);
        let name = table.string("name", errors);
        let doc = table.string("doc", errors).map(|doc| doc.value).unwrap_or_default();
        if table.key_span("type").is_none() {
            let hint = "name its type: { type = \"f64\", null = true }, or the members of a struct: { lat = \"f64\" }";
            table.missing("type", hint, errors);
        }
        if report_members_beside_type(&table, errors) {
            return None;
        }
        table.finish(errors);
        Some(Self { key, data_type: data_type?, null, name, doc })
    }
}

/// Whether a table without `type` is a long form that lacks its type, and no struct: it has only keys of the long form,
/// and a value that is no type.
fn lacks_a_type(entries: &DeTable<'_>) -> bool {
    let is_key = entries.iter().all(|(key, _)| KEYS.contains(&key.get_ref().as_ref()));
    is_key && (entries.is_empty() || !entries.iter().all(|(_, node)| is_type(node)))
}

/// Whether a value is the name of a type.
fn is_type(node: &Node<'_>) -> bool {
    let name = |text: &str| text.strip_suffix('?').unwrap_or(text).parse::<DataType>().is_ok();
    matches!(node.get_ref(), DeValue::String(text) if name(text))
}

/// Reports members of a struct in the long form, whose key `type` is then meant as a member too.
fn report_members_beside_type(table: &Table<'_, '_>, errors: &mut Diagnostics) -> bool {
    let entries = table.entries();
    let member = entries.iter().find(|(key, node)| !KEYS.contains(&key.value.as_str()) && is_type(node));
    let Some((key, _)) = member else { return false };
    let message = format!("unknown key \"{}\" in {}", key.value, table.place());
    let hint = format!(
        "a table with the key type is the long form of a field; a struct with a member that is called type is \
         {{ type = {{ type = \"string\", {} = … }} }}",
        key.value
    );
    errors.push(Diagnostic::new(message).on(key).hint(hint));
    true
}

fn members(table: &Table<'_, '_>, errors: &mut Diagnostics) -> WrittenType {
    let (mut members, mut torn) = (Vec::new(), false);
    for (key, node) in table.entries() {
        match SourceField::read_member(key, node, table, errors) {
            Some(member) => members.push(member),
            None => torn = true,
        }
    }
    WrittenType::Members { span: table.span(), members, torn }
}

fn name_of_type(key: &str, node: &Node<'_>, around: &Table<'_, '_>, errors: &mut Diagnostics) -> Option<WrittenType> {
    match node.get_ref() {
        DeValue::String(text) => Some(WrittenType::Name(Spanned::at(text.clone().into_owned(), node.span().into()))),
        _ => around.wrong_type(key, "a type or a table", node, errors),
    }
}

fn nested(place: &str, span: Span, errors: &mut Diagnostics) {
    let hint = "a member is no struct and no list; the type \"json\" takes any value";
    errors.push(Diagnostic::new(format!("{place} is a struct")).at(Some(span)).hint(hint));
}
