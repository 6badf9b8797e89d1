//! A process that locks itself down as a worker does and then tries operations. Each line of its output is an
//! operation and its result (`ok`, or the error's name). `tests/tests/lockdown.rs` starts the process and
//! checks the lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod calls;
mod guests;
mod setup;

use std::sync::mpsc::channel;

use sage_process::lockdown::Lockdown;

use crate::setup::{LockdownSetup, Probe};

fn main() {
    let order = LockdownSetup::read();
    let lockdown = order.lockdown();
    match order.probe {
        Probe::Calls => tell_calls(&lockdown),
        Probe::Threads => tell_threads(&lockdown),
        Probe::TooLate => tell_too_late(&lockdown),
        Probe::Files => tell_files(&lockdown, &order),
        Probe::Guest => guests::tell(&lockdown, &order),
        Probe::FileTooLarge => {
            lockdown.apply().unwrap();
            calls::write_memory_file(1 << 20);
        }
    }
}

/// Tries forbidden calls in the thread that locked itself down.
fn tell_calls(lockdown: &Lockdown) {
    let attempts = calls::Attempts::prepare();
    let report = lockdown.apply().unwrap();
    println!("landlock {}", report.landlock);
    println!("missing {}", report.missing.len());
    attempts.tell();
}

/// Tries forbidden calls in a thread made between the two steps of the lockdown, and in a thread made after
/// them.
fn tell_threads(lockdown: &Lockdown) {
    let fenced = lockdown.before_threads().unwrap();
    let (go, gone) = channel::<()>();
    let between = std::thread::spawn(move || {
        gone.recv().unwrap();
        format!("between {}", calls::in_a_thread())
    });
    fenced.after_setup().unwrap();
    go.send(()).unwrap();
    println!("{}", between.join().unwrap());
    println!("{}", std::thread::spawn(|| format!("after {}", calls::in_a_thread())).join().unwrap());
}

fn tell_too_late(lockdown: &Lockdown) {
    let (go, gone) = channel::<()>();
    let waiting = std::thread::spawn(move || gone.recv());
    println!("{}", lockdown.apply().unwrap_err());
    go.send(()).unwrap();
    waiting.join().unwrap().unwrap();
}

fn tell_files(lockdown: &Lockdown, order: &LockdownSetup) {
    lockdown.apply().unwrap();
    for path in &order.paths {
        println!("read {}", calls::outcome(std::fs::read(path)));
        let mut options = std::fs::OpenOptions::new();
        println!("write {}", calls::outcome(options.write(true).create(true).truncate(true).open(path)));
    }
}
