use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::live::{History, Look};
use crate::store::JobId;

/// The jobs that someone watches. Each is asked once a second, however many watch it, and not at all when nobody does.
#[derive(Debug, Clone, Default)]
pub(super) struct LiveJobs(Arc<Mutex<HashMap<JobId, Weak<Watched>>>>);

/// A job that someone watches.
#[derive(Debug)]
pub(super) struct Watched {
    history: Mutex<History>,
    /// Number of the last look; `None` when the job is over and no further look follows.
    last: watch::Sender<Option<u64>>,
}

impl LiveJobs {
    /// Watches a job, for as long as the value lives. `look` is called for a job that nobody watches yet.
    pub(super) fn watch(&self, id: JobId, look: impl FnOnce(Arc<Watched>)) -> Arc<Watched> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, watched| watched.strong_count() > 0);
        let known = jobs.get(&id).and_then(Weak::upgrade);
        if let Some(watched) = known.filter(|watched| watched.last.borrow().is_some()) {
            return watched;
        }
        let (last, _) = watch::channel(Some(0));
        let watched = Arc::new(Watched { history: Mutex::default(), last });
        jobs.insert(id, Arc::downgrade(&watched));
        look(Arc::clone(&watched));
        watched
    }
}

impl Watched {
    /// Waits for a look after number `since`. `false`: none follows.
    pub(super) async fn next(&self, since: u64) -> bool {
        let mut last = self.last.subscribe();
        let found = last.wait_for(|last| last.is_none_or(|last| last > since)).await;
        let goes_on = found.is_ok_and(|last| last.is_some());
        goes_on || self.history().last().is_some_and(|look| look.seq > since)
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a look, which its watchers see.
    pub(super) fn add(&self, look: Look) {
        let seq = self.history().add(look);
        self.last.send_replace(Some(seq));
    }

    /// Tells the watchers that no further look follows.
    pub(super) fn end(&self) {
        self.last.send_replace(None);
    }
}
