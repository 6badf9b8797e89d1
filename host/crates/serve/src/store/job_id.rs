use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The identifier of a job, made by the server: 16 characters of a to z and 2 to 7. It is the name of the job's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct JobId([u8; 16]);

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl JobId {
    /// A new identifier, of 80 random bits.
    ///
    /// # Errors
    /// The system's random numbers cannot be read.
    pub fn random() -> io::Result<Self> {
        let mut id = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut id)?;
        Ok(Self(id.map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'a'))))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for JobId {
    type Error = String;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        written.parse()
    }
}

impl FromStr for JobId {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let id: Option<[u8; 16]> = written.as_bytes().try_into().ok();
        id.filter(|id| id.iter().all(|byte| ALPHABET.contains(byte)))
            .map(Self)
            .ok_or_else(|| format!("\"{}\" is no identifier of a job", written.escape_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_read_back() {
        let (one, other) = (JobId::random().unwrap(), JobId::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.to_string().parse(), Ok(one));
        for wrong in ["", "a", "aaaaaaaaaaaaaaa1", "../aaaaaaaaaaaaa"] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }
}
