use jiff::Timestamp;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

use super::validity::{Validity, time};
use super::verify::is_of;
use super::{FileHash, NAMESPACE, Signature, SignatureError, SignersError};

/// The keys that may sign.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedSigners(Vec<Allowed>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowed {
    name: String,
    key: KeyData,
    namespaces: Option<Vec<String>>,
    validity: Validity,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The principals of the allowed signer, or the comment of its key.
    pub name: String,
    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

impl AllowedSigners {
    /// Most bytes of a list.
    pub const LONGEST: usize = 256 << 10;

    /// Reads lines in the format of `ssh-keygen`'s allowed_signers file: principals, options, and a public key. A line
    /// with a public key alone allows that key, under its comment.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        if text.len() > Self::LONGEST {
            let reason = format!("the list has more than {} bytes", Self::LONGEST);
            return Err(SignersError { line: 1, reason });
        }
        let mut allowed = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                allowed.push(read(line).map_err(|reason| SignersError { line: number, reason })?);
            }
        }
        Ok(Self(allowed))
    }

    /// Whether nobody may sign.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who signed the bytes with this hash.
    ///
    /// # Errors
    /// Why the signature does not count.
    pub fn verify(&self, signature: &Signature, hash: &FileHash, now: Timestamp) -> Result<Signer, SignatureError> {
        let signature = signature.inner();
        let fingerprint = signature.public_key().fingerprint(HashAlg::Sha256).to_string();
        let mut of_key = self.0.iter().filter(|allowed| allowed.key == *signature.public_key()).peekable();
        let Some(first) = of_key.peek().map(|allowed| allowed.name.clone()) else {
            return Err(SignatureError::UnknownKey { fingerprint });
        };
        // Another line may allow the same key for longer, or for more.
        let mut refused = None;
        for Allowed { name, namespaces, validity, .. } in of_key {
            let signer = name.clone();
            if namespaces.as_ref().is_some_and(|names| !names.iter().any(|name| name == NAMESPACE)) {
                refused.get_or_insert(SignatureError::OtherNamespaces { signer });
            } else if !validity.holds(now) {
                refused.get_or_insert(SignatureError::NotNow { signer, when: validity.words() });
            } else if is_of(signature, hash)? {
                return Ok(Signer { name: signer, fingerprint });
            } else {
                return Err(SignatureError::OtherBytes { signer });
            }
        }
        Err(refused.unwrap_or(SignatureError::OtherBytes { signer: first }))
    }
}

fn read(line: &str) -> Result<Allowed, String> {
    if let Ok(key) = PublicKey::from_openssh(line) {
        let fingerprint = || key.fingerprint(HashAlg::Sha256).to_string();
        let name = if key.comment().is_empty() { fingerprint() } else { key.comment().to_owned() };
        return Ok(Allowed { name, key: key.key_data().clone(), namespaces: None, validity: Validity::default() });
    }
    let (name, rest) = word(line);
    if name.contains('*') || name.contains('?') || name.contains('!') {
        return Err(format!("the principals are \"{name}\", and a pattern names nobody"));
    }
    let allowed = |key: &PublicKey| Allowed {
        name: name.trim_matches('"').to_owned(),
        key: key.key_data().clone(),
        namespaces: None,
        validity: Validity::default(),
    };
    if let Ok(key) = PublicKey::from_openssh(rest) {
        return Ok(allowed(&key));
    }
    let (options, rest) = word(rest);
    let key = PublicKey::from_openssh(rest)
        .map_err(|error| format!("it has no public key, which begins with ssh-ed25519, for example: {error}"))?;
    let mut allowed = allowed(&key);
    for option in split(options) {
        let (option, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match option.to_ascii_lowercase().as_str() {
            "namespaces" => allowed.namespaces = Some(value.split(',').map(str::to_owned).collect()),
            "valid-after" => allowed.validity.after = Some(time(value)?),
            "valid-before" => allowed.validity.before = Some(time(value)?),
            "cert-authority" => return Err("cert-authority is not supported: list the keys themselves".to_owned()),
            other => return Err(format!("there is no option \"{other}\": namespaces, valid-after, valid-before")),
        }
    }
    Ok(allowed)
}

/// The first word, in which quoted spaces count as letters, and the rest.
fn word(text: &str) -> (&str, &str) {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    });
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (word, rest.trim_start())
}

/// The options of a line: separated by commas that are not quoted.
fn split(options: &str) -> Vec<&str> {
    let mut quoted = false;
    let is_end = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    options.split(is_end).filter(|option| !option.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn lines_are_those_of_ssh_keygen() {
        let text = format!(
            "# comment\n\n{KEY} ada@blue\nci@blue {KEY}\n\
             ci@blue,ops namespaces=\"git,sage-host\",valid-before=\"20270101Z\" {KEY} a comment\n"
        );
        let signers = AllowedSigners::parse(&text).unwrap().0;
        let names: Vec<&str> = signers.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["ada@blue", "ci@blue", "ci@blue,ops"]);
        assert_eq!(signers[2].namespaces.as_ref().unwrap(), &["git", "sage-host"]);
        assert_eq!(signers[2].validity.words(), "until 2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong_with_it() {
        let cases = [
            ("ada".to_owned(), "it has no public key"),
            (format!("* {KEY}"), "a pattern names nobody"),
            (format!("a cert-authority {KEY}"), "cert-authority is not supported"),
            (format!("a valid-before=\"20270101\" {KEY}"), "is no time"),
            (format!("a no-touch {KEY}"), "there is no option \"no-touch\""),
            ("a ssh-ed25519 AAAA".to_owned(), "it has no public key"),
        ];
        for (line, reason) in cases {
            let error = AllowedSigners::parse(&format!("# first\n{line}\n")).unwrap_err();
            assert!(error.line == 2 && error.reason.contains(reason), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(text in "[ -~\n\"]{0,200}") {
            let _ = AllowedSigners::parse(&text);
            prop_assert!(Signature::parse(&text).is_err());
        }
    }
}
