//! A worker that misbehaves, as a guest could make it after breaking out of its sandbox. Tests start it in
//! place of `sage-host worker`. The configuration of its operator selects the misbehaviour
//! (`{ "rogue": "…" }`).
//!
//! The layout of the rings is that of crate `sage-process`: HEAD, TAIL and ASLEEP at offsets 0, 64 and 128,
//! the ring from offset 4096 on.

use std::io::Read;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use serde_json::Value;

const HEAD: usize = 0;
const TAIL: usize = 64;
const RING: usize = 4096;
const CAPACITY: usize = 1 << 20;

struct Rogue {
    own: *mut u8,
    peer: *const u8,
    doorbell: OwnedFd,
    written: u64,
}

fn main() {
    let mut order = String::new();
    std::io::stdin().read_to_string(&mut order).unwrap();
    let order: Value = serde_json::from_str(&order).unwrap();
    let config: Value = serde_json::from_str(order["config"].as_str().unwrap()).unwrap();
    let lane = &order["lanes"][0];
    let descriptor = |name: &str| i32::try_from(lane[name].as_i64().unwrap()).unwrap();
    let map = |name: &str, protection| {
        // SAFETY: the descriptor was inherited and stays open; the mapping is new memory.
        unsafe {
            let file = BorrowedFd::borrow_raw(descriptor(name));
            mmap(std::ptr::null_mut(), RING + CAPACITY, protection, MapFlags::SHARED, file, 0).unwrap().cast::<u8>()
        }
    };
    let mut rogue = Rogue {
        own: map("own", ProtFlags::READ | ProtFlags::WRITE),
        peer: map("peer", ProtFlags::READ),
        // SAFETY: the descriptor was inherited for this process and has no other owner.
        doorbell: unsafe { OwnedFd::from_raw_fd(descriptor("peer_doorbell")) },
        written: 0,
    };
    match config["rogue"].as_str().unwrap() {
        "claims-bytes" => rogue.claim(HEAD, u64::MAX / 2),
        "goes-back" => rogue.claim(HEAD, u64::MAX),
        "takes-what-was-not-sent" => {
            rogue.started();
            rogue.report_ok();
            rogue.column(&[0, 8], b"A RECORD");
            rogue.word(0);
            rogue.claim(TAIL, u64::MAX / 2);
            rogue.send();
        }
        "says-nothing" => {}
        "exits" => {
            eprintln!("had enough");
            std::process::exit(7);
        }
        "noise" => rogue.noise(),
        "long-column" => {
            rogue.started();
            rogue.report_ok();
            rogue.word(1);
            rogue.word(1 << 40);
            rogue.send();
        }
        "wrong-count" => {
            rogue.started();
            rogue.report_ok();
            rogue.column(&[0, 1, 2, 3], b"abc");
            rogue.word(0);
            rogue.send();
        }
        "boasts" => rogue.boast(),
        "changes-while-read" => rogue.change_while_read(),
        "unknown-code" => {
            rogue.report_failed("no-such-code");
            rogue.send();
        }
        "hoards-memory" => hoard(),
        "forks" => forks(),
        other => panic!("{other} is no way to be rogue"),
    }
    std::thread::sleep(Duration::from_secs(3600));
}

impl Rogue {
    fn number(&self, at: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, aligned, and only ever used as an atomic.
        unsafe { AtomicU64::from_ptr(self.own.add(at).cast()) }
    }

    fn claim(&self, at: usize, number: u64) {
        self.number(at).store(number, Ordering::SeqCst);
        self.ring();
    }

    fn ring(&self) {
        let _ = rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let at = RING + (self.written as usize & (CAPACITY - 1));
            // SAFETY: inside the mapping.
            unsafe { self.own.add(at).write_volatile(byte) };
            self.written += 1;
        }
    }

    fn word(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    /// Pads to a multiple of 8, at which every value begins.
    fn fill_up(&mut self) {
        while !self.written.is_multiple_of(8) {
            self.write(&[0]);
        }
    }

    fn send(&self) {
        self.claim(HEAD, self.written);
    }

    /// Writes a report of zeros: memory, times, dropped bytes, lines, numbers.
    fn report(&mut self) {
        self.write(&[0; 8 * 8]);
    }

    fn report_ok(&mut self) {
        self.report();
        self.word(0);
    }

    fn report_failed(&mut self, code: &str) {
        self.report();
        self.word(1);
        for text in [code, "a message", ""] {
            self.word(text.len() as u64);
            self.write(text.as_bytes());
            self.fill_up();
        }
    }

    /// Reports that the guest has started, and waits for the batch.
    fn started(&mut self) {
        self.report_ok();
        self.wait_for_more();
    }

    /// Sends, and waits until the host has sent more than the request to start.
    fn wait_for_more(&mut self) {
        self.send();
        // SAFETY: inside the mapping, aligned; the host changes it as an atomic.
        let head = unsafe { AtomicU64::from_ptr(self.peer.cast_mut().cast()) };
        while head.load(Ordering::SeqCst) <= 8 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Writes the answer of a map.
    fn column(&mut self, offsets: &[u32], bytes: &[u8]) {
        self.word(1);
        self.word(offsets.len() as u64);
        for offset in offsets {
            self.write(&offset.to_le_bytes());
        }
        self.fill_up();
        self.word(bytes.len() as u64);
        self.write(bytes);
        self.fill_up();
    }

    /// Sends a valid answer in which every number is the largest possible one.
    fn boast(&mut self) {
        let report = |rogue: &mut Self| {
            rogue.write(&[0xFF; 6 * 8]);
            rogue.write(&[0; 3 * 8]);
        };
        report(self);
        self.wait_for_more();
        report(self);
        self.column(&[0, 3], b"abc");
        self.word(0);
        self.send();
    }

    /// Sends random bytes again and again, as many as fit.
    fn noise(&mut self) {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
        loop {
            for _ in 0..1000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                self.write(&random.to_le_bytes());
            }
            self.send();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a valid answer with bytes that change while the host reads it.
    fn change_while_read(&mut self) {
        self.started();
        let from = self.written as usize;
        self.report_ok();
        self.column(&[0, 3], b"abc");
        self.word(0);
        let sound: Vec<u8> = (from..self.written as usize)
            // SAFETY: inside the mapping, written just now.
            .map(|at| unsafe { self.own.add(RING + (at & (CAPACITY - 1))).read_volatile() })
            .collect();
        self.send();
        let mut random = 1_u64;
        loop {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 33) as usize % sound.len();
            let place = RING + ((from + at) & (CAPACITY - 1));
            // SAFETY: inside the mapping.
            unsafe { self.own.add(place).write_volatile((random >> 24) as u8) };
            // SAFETY: as before.
            unsafe { self.own.add(place).write_volatile(sound[at]) };
        }
    }
}

fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
    }
}

/// Starts as many processes as the kernel allows.
fn forks() {
    let mut made = 0;
    // Far more than any limit here, and few enough for a machine without a limit.
    for _ in 0..2000 {
        match std::process::Command::new("/bin/sleep").arg("3600").spawn() {
            Ok(_) => made += 1,
            Err(error) => {
                eprintln!("made {made} processes, then: {error}");
                std::process::exit(9);
            }
        }
    }
    eprintln!("made {made} processes");
    std::process::exit(8);
}
