use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::store::Digest;

/// The public part of a token, made by the server: 12 characters of a to z and 2 to 7. It is the name of the token's
/// file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenId([u8; 12]);

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl TokenId {
    fn random() -> io::Result<Self> {
        let mut id = [0; 12];
        File::open("/dev/urandom")?.read_exact(&mut id)?;
        Ok(Self(id.map(|byte| ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'a'))))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", char::from(*byte)))
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for TokenId {
    type Error = String;

    fn try_from(written: String) -> Result<Self, Self::Error> {
        written.parse()
    }
}

impl FromStr for TokenId {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        let id: Option<[u8; 12]> = written.as_bytes().try_into().ok();
        id.filter(|id| id.iter().all(|byte| ALPHABET.contains(byte)))
            .map(Self)
            .ok_or_else(|| format!("\"{}\" is no identifier of a token", written.escape_default()))
    }
}

/// A token as its owner has it: `sage_`, the identifier, `_` and 256 random bits in 43 characters of base64url. The
/// prefix lets scanners find tokens that were published by mistake.
pub struct TokenText {
    /// The public part.
    pub id: TokenId,
    secret: String,
}

/// Characters of 256 bits in base64url.
const SECRET: usize = 43;

impl TokenText {
    /// A new token.
    ///
    /// # Errors
    /// The system's random numbers cannot be read.
    pub fn random() -> io::Result<Self> {
        Ok(Self { id: TokenId::random()?, secret: random_secret()? })
    }

    /// Reads a token. The error says nothing about the text, which may be a secret.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix("sage_")?.split_once('_')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let whole = secret.len() == SECRET && secret.chars().all(plain);
        Some(Self { id: id.parse().ok()?, secret: secret.to_owned() }).filter(|_| whole)
    }

    /// The SHA-256 of the secret part. The secret has 256 random bits, so a slow hash would add nothing.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(self.secret.as_bytes())
    }

    /// The whole token.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("sage_{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenText({})", self.id)
    }
}

/// 256 random bits as 43 characters of base64url.
pub(super) fn random_secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_anything_else_is_none() {
        let token = TokenText::random().unwrap();
        let text = token.reveal();
        let read = TokenText::parse(&text).unwrap();
        assert_eq!((read.id, read.hash()), (token.id, token.hash()));
        assert_eq!(text.len(), "sage_".len() + 12 + 1 + SECRET);
        assert!(!format!("{token:?}").contains(&token.secret), "a secret is not logged");
        let long = format!("{text}a");
        for wrong in ["", "sage_", "sage__", &text[1..], &text[..text.len() - 1], &long, &text.replace("sage", "SAGE")]
        {
            assert!(TokenText::parse(wrong).is_none(), "{wrong}");
        }
        assert!(TokenText::parse(&format!("sage_../../../etc_{}", "a".repeat(SECRET))).is_none());
    }
}
