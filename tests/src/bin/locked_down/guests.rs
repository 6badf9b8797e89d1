use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use sage_batch::{Batch, Origin, Record};
use sage_machine::MemoryBudget;
use sage_observe::GuestMetrics;
use sage_plan::{Capabilities, Limits};
use sage_process::lockdown::Lockdown;
use sage_sandbox::{Carried, Guest, GuestSpec, KeyedState, LogTo, Sandbox, SandboxOptions};

use crate::setup::LockdownSetup;

/// Runs a real guest: loads it between the two steps of the lockdown, starts it, calls it batch by batch, and
/// restarts it after each failure.
pub(crate) fn tell(lockdown: &Lockdown, order: &LockdownSetup) {
    // No file can be opened after the fence, so the component is passed in a descriptor.
    let component = in_memory(&order.paths[0]);
    let mut lockdown = lockdown.clone();
    lockdown.keep.push(component.as_raw_fd());
    let fenced = lockdown.before_threads().unwrap();
    let sandbox = Sandbox::new(SandboxOptions::default()).unwrap();
    let capabilities =
        Capabilities { folders: order.grants(), connect: order.connect.clone(), ..Capabilities::default() };
    let path = format!("/proc/self/fd/{}", component.as_raw_fd());
    let loaded = sandbox.load(Path::new(&path)).unwrap();
    fenced.after_setup().unwrap();

    let spec = spec(capabilities);
    let begin = |carried: Carried| Guest::start(&loaded, &spec, carried).map_err(|(failure, _)| failure).unwrap();
    let mut guest = begin(Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None));
    for records in &order.batches {
        match guest.call(&batch(records)) {
            Ok(answer) => {
                for entry in answer.column().iter() {
                    println!("{}", String::from_utf8_lossy(entry));
                }
            }
            Err(failure) => {
                println!("{failure}");
                guest = begin(guest.into_carried());
            }
        }
    }
    guest.close().unwrap();
    println!("closed");
}

fn in_memory(path: &Path) -> File {
    let mut file = File::from(memfd_create("component", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(&std::fs::read(path).unwrap()).unwrap();
    file.rewind().unwrap();
    file
}

fn batch(records: &[String]) -> Batch {
    let mut batch = Batch::new();
    for (offset, record) in (0..).zip(records) {
        assert!(batch.push(Record::of(record.as_bytes(), Origin::new(0, offset))), "an empty batch takes these");
    }
    batch
}

fn spec(capabilities: Capabilities) -> GuestSpec {
    GuestSpec {
        operator: "guest".into(),
        instance: 0,
        parallelism: 1,
        lane: 0,
        lanes: 1,
        config: "{}".into(),
        limits: Limits { call_timeout: std::time::Duration::from_secs(30), ..Limits::default() },
        capabilities,
        budget: Arc::new(MemoryBudget::new(64 << 20)),
        models: Arc::new(sage_models::NoModels),
        metrics: Arc::new(GuestMetrics::default()),
        log: LogTo::Here,
        stop: sage_sandbox::Stop::default(),
        edges: Arc::default(),
        windows: None,
    }
}
