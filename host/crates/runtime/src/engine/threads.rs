use std::sync::Arc;

use super::error::RunError;
use super::lane_guest::LaneGuest;
use super::launcher::{InstanceLauncher, InstanceSetup, LaunchedInstance};
use super::placement::SharePacer;
use super::thread_guest::ThreadGuest;
use sage_admission::Cpus;
use sage_machine::{CpuShare, raise_open_files};
use sage_sandbox::{GuestSpec, Pacer};

/// An instance launcher that uses threads of this process: the guest of each lane runs in the lane's own
/// thread.
pub(super) struct Threads;

impl InstanceLauncher for Threads {
    fn instance(&self, order: InstanceSetup<'_>) -> Result<LaunchedInstance, RunError> {
        let guest = |lane: u32| {
            let spec = GuestSpec { lane, ..order.spec.clone() };
            let pacer: Option<Box<dyn Pacer>> = match order.grant.cpus {
                Cpus::Share(share) => Some(Box::new(SharePacer(CpuShare::new(share)))),
                Cpus::Leased | Cpus::Shared | Cpus::Unpinned => None,
            };
            Box::new(ThreadGuest::new(Arc::clone(order.loaded), spec, pacer)) as Box<dyn LaneGuest>
        };
        let granted = &order.spec.capabilities;
        if !granted.folders.is_empty() || !granted.connect.is_empty() {
            raise_open_files();
        }
        Ok(LaunchedInstance { guests: (0..order.grant.lanes).map(guest).collect(), kernel: None })
    }

    fn in_lane_threads(&self) -> bool {
        true
    }
}
