use toml::de::DeValue;

use super::table::Table;
use super::{Diagnostics, Span, Spanned};

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
    /// Type of the field, `f64`. A `?` at its end means that a record may lack the field.
    pub data_type: Spanned<String>,
    /// Whether a record may lack the field. `None` lets the type decide.
    pub null: Option<bool>,
    /// The field in the source's records: a name or a JSON pointer. `None` means the name in the pipeline.
    pub name: Option<Spanned<String>>,
    /// Purpose of the field, for people.
    pub doc: String,
}

impl SourceSchema {
    /// Reads `schema = { sensor = "string", at = { type = "timestamp", null = true } }`.
    pub(super) fn read(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<Self> {
        let inner = table.table("schema", errors)?;
        let place = table.place();
        let mut read = Self { span: Some(inner.span()), ..Self::default() };
        for (key, node) in inner.entries() {
            let field = match node.get_ref() {
                DeValue::String(text) => {
                    let data_type = Spanned::at(text.clone().into_owned(), node.span().into());
                    Some(SourceField { key, data_type, ..SourceField::default() })
                }
                DeValue::Table(entries) => {
                    let name = format!("field \"{}\" of {place}", key.value);
                    SourceField::read(key, Table::new(entries, node.span().into(), name), errors)
                }
                _ => inner.wrong_type(&key.value, "a type or a table", node, errors),
            };
            match field {
                Some(field) => read.fields.push(field),
                None => read.torn = true,
            }
        }
        Some(read)
    }
}

impl SourceField {
    fn read(key: Spanned<String>, mut table: Table<'_, '_>, errors: &mut Diagnostics) -> Option<Self> {
        let data_type = table.string("type", errors);
        let null = table.boolean("null", errors);
        let name = table.string("name", errors);
        let doc = table.string("doc", errors).map(|doc| doc.value).unwrap_or_default();
        if table.key_span("type").is_none() {
            table.missing("type", "name its type: { type = \"f64\", null = true }", errors);
        }
        table.finish(errors);
        Some(Self { key, data_type: data_type?, null, name, doc })
    }
}
