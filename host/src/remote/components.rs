use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sage_machine::read_plain_file;
use sage_serve::api::{Client, ClientError};
use sage_serve::store::{Digest, StoredFile};
use sage_signatures::Signature;
use sage_text::{plain_line, short_size};
use serde::{Deserialize, Serialize};

use super::component_args::{ComponentsArguments, DeployArguments};
use super::connection::{connect, of_client};
use super::job_table::lines;
use crate::failure::Failure;
use crate::printer::Printer;

/// Largest file that is sent.
const LARGEST: u64 = 1 << 30;

/// The command `deploy`: sends a component or a model with its signature.
pub(super) fn deploy(arguments: &DeployArguments, printer: Printer) -> Result<(), Failure> {
    let path = &arguments.file;
    let unread = |error| Failure::invalid(format!("cannot read {}: {error}", path.display()));
    let bytes = read_plain_file(path, LARGEST).map_err(unread)?;
    let signature = match &arguments.signature {
        Some(signature) => Some(read_signature(signature)?),
        None => signature_beside(path)?,
    };
    let client = connect(&arguments.server)?;
    let digest = Digest::of(&bytes);
    let stored = put(&client, &digest, bytes, signature.as_deref()).map_err(of_client)?;
    let text = || {
        let signer = stored.signer.as_ref().map(|signer| format!("  signed by {}", plain_line(signer)));
        format!("{}  {}{}\n", stored.digest, short_size(stored.size), signer.unwrap_or_default())
    };
    printer.result(text, &stored)
}

/// The signature that `ssh-keygen -Y sign` wrote beside a file, if there is one.
pub(super) fn signature_beside(file: &Path) -> Result<Option<String>, Failure> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".sig");
    let beside = PathBuf::from(beside);
    if beside.exists() { read_signature(&beside).map(Some) } else { Ok(None) }
}

fn read_signature(path: &Path) -> Result<String, Failure> {
    let unread = |error: String| Failure::invalid(format!("cannot read the signature {}: {error}", path.display()));
    let bytes = read_plain_file(path, Signature::LONGEST as u64).map_err(|error| unread(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| unread("it is not a text".to_owned()))
}

/// Sends a file, with its signature if it has one.
pub(super) fn put(
    client: &Client,
    digest: &Digest,
    bytes: Vec<u8>,
    signature: Option<&str>,
) -> Result<StoredFile, ClientError> {
    let signature = signature.map(|text| BASE64.encode(text));
    let headers: Vec<(&str, &str)> = signature.iter().map(|signature| ("x-signature", signature.as_str())).collect();
    client.json("PUT", &format!("/v1/components/{digest}"), &headers, bytes)
}

#[derive(Serialize, Deserialize)]
struct Components {
    components: Vec<StoredFile>,
}

/// The command `components`: lists what the server has stored.
pub(super) fn components(arguments: &ComponentsArguments, printer: Printer) -> Result<(), Failure> {
    let listed: Components = connect(&arguments.server)?.get("/v1/components").map_err(of_client)?;
    printer.result(|| table(&listed.components), &listed)
}

fn table(components: &[StoredFile]) -> String {
    if components.is_empty() {
        return "no component or model is stored; `sage-host deploy FILE` sends one\n".to_owned();
    }
    let row = |file: &StoredFile| {
        [
            file.digest.to_string(),
            short_size(file.size),
            file.used_by.to_string(),
            plain_line(file.signer.as_deref().unwrap_or("-")).into_owned(),
        ]
    };
    lines(["DIGEST", "SIZE", "REVISIONS", "SIGNER"], components.iter().map(row))
}
