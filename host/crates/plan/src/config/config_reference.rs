use serde_json::{Map, Value};

use super::ConfigPlaces;

/// A value of an operator's `config` that is not written in the pipeline file: `{ secret = "name" }`, `{ env = "NAME" }`
/// or `{ file = "path" }`, a table with this one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigReference {
    /// JSON pointer of the value.
    pub pointer: String,
    /// Where the value is.
    pub kind: ReferenceKind,
    /// The name of the secret or variable, or the path of the file.
    pub name: String,
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// With the server, for the tenant.
    Secret,
    /// In a variable of the environment.
    Env,
    /// In a file.
    File,
}

impl ReferenceKind {
    const ALL: [Self; 3] = [Self::Secret, Self::Env, Self::File];

    /// The key in the pipeline file.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Env => "env",
            Self::File => "file",
        }
    }
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoValue {
    /// What is wrong.
    pub why: String,
    /// What helps.
    pub hint: String,
}

impl ConfigReference {
    /// The references in a configuration.
    pub(super) fn find(config: &Map<String, Value>) -> Vec<Self> {
        let mut found = Vec::new();
        find_in(String::new(), config, &mut found);
        found
    }

    /// Whether a pointer leads to the value, or into it.
    #[must_use]
    pub(crate) fn covers(&self, pointer: &str) -> bool {
        pointer.strip_prefix(&self.pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn find_in(pointer: String, table: &Map<String, Value>, found: &mut Vec<ConfigReference>) {
    for (key, value) in table {
        find_value(ConfigPlaces::below(&pointer, key), value, found);
    }
}

fn find_value(pointer: String, value: &Value, found: &mut Vec<ConfigReference>) {
    match value {
        Value::Object(table) => match reference(table) {
            Some((kind, name)) => found.push(ConfigReference { pointer, kind, name: name.to_owned() }),
            None => find_in(pointer, table, found),
        },
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_value(format!("{pointer}/{index}"), item, found);
            }
        }
        _ => {}
    }
}

fn reference(table: &Map<String, Value>) -> Option<(ReferenceKind, &str)> {
    let (key, value) = table.iter().next().filter(|_| table.len() == 1)?;
    let kind = ReferenceKind::ALL.into_iter().find(|kind| kind.key() == key)?;
    Some((kind, value.as_str()?))
}
