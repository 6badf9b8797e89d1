use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sage_signatures::{AllowedSigners, Signature};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bounds::UPLOAD_TIME;
use super::context::{Context, permit, piece};
use super::job_routes::json_response;
use super::problem::Problem;
use crate::access::Scope;
use crate::server::Denied;
use crate::store::{Digest, FileStore, StoreError, StoredFile, Upload};

/// The header with the signature of an uploaded file: the text of `ssh-keygen -Y sign`, in base64.
const SIGNATURE: &str = "x-signature";

/// A path with a digest.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    digest: String,
}

fn digest_in(path: &str) -> Result<Digest, Problem> {
    path.parse().map_err(|error: String| Problem::bad("bad-digest", error))
}

/// A file's facts, for `GET` and `HEAD`.
pub(super) async fn head(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { digest }): Path<Named>,
) -> Result<Response, Problem> {
    let digest = digest_in(&digest)?;
    let absent = || Problem::new(StatusCode::NOT_FOUND, "no-such-component", format!("{digest} is not here"));
    Ok(json_response(StatusCode::OK, &context.files.of(scope.tenant.as_ref()).find(&digest).ok_or_else(absent)?))
}

pub(super) async fn list(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
) -> Result<Response, Problem> {
    let files = context.files.of(scope.tenant.as_ref());
    let files = tokio::task::spawn_blocking(move || files.list()).await;
    let files =
        files.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string()))??;
    Ok(json_response(StatusCode::OK, &json!({ "components": files })))
}

/// Takes a file whose bytes must have the digest in the path. The bytes of a file that is here are not read.
pub(super) async fn upload(
    State(context): State<Context>,
    Extension(scope): Extension<Scope>,
    Path(Named { digest }): Path<Named>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, Problem> {
    let digest = digest_in(&digest)?;
    let files = context.files.of(scope.tenant.as_ref());
    let signed = signed(&context, &scope, &headers)?;
    if let Some(file) = files.find(&digest) {
        let Some((text, signers)) = signed.filter(|_| file.signer.is_none()) else {
            return match file.signer.is_none() && context.settings.required_signers(scope.tenant.as_ref()).is_some() {
                true => Err(Denied::Unsigned { path: digest.to_string() }.into()),
                false => Ok(json_response(StatusCode::OK, &file)),
            };
        };
        let signing = tokio::task::spawn_blocking(move || files.sign(&digest, &text, &signers)).await;
        let signer = Some(signing.map_err(broke)??.signer);
        return Ok(json_response(StatusCode::OK, &StoredFile { signer, ..file }));
    }
    if signed.is_none() && context.settings.required_signers(scope.tenant.as_ref()).is_some() {
        return Err(Denied::Unsigned { path: digest.to_string() }.into());
    }
    context.ask(|server| server.writable()).await??;
    let most = context.settings.largest_file;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|announced| announced > most) {
        return Err(StoreError::TooLarge { limit: most }.into());
    }
    let _permit = permit(&context.uploads, "uploads")?;
    let most = room(&context, &scope, files.clone(), most, announced).await?;
    let mut upload = files.receive(digest, most)?;
    if let Some((text, signers)) = signed {
        upload.expect_signature(text, signers);
    }
    // The thread that writes sets the pace.
    let (pieces, received) = mpsc::channel(8);
    let writing = tokio::task::spawn_blocking(move || write(upload, received));
    let read = async {
        while let Some(bytes) = piece(&mut body).await? {
            if pieces.send(Some(bytes)).await.is_err() {
                // The writer has failed, and says why.
                return Ok(());
            }
        }
        let _ = pieces.send(None).await;
        Ok::<(), Problem>(())
    };
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", "the upload takes too long");
    let read = timeout(UPLOAD_TIME, read).await.map_err(slow)?;
    drop(pieces);
    let written = writing.await;
    read?;
    let written =
        written.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string()))?;
    if let Err(error) = &written
        && error.is_read_only()
    {
        let why = error.to_string();
        context.ask(move |server| server.note_full(why)).await?;
    }
    Ok(json_response(StatusCode::CREATED, &written?))
}

/// The signature in the header of an upload, and who may sign. A tenant without signers has no use for one.
fn signed(context: &Context, scope: &Scope, headers: &HeaderMap) -> Result<Option<(String, AllowedSigners)>, Problem> {
    let Some(value) = headers.get(SIGNATURE) else { return Ok(None) };
    let Some(signers) = context.settings.allowed_signers(scope.tenant.as_ref()) else { return Ok(None) };
    let text = BASE64.decode(value.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let bad = || Problem::unprocessable("bad-signature", format!("{SIGNATURE} is the file of the signature in base64"));
    let text = text.ok_or_else(bad)?;
    // A signature that can never count is refused before the file is sent.
    Signature::parse(&text).map_err(StoreError::from)?;
    Ok(Some((text, signers.clone())))
}

/// The largest file that a tenant may add, whose files are bounded together.
async fn room(
    context: &Context,
    scope: &Scope,
    files: FileStore,
    most: u64,
    announced: Option<u64>,
) -> Result<u64, Problem> {
    let limit = context.settings.ceiling(scope.tenant.as_ref()).and_then(|ceiling| ceiling.component_bytes);
    let (Some(tenant), Some(limit)) = (&scope.tenant, limit) else { return Ok(most) };
    let listed = tokio::task::spawn_blocking(move || files.list()).await.map_err(broke)??;
    let used: u64 = listed.iter().map(|file| file.size).fold(0, u64::saturating_add);
    let left = limit.saturating_sub(used);
    let requested = announced.unwrap_or(1);
    if requested > left {
        let tenant = tenant.to_string();
        return Err(Denied::Quota { tenant, resource: "component_bytes", requested, used, limit }.into());
    }
    Ok(most.min(left))
}

fn broke(error: tokio::task::JoinError) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "broke", error.to_string())
}

/// Writes pieces until `None`. An upload whose connection ends before that leaves nothing.
fn write(mut upload: Upload, mut pieces: mpsc::Receiver<Option<axum::body::Bytes>>) -> Result<StoredFile, StoreError> {
    loop {
        match pieces.blocking_recv() {
            Some(Some(bytes)) => upload.write(&bytes)?,
            Some(None) => return upload.finish(),
            None => {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                return Err(StoreError::Io { action: "receive", path: "the upload".into(), source });
            }
        }
    }
}
