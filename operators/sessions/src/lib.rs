//! `sessions`: the visits of each visitor of a web site, from the lines of its log. Shows a window operator of payloads,
//! whose accumulator is a struct.

use sage_guest::{Emitter, Error, Json, Window};
use serde::{Deserialize, Serialize};

/// A request, as the log has it.
#[derive(Debug, Deserialize)]
pub struct Request {
    path: String,
    #[serde(default)]
    bytes: u64,
}

/// What is known of a visit so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    requests: u64,
    bytes: u64,
    /// Path and number of the requests of each page, by path.
    pages: std::collections::BTreeMap<String, u64>,
}

/// A finished visit.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    visitor: &'a str,
    /// Microseconds since the Unix epoch.
    start: i64,
    /// Microseconds from the first request to the end of the window, which is one gap behind the last.
    length: i64,
    requests: u64,
    bytes: u64,
    /// The page with the most requests, the first by name if there are several.
    most_read: Option<&'a str>,
}

/// The operator.
#[derive(Debug, Default)]
pub struct Visits;

/// The visits of each visitor: requests, bytes, and the page that was read most.
#[sage_guest::window]
impl Visits {
    fn add(&mut self, visit: &mut Json<Visit>, Json(request): Json<Request>) -> Result<(), Error> {
        if !request.path.starts_with('/') {
            return Err(format!("{:?} is no path", request.path).into());
        }
        let Json(visit) = visit;
        visit.requests += 1;
        visit.bytes += request.bytes;
        *visit.pages.entry(request.path).or_default() += 1;
        Ok(())
    }

    fn merge(&mut self, visit: &mut Json<Visit>, Json(later): Json<Visit>) {
        let Json(visit) = visit;
        visit.requests += later.requests;
        visit.bytes += later.bytes;
        for (path, count) in later.pages {
            *visit.pages.entry(path).or_default() += count;
        }
    }

    fn finish(&mut self, window: &Window, Json(visit): Json<Visit>, out: &mut Emitter) -> Result<(), Error> {
        let most = visit.pages.iter().max_by(|one, other| one.1.cmp(other.1).then(other.0.cmp(one.0)));
        out.emit(Json(Summary {
            visitor: window.key_as()?,
            start: window.start(),
            length: window.end() - window.start(),
            requests: visit.requests,
            bytes: visit.bytes,
            most_read: most.map(|(path, _)| path.as_str()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sage_guest::testing::{self, Record, Windows};
    use serde_json::json;

    use super::Visits;

    fn request(second: i64, path: &str) -> Record {
        let request = json!({ "path": path, "bytes": 10 });
        Record::new(request.to_string()).key("ann").timestamp(second * 1_000_000)
    }

    #[test]
    fn a_visit_ends_after_the_gap_and_requests_that_come_later_join_visits() {
        let mut lane = testing::Window::<Visits>::open(json!({}), Windows::session(Duration::from_secs(30))).unwrap();
        lane.run([request(0, "/"), request(20, "/cats"), request(65, "/dogs")]);
        lane.run([request(40, "/cats")]);
        assert_eq!(lane.advance_to(94_000_000).texts(), [""; 0]);
        assert_eq!(
            lane.advance_to(95_000_000).texts(),
            [r#"{"visitor":"ann","start":0,"length":95000000,"requests":4,"bytes":40,"most_read":"/cats"}"#]
        );
        assert_eq!(lane.end().texts(), [""; 0]);
    }

    #[test]
    fn a_rejected_request_opens_and_extends_no_visit() {
        let mut lane = testing::Window::<Visits>::open(json!({}), Windows::session(Duration::from_secs(30))).unwrap();
        let outcome = lane.run([request(0, "/"), request(29, "nowhere"), request(50, "/late")]);
        assert_eq!(outcome.messages(), ["\"nowhere\" is no path"]);
        assert_eq!((outcome.failures[0].record, lane.windows()), (1, 2));
    }
}
