use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use super::authorise::{COOKIE, WRITE_HEADER, cookie, declared, failure, no_write_header};
use super::context::{Context, json, whole};
use super::job_routes::json_response;
use super::problem::Problem;
use crate::access::{Peer, Principal, Sessions};

/// The body of `POST /v1/session`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    token: String,
}

/// Begins the session of a browser, for a token.
pub(super) async fn begin(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // A page of another origin must not sign a browser in as someone else.
    if !headers.contains_key(WRITE_HEADER) {
        return Err(no_write_header());
    }
    let Begin { token } = json(&whole(body).await?)?;
    let now = sage_jobs::now();
    let token = context.access.tokens.check(token.trim(), now).and_then(|token| declared(&context, token));
    let token = token.map_err(|error| failure(&context, peer, &error))?;
    let failed = |error: std::io::Error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no-randomness", format!("cannot read random bytes: {error}"))
    };
    let session = context.access.sessions.begin(token.id, now).map_err(failed)?;
    let about = json!({ "tenant": token.tenant, "role": token.role, "until": session.until });
    let response = json_response(StatusCode::CREATED, &about);
    Ok(with_cookie(response, &session.secret, Sessions::LIFE / 1000, peer))
}

/// The sender of a request.
pub(super) async fn show(Extension(who): Extension<Principal>) -> Response {
    json_response(StatusCode::OK, &json!({ "name": who.name(), "tenant": who.tenant, "role": who.role }))
}

/// Ends the session whose cookie the request has.
pub(super) async fn end(
    State(context): State<Context>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    if let Some(secret) = cookie(&headers) {
        context.access.sessions.end(secret);
    }
    with_cookie(StatusCode::NO_CONTENT.into_response(), "", 0, peer)
}

fn with_cookie(mut response: Response, secret: &str, seconds: u64, peer: Peer) -> Response {
    let secure = if matches!(peer, Peer::Tcp { tls: true, .. }) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
