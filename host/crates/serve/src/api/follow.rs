use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::problem::Problem;
use super::query::Query;

/// The form of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON object a line.
    Lines,
    /// Server-sent events.
    Sse,
}

impl Form {
    pub(super) fn of(query: &Query) -> Result<Self, Problem> {
        match query.text("format") {
            None | Some("ndjson") => Ok(Self::Lines),
            Some("sse") => Ok(Self::Sse),
            Some(_) => Err(Problem::bad("bad-parameter", "format must be ndjson or sse")),
        }
    }

    /// One item of a stream.
    pub(super) fn item(self, event: &str, seq: u64, value: &Value) -> String {
        match self {
            Self::Lines => format!("{value}\n"),
            Self::Sse => format!("id: {seq}\nevent: {event}\ndata: {value}\n\n"),
        }
    }

    /// Items that a reader cannot get any more.
    pub(super) fn gap(self, after: u64, before: u64) -> String {
        let gap = json!({ "after": after, "before": before });
        match self {
            Self::Lines => format!("{}\n", json!({ "gap": gap })),
            Self::Sse => format!("event: gap\ndata: {gap}\n\n"),
        }
    }

    /// Something that means nothing, so that both sides notice a dead connection.
    pub(super) fn heartbeat(self) -> &'static str {
        match self {
            Self::Lines => "\n",
            Self::Sse => ":\n\n",
        }
    }

    /// The response, whose body is what the sender is given.
    pub(super) fn response(self) -> (mpsc::Sender<Bytes>, Response) {
        // A reader that does not read stops the sender, and then gets a gap.
        let (sender, pieces) = mpsc::channel(4);
        let kind = match self {
            Self::Lines => "application/x-ndjson",
            Self::Sse => "text/event-stream",
        };
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
        (sender, (headers, Body::new(Pieces(pieces))).into_response())
    }
}

struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
