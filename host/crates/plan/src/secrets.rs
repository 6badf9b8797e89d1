use std::collections::BTreeMap;
use std::fmt;

use crate::config::{ConfigReference, NoValue, ReferenceKind};

/// The value of a secret. It is not shown by accident: only [`SecretText::reveal`] gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Keeps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The value of a reference in a pipeline that a server runs.
///
/// # Errors
/// The secret is not there; the reference is to a variable or a file, which would be those of the server.
pub(crate) fn secret_of(
    reference: &ConfigReference,
    secrets: &BTreeMap<String, SecretText>,
) -> Result<String, NoValue> {
    if let Some(why) = refused_by_a_server(reference) {
        return Err(why);
    }
    secrets.get(&reference.name).map(|secret| secret.reveal().to_owned()).ok_or_else(|| no_secret(&reference.name))
}

/// The error for a secret that a tenant does not have.
#[must_use]
pub fn no_secret(name: &str) -> NoValue {
    let name = name.escape_default();
    NoValue {
        why: format!("there is no secret \"{name}\""),
        hint: format!("`sage-host secret set {name}` keeps it, and `sage-host secret ls` lists those that are there"),
    }
}

/// Why a server takes no pipeline with this reference.
#[must_use]
pub fn refused_by_a_server(reference: &ConfigReference) -> Option<NoValue> {
    let (key, name) = (reference.kind.key(), reference.name.escape_default());
    let what = match reference.kind {
        ReferenceKind::Secret => return None,
        ReferenceKind::Env => "variable",
        ReferenceKind::File => "file",
    };
    Some(NoValue {
        why: format!("{{ {key} = \"{name}\" }} would be a {what} of the server"),
        hint: "keep the value with the server: `sage-host secret set NAME`, and write { secret = \"NAME\" }".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_knows_secrets_only_and_their_values_are_not_shown() {
        let secrets = BTreeMap::from([("key".to_owned(), SecretText::new("hunter2".to_owned()))]);
        let of = |kind, name: &str| {
            let reference = ConfigReference { pointer: "/x".to_owned(), kind, name: name.to_owned() };
            secret_of(&reference, &secrets)
        };
        assert_eq!(of(ReferenceKind::Secret, "key"), Ok("hunter2".to_owned()));
        assert_eq!(of(ReferenceKind::Secret, "other").unwrap_err().why, "there is no secret \"other\"");
        assert_eq!(
            of(ReferenceKind::Env, "HOME").unwrap_err().why,
            "{ env = \"HOME\" } would be a variable of the server"
        );
        assert_eq!(of(ReferenceKind::File, "a").unwrap_err().why, "{ file = \"a\" } would be a file of the server");
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
