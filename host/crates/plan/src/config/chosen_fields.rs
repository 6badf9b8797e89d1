use toml::de::DeValue;

use super::table::Table;
use super::{Diagnostic, Diagnostics, Span, Spanned};

/// The `fields` of an input or of a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenFields {
    /// Place of the list.
    pub span: Option<Span>,
    /// The fields, in their order.
    pub list: Vec<Spanned<ChosenField>>,
}

/// A field that a list chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenField {
    /// Name of the field in the records.
    pub field: String,
    /// Name of the field from there on: the same, unless the list says another.
    pub name: String,
}

impl ChosenFields {
    /// Reads `fields = ["sensor", "f as fahrenheit"]`. `hint` is for an empty list.
    pub(super) fn read(table: &mut Table<'_, '_>, hint: &str, errors: &mut Diagnostics) -> Option<Self> {
        let node = table.node("fields")?;
        let span = Some(node.span().into());
        let DeValue::Array(items) = node.get_ref() else {
            return table.wrong_type("fields", "a list of fields", node, errors);
        };
        if items.is_empty() {
            let message = format!("fields of {} is an empty list", table.place());
            errors.push(Diagnostic::new(message).at(span).hint(hint));
            return None;
        }
        let chosen = |written: Spanned<String>| written.map(|text| ChosenField::from(text.as_str()));
        let list = items.iter().filter_map(|item| table.string_of("fields", item, errors)).map(chosen).collect();
        Some(Self { span, list })
    }
}

impl From<&str> for ChosenField {
    /// `f as fahrenheit` or `f`. The last ` as ` counts.
    fn from(written: &str) -> Self {
        let (field, name) = written.rsplit_once(" as ").unwrap_or((written, written));
        Self { field: field.trim().to_owned(), name: name.trim().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_as_separates_the_name() {
        for (written, field, name) in [
            ("sensor", "sensor", "sensor"),
            ("f as fahrenheit", "f", "fahrenheit"),
            ("Temp (F)  as  fahrenheit", "Temp (F)", "fahrenheit"),
            ("same as before as other", "same as before", "other"),
            ("f as ", "f", ""),
            ("as", "as", "as"),
            ("class", "class", "class"),
        ] {
            let expected = ChosenField { field: field.to_owned(), name: name.to_owned() };
            assert_eq!(ChosenField::from(written), expected, "{written}");
        }
    }
}
