use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use crate::store::Digest;

/// A file of the dashboard.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $kind:ident,)*) => {
        &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../dashboard/", $name)) },)*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const INDEX: &str = "index.html";
/// Every file of the folder `dashboard`.
const ASSETS: &[Asset] = assets! {
    "index.html" HTML,
    "icon.svg" SVG,
    "base.css" CSS,
    "parts.css" CSS,
    "views.css" CSS,
    "actions.js" SCRIPT,
    "api.js" SCRIPT,
    "audit.js" SCRIPT,
    "components.js" SCRIPT,
    "dom.js" SCRIPT,
    "events.js" SCRIPT,
    "format.js" SCRIPT,
    "graph.js" SCRIPT,
    "job.js" SCRIPT,
    "job_details.js" SCRIPT,
    "job_flow.js" SCRIPT,
    "job_limits.js" SCRIPT,
    "job_log.js" SCRIPT,
    "job_revisions.js" SCRIPT,
    "jobs.js" SCRIPT,
    "machine.js" SCRIPT,
    "main.js" SCRIPT,
    "parts.js" SCRIPT,
    "sign_in.js" SCRIPT,
    "tenants.js" SCRIPT,
};

/// What a browser may do with the page: load files of this server, and nothing else. A script that makes HTML of a text
/// is stopped by the browser (trusted types).
const POLICY: &str = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The page.
pub(super) async fn index(headers: HeaderMap) -> Result<Response, Problem> {
    file(INDEX, &headers)
}

/// A file of the page.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let absent = || Problem::new(StatusCode::NOT_FOUND, "no-such-route", "the dashboard has no such file");
    let asset = ASSETS.iter().find(|asset| asset.name == name).ok_or_else(absent)?;
    let etag = format!("\"{}\"", Digest::of(asset.bytes));
    let same = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let about: [(HeaderName, &str); 6] = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A new server may have other files.
        (header::CACHE_CONTROL, "no-cache"),
        (header::ETAG, &etag),
    ];
    Ok(if same { (StatusCode::NOT_MODIFIED, about).into_response() } else { (about, asset.bytes).into_response() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_loads_nothing_from_elsewhere() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard");
        let mut found: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut served: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        found.sort();
        served.sort_unstable();
        assert_eq!(served, found);
        for asset in ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for forbidden in
                ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "style=\""]
            {
                assert!(!text.contains(forbidden), "{} has {forbidden}", asset.name);
            }
        }
    }

    #[test]
    fn a_file_that_a_browser_has_is_not_sent_again() {
        let first = file("main.js", &HeaderMap::new()).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(file("main.js", &headers).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(file("base.css", &headers).unwrap().status(), StatusCode::OK);
        assert_eq!(file("../Cargo.toml", &HeaderMap::new()).unwrap_err().status, 404);
    }
}
