use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::JobEvent;

/// The last events of all jobs. Readers look at it without the server's thread.
#[derive(Debug, Clone, Default)]
pub struct EventFeed(Arc<Mutex<Feed>>);

#[derive(Debug, Default)]
struct Feed {
    events: VecDeque<JobEvent>,
    /// Number of the last event.
    last: u64,
}

/// Events after a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since {
    /// The events that are known.
    pub events: Vec<JobEvent>,
    /// Whether earlier ones are not known any more.
    pub gap: bool,
    /// Number of the last event.
    pub last: u64,
}

impl EventFeed {
    /// Events that are kept in memory.
    const KEPT: usize = 4096;

    /// Goes on after this number.
    pub(super) fn continue_after(&self, last: u64) {
        self.locked().last = last;
    }

    /// Numbers an event and adds it.
    pub(super) fn add(&self, mut event: JobEvent) -> JobEvent {
        let mut feed = self.locked();
        feed.last += 1;
        event.seq = feed.last;
        feed.events.push_back(event.clone());
        if feed.events.len() > Self::KEPT {
            feed.events.pop_front();
        }
        event
    }

    /// The events after number `since`.
    #[must_use]
    pub fn since(&self, since: u64) -> Since {
        let feed = self.locked();
        let events: Vec<JobEvent> = feed.events.iter().filter(|event| event.seq > since).cloned().collect();
        let first = events.first().map_or(feed.last + 1, |event| event.seq);
        Since { gap: first > since + 1, events, last: feed.last }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Feed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::JobId;

    #[test]
    fn events_that_are_not_kept_any_more_are_a_gap() {
        let feed = EventFeed::default();
        feed.continue_after(10);
        assert!(feed.since(9).gap, "event 10 is of an earlier server");
        let event = JobEvent {
            seq: 0,
            at: 0,
            id: JobId::random().unwrap(),
            job: "a".parse().unwrap(),
            tenant: None,
            from: None,
            to: "checking".to_owned(),
            attempt: 0,
            revision: 1,
            code: None,
            message: None,
        };
        assert_eq!(feed.add(event.clone()).seq, 11);
        let all = feed.since(10);
        assert_eq!((all.events.len(), all.gap, all.last), (1, false, 11));
        for _ in 0..EventFeed::KEPT {
            feed.add(event.clone());
        }
        assert!(feed.since(10).gap);
        assert!(!feed.since(11).gap);
        assert_eq!(feed.since(11 + EventFeed::KEPT as u64).events.len(), 0);
    }
}
