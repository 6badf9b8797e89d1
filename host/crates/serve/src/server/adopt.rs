use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::entry::Entry;
use super::thread::Server;
use crate::process::{JobProcess, holders};
use crate::state::Event;
use crate::store::{EventLog, JobId, StoreError};

impl Server {
    /// Takes over the jobs that are in the state folder: watches those that live, finds out how the others ended, and
    /// puts those that waited back into the queue.
    pub(super) fn adopt(&mut self) -> Result<(), StoreError> {
        let known = self.job_files.find_all()?;
        let last = known.iter().filter_map(|known| EventLog::last_seq(&self.job_files.events(known.spec.id))).max();
        self.feed.continue_after(last.unwrap_or(0));
        let mut order = Vec::new();
        let mut live: BTreeMap<PathBuf, JobId> = BTreeMap::new();
        for known in known {
            let spec = known.spec;
            let id = spec.id;
            if let Some(file) = known.rebuilt {
                tracing::warn!(job = %spec.name, %id, file, "a file of a job was corrupt, and was made anew from the others");
            }
            if known.job.state.is_live() {
                live.insert(self.job_files.folder(id).path().to_owned(), id);
            }
            self.names.insert((spec.tenant.clone(), spec.name.clone()), id);
            self.jobs.insert(id, Entry::new(spec, known.job));
            order.push(id);
        }
        let folders: HashSet<PathBuf> = live.keys().cloned().collect();
        for (folder, process) in holders(&folders, "alive.lock") {
            let Some(entry) = live.get(&folder).and_then(|id| self.jobs.get_mut(id)) else { continue };
            entry.watched = self.deaths.add(entry.spec.id, JobProcess::Attempt, process).is_ok();
        }
        // A job whose process ended after its lock was looked for is told by the watch.
        for id in order {
            if live.values().any(|live| *live == id) {
                self.look_at(id, true);
            }
            self.happen(id, Event::Restored);
        }
        Ok(())
    }
}
