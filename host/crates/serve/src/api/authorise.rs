use axum::body::Body;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sage_plan::config::TenantName;

use super::context::{Context, whole};
use super::problem::{Problem, ProblemCode};
use crate::access::{Credential, Peer, Principal, Role, Scope, Token, TokenError};
use crate::store::{AuditEntry, Digest};

/// The header that a browser's session needs to change something. No page of another origin can send it.
pub(super) const WRITE_HEADER: &str = "x-sage-host";
/// The cookie of a session.
pub(super) const COOKIE: &str = "sage_session";

/// The requirements of a route.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    /// The context of the routes.
    pub(super) context: Context,
    /// The lowest role. `None`: everyone, also those who do not say who they are.
    pub(super) role: Option<Role>,
}

/// Lets a request through whose principal has the role that the route asks for, and gives the handler the [`Principal`]
/// and the [`Scope`].
pub(super) async fn authorise(
    State(needs): State<Needs>,
    Extension(peer): Extension<Peer>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(role) = needs.role else { return next.run(request).await };
    let admitted = principal(&needs.context, peer, request.headers());
    let principal = match admitted {
        Ok(principal) => principal,
        Err(problem) => return problem.into_response(),
    };
    if !is_write(request.method()) {
        return match admit(&needs.context, &principal, &params, &request, role) {
            Ok(scope) => run(request, principal, scope, next).await,
            Err(problem) => problem.into_response(),
        };
    }
    let mut entry = AuditEntry {
        seq: 0,
        at: 0,
        who: principal.name(),
        peer: peer.name(),
        tenant: principal.tenant.as_ref().map(ToString::to_string),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        body: None,
        status: 0,
        code: None,
        prev: None,
    };
    let response = match admit(&needs.context, &principal, &params, &request, role) {
        Ok(scope) => {
            entry.tenant = scope.tenant.as_ref().map(ToString::to_string);
            // The digest of an upload is in its path, and its bytes are not collected here.
            let is_upload = request.method() == Method::PUT && entry.path.contains("/components/");
            let digested = if is_upload { Ok(None) } else { digested(&mut request).await };
            match digested {
                Ok(digest) => {
                    entry.body = digest;
                    run(request, principal, scope, next).await
                }
                Err(problem) => problem.into_response(),
            }
        }
        // Requests above the rate limit are not audited: a client that floods would fill the disk.
        Err(problem) if problem.code == "too-fast" => return problem.into_response(),
        Err(problem) => problem.into_response(),
    };
    entry.at = sage_jobs::now();
    entry.status = response.status().as_u16();
    entry.code = response.extensions().get::<ProblemCode>().map(|code| code.0.clone());
    keep(&needs.context, entry).await;
    response
}

