use crate::failure::Failure;

/// The longest name. The folder and the component are named after it.
const LONGEST: usize = 64;

/// Names that a package cannot have: words of the language, crates that it would hide, folders that cargo
/// makes.
const TAKEN: [&str; 62] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "sage-guest",
    "sage-guest-macros",
    "self",
    "serde",
    "serde-json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
];

/// A name of a crate that cargo accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CrateName(String);

impl CrateName {
    /// Checks a name.
    pub(super) fn parse(name: &str) -> Result<Self, Failure> {
        let refused = |why: &str| Failure::invalid(format!("\"{name}\" cannot be the name of a crate: {why}"));
        let hint =
            "a name starts with a letter and has letters, digits, - and _, such as \"celsius\" or \"drop-cancelled\"";
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Err(refused("it does not start with a letter").hint(hint));
        }
        if let Some(other) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')) {
            return Err(refused(&format!("it has {other:?} in it")).hint(hint));
        }
        if name.len() > LONGEST {
            return Err(refused(&format!("it has {} letters, the most is {LONGEST}", name.len())));
        }
        let folded = name.to_ascii_lowercase().replace('_', "-");
        if TAKEN.contains(&folded.as_str()) || folded == "while" || folded == "yield" {
            return Err(refused("the word is taken by the language, cargo or a dependency")
                .hint(format!("\"my-{name}\" would do")));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as written.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a Rust identifier, which is also the name of the compiled file.
    pub(super) fn ident(&self) -> String {
        self.0.replace('-', "_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_takes_are_taken() {
        for name in ["celsius", "drop-cancelled", "a", "x_1", "Upper", "match-maker"] {
            assert_eq!(CrateName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(CrateName::parse("drop-cancelled").unwrap().ident(), "drop_cancelled");
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let cases = [
            ("", "does not start with a letter"),
            ("1st", "does not start with a letter"),
            ("-x", "does not start with a letter"),
            ("../up", "does not start with a letter"),
            ("a/b", "has '/' in it"),
            ("a b", "has ' ' in it"),
            ("größe", "has 'ö' in it"),
            ("match", "is taken"),
            ("Self", "is taken"),
            ("proc_macro", "is taken"),
            ("sage-guest", "is taken"),
            ("while", "is taken"),
        ];
        for (name, reason) in cases {
            let text = CrateName::parse(name).unwrap_err().text();
            assert!(text.contains(reason), "{name}: {text}");
        }
        let long = "a".repeat(65);
        assert!(CrateName::parse(&long).unwrap_err().text().contains("it has 65 letters, the most is 64"));
    }
}
