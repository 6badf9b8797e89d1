use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::exposition::Exposition;
use super::family::Kind;

/// Numbers of answers by route and status, and of credentials that were refused. Routes are those of the router, so
/// their number is bounded.
#[derive(Debug, Clone, Default)]
pub struct ApiCounts {
    answers: Arc<Mutex<BTreeMap<(String, u16), u64>>>,
    refused: Arc<AtomicU64>,
}

impl ApiCounts {
    /// Counts an answer.
    pub fn count(&self, route: &str, status: u16) {
        let mut counts = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&(route.to_owned(), status)) {
            Some(count) => *count += 1,
            None => {
                counts.insert((route.to_owned(), status), 1);
            }
        }
    }

    /// Counts a credential that opens nothing.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes the counts.
    pub fn write(&self, into: &mut Exposition) {
        let counts = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for ((route, status), count) in counts {
            let labels = [("route", route.as_str()), ("code", &status.to_string())];
            into.own("sage_api_requests", Kind::Counter, "Answers of the API", &labels, count as f64);
        }
        let refused = self.refused.load(Ordering::Relaxed) as f64;
        into.own("sage_auth_failures", Kind::Counter, "Credentials that were refused", &[], refused);
    }
}
