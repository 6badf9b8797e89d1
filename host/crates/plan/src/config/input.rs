use super::{Span, Spanned};

/// An edge that a stage reads.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Input {
    /// Name of the edge, if the stage names its inputs.
    pub name: Option<Spanned<String>>,
    /// The output that the stage reads: `parse`, `parse.rejects`, `sessions.late`.
    pub from: Spanned<String>,
    /// The fields that the stage gets. `None` means the records as they are.
    pub fields: Option<ChosenFields>,
    /// The key that the host gives the records. `None` means the key that they have.
    pub key: Option<InputKey>,
}

/// The `fields` of an input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChosenFields {
    /// Place of the list.
    pub span: Option<Span>,
    /// The fields, in their order.
    pub list: Vec<Spanned<ChosenField>>,
}

/// A field that an input chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenField {
    /// Name of the field in the records of the sender.
    pub field: String,
    /// Name of the field in the records that the stage gets.
    pub name: String,
}

/// The `key` of an input.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputKey {
    /// Names of the fields that make the key.
    pub fields: Vec<Spanned<String>>,
    /// Whether the key was written as a list: a composite key.
    pub composite: bool,
    /// The text that stands for a field without a value. `None` means that such a record is rejected.
    pub null_key: Option<Spanned<String>>,
}

impl Input {
    /// The name by which `partition` and messages name the input.
    #[must_use]
    pub fn called(&self) -> &Spanned<String> {
        self.name.as_ref().unwrap_or(&self.from)
    }
}

impl From<Spanned<String>> for Input {
    fn from(from: Spanned<String>) -> Self {
        Self { from, ..Self::default() }
    }
}

impl From<&str> for Input {
    fn from(from: &str) -> Self {
        Spanned::from(from).into()
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
