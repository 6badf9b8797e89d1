use super::{ChosenFields, Spanned};

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