async fn run(mut request: Request, principal: Principal, scope: Scope, next: Next) -> Response {
    request.extensions_mut().insert(principal);
    request.extensions_mut().insert(scope);
    next.run(request).await
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// The digest of a request's body, which is then read again.
async fn digested(request: &mut Request) -> Result<Option<Digest>, Problem> {
    let body = whole(std::mem::take(request.body_mut())).await?;
    let digest = (!body.is_empty()).then(|| Digest::of(&body));
    *request.body_mut() = Body::from(body);
    Ok(digest)
}

/// Keeps an entry of the audit log. Where it cannot be kept, the server takes no further work.
async fn keep(context: &Context, entry: AuditEntry) {
    let audit = context.access.audit.clone();
    let kept = tokio::task::spawn_blocking(move || audit.append(entry)).await;
    if let Ok(Err(error)) = kept {
        tracing::error!(%error, "an entry of the audit log is lost");
        let why = error.to_string();
        let _ = context.ask(move |server| server.note_full(why)).await;
    }
}

fn admit(
    context: &Context,
    principal: &Principal,
    params: &RawPathParams,
    request: &Request,
    role: Role,
) -> Result<Scope, Problem> {
    if let Some(tenant) = &principal.tenant
        && !context.access.rates.take_of_tenant(tenant)
    {
        return Err(too_fast(&format!("the tenant {tenant} sends more requests per second than it may")));
    }
    let by_cookie = matches!(principal.credential, Credential::Session(_));
    if by_cookie && is_write(request.method()) && !request.headers().contains_key(WRITE_HEADER) {
        return Err(no_write_header());
    }
    let written = params.iter().find(|(name, _)| *name == "tenant").map(|(_, tenant)| tenant);
    let scope = match written {
        None => Scope { tenant: principal.tenant.clone() },
        Some(written) => Scope { tenant: Some(tenant(context, principal, written)?) },
    };
    if !principal.role.allows(role) {
        let detail = format!("this needs the role {role}, the token has {}", principal.role);
        return Err(Problem::new(StatusCode::FORBIDDEN, "role-too-low", detail)
            .hint("use a token with that role, or have one made with `sage-host token new`")
            .with("needs", role.name())
            .with("has", principal.role.name()));
    }
    Ok(scope)
}

pub(super) fn no_write_header() -> Problem {
    let detail = format!("a browser needs the header {WRITE_HEADER} to change something");
    Problem::new(StatusCode::FORBIDDEN, "no-write-header", detail).hint("send x-sage-host: 1")
}

/// The declared tenant that a path names. To another tenant it is as if there were none.
fn tenant(context: &Context, principal: &Principal, written: &str) -> Result<TenantName, Problem> {
    let declared = |tenant: &TenantName| context.settings.tenants.contains_key(tenant);
    let found = written.parse().ok().filter(|tenant| declared(tenant) && principal.sees(tenant));
    found.ok_or_else(|| no_such_tenant(written))
}

pub(super) fn no_such_tenant(written: &str) -> Problem {
    let shown: String = written.chars().take(80).flat_map(char::escape_default).collect();
    Problem::new(StatusCode::NOT_FOUND, "no-such-tenant", format!("there is no tenant \"{shown}\""))
        .hint("tenants are the tables [tenant.NAME] of host.toml")
}

/// The sender of a request.
///
/// # Errors
/// The request has no credential, or the credential is not valid.
pub(super) fn principal(context: &Context, peer: Peer, headers: &HeaderMap) -> Result<Principal, Problem> {
    if let Peer::Unix { in_job: true, .. } = peer {
        let detail = "a process in the control groups of a job may not use this socket";
        return Err(Problem::new(StatusCode::FORBIDDEN, "inside-a-job", detail));
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().ok().and_then(|value| {
            let (kind, text) = value.split_once(' ')?;
            kind.eq_ignore_ascii_case("bearer").then(|| text.trim())
        });
        let token =
            text.ok_or(TokenError::Unknown).and_then(|text| context.access.tokens.check(text, sage_jobs::now()));
        let token = token.and_then(|token| declared(context, token));
        return match token {
            Ok(token) => Ok(owner_of(&token, Credential::Token(token.id))),
            Err(error) => Err(failure(context, peer, &error)),
        };
    }
    if let Some(secret) = cookie(headers) {
        let now = sage_jobs::now();
        let token = context.access.sessions.token(secret, now).and_then(|id| context.access.tokens.get(id, now));
        let token = token.ok_or(TokenError::Unknown).and_then(|token| declared(context, token));
        match token {
            Ok(token) => return Ok(owner_of(&token, Credential::Session(token.id))),
            // The owner on the unix socket needs no session.
            Err(_) if matches!(peer, Peer::Unix { .. }) => {}
            Err(_) => {
                let _ = context.access.rates.take_failure(peer);
                return Err(unauthorised("session-over", "the session has ended").hint("sign in again"));
            }
        }
    }
    match peer {
        Peer::Unix { user, .. } if user == 0 || user == rustix::process::geteuid().as_raw() => {
            Ok(Principal::owner(user))
        }
        Peer::Unix { .. } => {
            let detail = "only the user of the server and root may use this socket";
            Err(Problem::new(StatusCode::FORBIDDEN, "not-the-owner", detail))
        }
        Peer::Tcp { .. } => Err(unauthorised("no-credential", "the request does not say who sends it")
            .hint("send a token: Authorization: Bearer sage_…; `sage-host token new` makes one")),
    }
}

fn owner_of(token: &Token, credential: Credential) -> Principal {
    Principal { tenant: token.tenant.clone(), role: token.role, credential }
}

/// A token of a tenant that host.toml does not declare any more opens nothing.
pub(super) fn declared(context: &Context, token: Token) -> Result<Token, TokenError> {
    let known = token.tenant.as_ref().is_none_or(|tenant| context.settings.tenants.contains_key(tenant));
    if known { Ok(token) } else { Err(TokenError::TenantGone) }
}

/// The problem of a credential that opens nothing. A peer that fails too often is told to wait.
pub(super) fn failure(context: &Context, peer: Peer, error: &TokenError) -> Problem {
    tracing::debug!(peer = %peer.name(), %error, "a credential was refused");
    context.counts.refuse();
    if !context.access.rates.take_failure(peer) {
        return too_fast("too many credentials of this peer were refused");
    }
    let code = match error {
        TokenError::Unknown => "bad-token",
        TokenError::Expired => "token-expired",
        TokenError::TenantGone => "tenant-gone",
    };
    unauthorised(code, &error.to_string()).hint("have one made with `sage-host token new`")
}

fn unauthorised(code: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
}

pub(super) fn too_fast(detail: &str) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-fast", detail).hint("wait for as long as Retry-After says")
}

/// The secret of the session in a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, secret)| secret)
}

/// Refuses requests over TCP that come too fast, or whose `Host` is a name that is not the server's. A page that makes
/// its own name lead to this server (DNS rebinding) is refused by that.
pub(super) async fn guard(State(context): State<Context>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    if let Some(peer @ Peer::Tcp { .. }) = peer {
        if !context.access.rates.take_request(peer) {
            return too_fast("this peer sends more requests per second than it may").into_response();
        }
        let host = request.headers().get(header::HOST).map(HeaderValue::to_str);
        let name = match host {
            Some(Ok(host)) => name_of(host),
            _ => None,
        };
        if !name.is_some_and(|name| is_own(name, &context.settings.names)) {
            let detail = "the Host of the request is not a name of this server";
            return Problem::new(StatusCode::FORBIDDEN, "wrong-host", detail)
                .hint("use its address, or start it with --server-name NAME")
                .into_response();
        }
    }
    next.run(request).await
}

/// The name in a Host header, without the port.
fn name_of(host: &str) -> Option<&str> {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map(|(address, _)| address);
    }
    Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
}

/// Whether a name is the server's. An address is nobody's name, so no page of another origin has it.
fn is_own(name: &str, names: &[String]) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name_of_the_server() {
        let names = ["sage.example".to_owned()];
        for (host, own) in [
            ("127.0.0.1:19001", true),
            ("localhost", true),
            ("LOCALHOST:80", true),
            ("[::1]:19001", true),
            ("10.1.2.3", true),
            ("sage.example:443", true),
            ("sage.example.", true),
            ("evil.example:19001", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("[evil", false),
            ("", false),
        ] {
            assert_eq!(name_of(host).is_some_and(|name| is_own(name, &names)), own, "{host}");
        }
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; not_sage_session=2"));
        assert_eq!(cookie(&headers), None);
        headers.append(header::COOKIE, HeaderValue::from_static("b; sage_session=abc; c=3"));
        assert_eq!(cookie(&headers), Some("abc"));
    }
}
