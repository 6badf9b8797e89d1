use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::server::Denied;
use crate::store::StoreError;

/// An error of the API, in the form of RFC 9457 (`application/problem+json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: String,
    /// What is wrong, with the value and the limit.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More for programs: `diagnostics`, `text`, `digests`, `exit_code`, `error`.
    #[serde(flatten)]
    pub more: Box<Map<String, Value>>,
}

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status: status.as_u16(), code: code.to_owned(), detail: detail.into(), hint: None, more: Box::default() }
    }

    /// A request that cannot be understood.
    pub fn bad(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// A request that is understood and makes no sense.
    pub fn unprocessable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds something for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

/// The stable word of a response that is a problem, for the audit log.
#[derive(Debug, Clone)]
pub(super) struct ProblemCode(pub(super) String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({ "type": "about:blank", "title": status.canonical_reason().unwrap_or_default() });
        if let (Some(body), Ok(Value::Object(own))) = (body.as_object_mut(), serde_json::to_value(&self)) {
            body.extend(own);
        }
        let mut response = (status, body.to_string() + "\n").into_response();
        response.extensions_mut().insert(ProblemCode(self.code));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sage-host\""));
        }
        response
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let detail = denied.to_string();
        match denied {
            Denied::NoSuchJob { .. } => Self::new(StatusCode::NOT_FOUND, "no-such-job", detail),
            Denied::NameTaken { .. } => Self::new(StatusCode::CONFLICT, "name-taken", detail)
                .hint("`sage-host rollout NAME PIPELINE.toml` changes that job; or give this one another name"),
            Denied::StillLive { .. } => Self::new(StatusCode::CONFLICT, "still-live", detail).hint("stop it first"),
            Denied::RevisionChanged { current, .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "revision-changed", detail)
                    .hint("look at what changed, and send the ETag of the revision in force")
                    .with("current", current)
            }
            Denied::RolloutUnderWay { to, .. } => Self::new(StatusCode::CONFLICT, "rollout-under-way", detail)
                .hint("wait until it is over, or stop the job")
                .with("to", to),
            Denied::StillChecking { .. } => Self::new(StatusCode::CONFLICT, "still-checking", detail),
            Denied::NoSuchRevision { .. } => Self::new(StatusCode::NOT_FOUND, "no-such-revision", detail),
            Denied::NoEarlierRevision { .. } => {
                Self::new(StatusCode::CONFLICT, "no-earlier-revision", detail).hint("name a revision")
            }
            Denied::OtherPipeline { was, .. } => Self::unprocessable("other-pipeline", detail)
                .hint(format!("write name = \"{was}\" in [pipeline], or name another folder of checkpoints")),
            Denied::BeginsAnew { class, .. } => Self::new(StatusCode::CONFLICT, "begins-anew", detail)
                .hint(
                    "with `checkpoint` in both revisions the job goes on from an epoch; \
                     with accept_loss (--yes) it begins anew",
                )
                .with("class", class),
            Denied::NotLive { .. } => Self::new(StatusCode::CONFLICT, "not-live", detail),
            Denied::FilesMissing { digests } => Self::new(StatusCode::CONFLICT, "files-missing", detail)
                .hint("upload each with PUT /v1/components/sha256:…, then submit again")
                .with("digests", digests.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Denied::FileUnnamed { .. } => Self::unprocessable("file-unnamed", detail)
                .hint("list each path of a component or model in `files`, with its digest"),
            Denied::Unsigned { .. } => Self::unprocessable("unsigned", detail)
                .hint("sign it with `ssh-keygen -Y sign -n sage-host -f KEY FILE`: FILE.sig is sent with the file"),
            Denied::KeyReused { .. } => Self::unprocessable("key-reused", detail).hint("use a new key"),
            Denied::Quota { tenant, resource, requested, used, limit } => {
                Self::new(StatusCode::FORBIDDEN, "quota", detail)
                    .hint(format!("the limit is in [tenant.{tenant}] of host.toml"))
                    .with("resource", resource)
                    .with("requested", requested)
                    .with("used", used)
                    .with("limit", limit)
            }
            Denied::ReadOnly { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "read-only", detail)
                .hint("make room in the state folder; running jobs go on meanwhile"),
            Denied::Store(error) => error.into(),
            Denied::Ending => Self::new(StatusCode::SERVICE_UNAVAILABLE, "ending", detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Digest { .. } => Self::unprocessable("digest-mismatch", detail),
            StoreError::Signature(_) => Self::unprocessable("bad-signature", detail)
                .hint("sign with `ssh-keygen -Y sign -n sage-host` and a key of the tenant's signers in host.toml"),
            StoreError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail),
            error if error.is_read_only() => Denied::ReadOnly { why: detail }.into(),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "state-folder", detail),
        }
    }
}
