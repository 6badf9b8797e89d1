use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sage_machine::read_plain_file;
use serde::{Deserialize, Serialize};

use super::folder_variable::absolute;
use crate::failure::Failure;

/// Largest file of contexts.
const LARGEST: u64 = 1 << 20;

/// The servers that a user knows, from `contexts.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contexts {
    /// The one that is used when no option names another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    /// The servers by the names that the user gave to them.
    #[serde(default)]
    pub(super) context: BTreeMap<String, Context>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    /// Where it is.
    pub(super) server: String,
    /// The file with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_file: Option<PathBuf>,
    /// The file with the authorities that may have signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<PathBuf>,
    /// The server's certificate, by its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pin: Option<String>,
    /// The tenant whose jobs are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<String>,
    /// Whether the token may go to another machine without encryption.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) insecure: bool,
}

impl Contexts {
    /// Reads the file. Without one there are no contexts.
    pub(super) fn read() -> Result<Self, Failure> {
        let Some(path) = path() else { return Ok(Self::default()) };
        if !path.exists() {
            return Ok(Self::default());
        }
        let unread = |error: String| Failure::invalid(format!("cannot read {}: {error}", path.display()));
        let bytes = read_plain_file(&path, LARGEST).map_err(|error| unread(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| unread(error.to_string()))?;
        toml::from_str(&text).map_err(|error| unread(error.to_string()).hint("correct the file, or remove it"))
    }

    /// The context of a name.
    pub(super) fn get(&self, name: &str) -> Result<&Context, Failure> {
        self.context.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.context.keys().map(String::as_str).collect();
            let hint = match known.as_slice() {
                [] => "add one: sage-host context add NAME --server URL --token-file FILE".to_owned(),
                known => format!("known are: {}", known.join(", ")),
            };
            Failure::invalid(format!("there is no context \"{name}\"")).hint(hint)
        })
    }

    /// Writes the file, which only its owner may read.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let Some(path) = path() else {
            return Err(Failure::invalid(
                "there is no folder for contexts: neither XDG_CONFIG_HOME nor HOME says where",
            ));
        };
        let text = toml::to_string(self).map_err(|error| Failure::fault(format!("cannot write contexts: {error}")))?;
        replace(&path, &text).map_err(|error| Failure::invalid(format!("cannot write {}: {error}", path.display())))
    }
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let beside = path.with_extension("toml.new");
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn path() -> Option<PathBuf> {
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    folder.map(|folder| folder.join("sage-host/contexts.toml"))
}
