use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::Runner;
use super::lease_entry::{LeaseEntry, goes_on};

/// The devices of a run that have processes of their own. Every change of a lease is passed on to the device's
/// runner: a renewal, the end of one lease while others go on, and the end of the last one.
#[derive(Debug, Default)]
pub(super) struct DrivenDevices {
    driven: BTreeMap<String, Driven>,
}

#[derive(Debug)]
struct Driven {
    runner: Weak<dyn Runner>,
    is_closing: bool,
}

/// Maximum time of a run after the end of its lease. After this time its process is ended. The caller of the run
/// looks every 20 ms, so it learns how the lease ended, and not that the device was lost.
const OVERDUE: Duration = Duration::from_millis(100);
/// Maximum time until the models of an ended lease are given back. A slot is free when its run has ended or has
/// reached its deadline.
const FORGETTING: Duration = Duration::from_secs(60);

impl DrivenDevices {
    /// From now on `runner` runs the models of a device.
    pub(super) fn add(&mut self, device: &str, runner: &Arc<dyn Runner>) {
        self.driven.insert(device.to_owned(), Driven { runner: Arc::downgrade(runner), is_closing: false });
    }

    /// The leases are renewed until this time since the machine's start.
    pub(super) fn keep_until(&self, until: Duration) {
        self.runners().for_each(|(_, runner)| runner.keep_until(until));
    }

    /// Ends the leases on devices that will never run a model again.
    pub(super) fn lose_devices(&self, entries: &[LeaseEntry]) {
        let failed: Vec<_> = self
            .runners()
            .filter(|(device, _)| goes_on(entries, device))
            .filter_map(|(device, runner)| Some((device.to_owned(), runner.failed()?)))
            .collect();
        for (device, why) in failed {
            tracing::warn!(device, %why, "the device is lost for this run");
            let here = entries.iter().filter(|entry| entry.claim.device == device);
            here.for_each(|entry| entry.lease.lose_device());
        }
    }

    /// Closes each device on which no lease goes on. If other leases go on there, only the runs of ended leases are
    /// abandoned.
    pub(super) fn end_what_is_over(&mut self, entries: &mut [LeaseEntry]) {
        let now = Instant::now();
        let mut overdue = Vec::new();
        for entry in entries.iter_mut().filter(|entry| !entry.goes_on()) {
            let is_overdue = match entry.lease.wait_idle(now) {
                true => false,
                false => now.saturating_duration_since(*entry.over_since.get_or_insert(now)) >= OVERDUE,
            };
            overdue.push((entry.claim.device.clone(), entry.claim.token, is_overdue));
        }
        let devices: Vec<String> = self.driven.keys().cloned().collect();
        for device in devices {
            let here = || overdue.iter().filter(|(of, ..)| *of == device);
            let late = here().find(|(.., is_overdue)| *is_overdue);
            let is_busy = entries.iter().any(|entry| entry.claim.device == device && !entry.lease.wait_idle(now));
            let goes_on = goes_on(entries, &device);
            let Some(driven) = self.driven.get_mut(&device).filter(|driven| !driven.is_closing) else { continue };
            let Some(runner) = driven.runner.upgrade() else { continue };
            match (goes_on, late) {
                // It may take seconds: a driver gives memory back when it likes.
                (false, _) if late.is_some() || !is_busy => {
                    driven.is_closing = beside("device-ends", move || runner.close());
                }
                (true, Some((_, token, _))) => {
                    runner.abandon(&format!("lease {token} is over, and what ran for it was not"));
                    entries.iter_mut().for_each(|entry| entry.over_since = None);
                }
                _ => {}
            }
        }
    }

    /// Makes a device that goes on for other leases give back the models and the lock of an ended lease.
    pub(super) fn have_forgotten(&self, over: &LeaseEntry, entries: &[LeaseEntry]) {
        let (device, token) = (over.claim.device.clone(), over.claim.token);
        if !goes_on(entries, &device) {
            return;
        }
        let Some(runner) = self.driven.get(&device).and_then(|driven| driven.runner.upgrade()) else { return };
        let others = || entries.iter().filter(|entry| entry.claim.device == device && entry.goes_on());
        let needed = |model: &&String| others().any(|entry| entry.models.contains(model));
        let models: Vec<String> = over.models.iter().filter(|model| !needed(model)).cloned().collect();
        beside("device-forgets", move || {
            if let Err(error) = runner.forget(token, &models, Instant::now() + FORGETTING) {
                tracing::warn!(device, lease = token, %error, "the device's process does not give back what the lease had");
                // A device process that is abandoned ends, so the next lease inherits nothing.
                runner.abandon("it did not give back what an ended lease had");
            }
        });
    }

    fn runners(&self) -> impl Iterator<Item = (&str, Arc<dyn Runner>)> {
        self.driven.iter().filter_map(|(device, driven)| Some((device.as_str(), driven.runner.upgrade()?)))
    }
}

/// Runs a slow action on a thread of its own. Returns `true` if the thread was started.
fn beside(name: &str, act: impl FnOnce() + Send + 'static) -> bool {
    let thread = Builder::new().name(name.to_owned()).spawn(act);
    thread.inspect_err(|error| tracing::warn!(%error, "no thread to end what leases on devices had")).is_ok()
}
