use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name that a user gives to a job: 1 to 63 characters of a to z, 0 to 9 and `-`, the first not `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct JobName(String);

impl JobName {
    /// Longest name.
    pub const LONGEST: usize = 63;

    /// A name that resembles any text: other characters become `-`.
    #[must_use]
    pub fn like(text: &str) -> Self {
        let mut name = String::new();
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            let c = if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
            if !(c == '-' && (name.is_empty() || name.ends_with('-'))) {
                name.push(c);
            }
        }
        // Room for a number.
        name.truncate(Self::LONGEST - 8);
        let name = name.trim_end_matches('-');
        Self(if name.is_empty() { "job".to_owned() } else { name.to_owned() })
    }

    /// The same name with a number behind it.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        Self(format!("{}-{number}", self.0))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> Self {
        name.0
    }
}

impl TryFrom<String> for JobName {
    type Error = String;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        written.parse()
    }
}

impl FromStr for JobName {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins_well = written.starts_with(|c| allowed(c) && c != '-');
        if begins_well && written.len() <= Self::LONGEST && written.chars().all(allowed) {
            return Ok(Self(written.to_owned()));
        }
        let shown: String = written.chars().take(80).flat_map(char::escape_default).collect();
        Err(format!(
            "\"{shown}\" is no name for a job: 1 to {} characters of a-z, 0-9 and -, the first not -",
            Self::LONGEST
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_a_path_or_anything_else_that_surprises() {
        let long = "a".repeat(64);
        for wrong in ["", "-a", "A", "a_b", "a b", "../x", "a/b", "%2e%2e", "a\0", "é", "con.", long.as_str()] {
            assert!(wrong.parse::<JobName>().is_err(), "{wrong:?}");
        }
        for right in ["a", "0", "celsius-2", "a-", &long[..63]] {
            assert_eq!(right.parse::<JobName>().unwrap().as_str(), right);
        }
    }

    #[test]
    fn any_text_has_a_name_that_resembles_it() {
        let long = "x".repeat(300);
        for (text, name) in [("Flights_2013", "flights-2013"), ("../..", "job"), ("", "job"), ("Ä b", "b")] {
            assert_eq!(JobName::like(text).as_str(), name);
        }
        assert!(JobName::like(&long).numbered(9_999_999).as_str().parse::<JobName>().is_ok());
    }
}
