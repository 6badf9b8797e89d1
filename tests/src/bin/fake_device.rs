//! A device process with a backend that misbehaves. Tests start it in place of `sage-host device`. A model file
//! holds a word, which names the misbehaviour, and in some cases a number.

use std::fs::File;
use std::io::Read;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use sage_models::{
    Backend, DType, Dimension, InferenceError, LoadOptions, LoadedModel, ModelFacts, Tensor, TensorData, TensorSpec,
};
use sage_plan::GraphRows;
use sage_runtime::worker::serve_device;
use serde_json::Value;

fn main() -> ExitCode {
    // A rogue device has no lockdown and its own protocol.
    if let Some(way) = rogue_way() {
        rogue(&way);
    }
    match serve_device(|_| Ok(vec![Box::new(Odd) as Box<dyn Backend>])) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug)]
struct Odd;

#[derive(Debug)]
struct OddModel {
    does: String,
    number: u64,
    facts: ModelFacts,
}

impl Backend for Odd {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn load(&self, model: &[u8], _: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError> {
        let text = std::str::from_utf8(model).map_err(|_| InferenceError::Unsupported("no words".to_owned()))?;
        let mut words = text.split_whitespace();
        let does = words.next().unwrap_or_default().to_owned();
        let number = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match does.as_str() {
            "abort-at-load" => std::process::abort(),
            "hoard-at-load" => hoard(),
            "refuse" => return Err(InferenceError::Unsupported("an operator that nobody has".to_owned())),
            _ => {}
        }
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: vec![Dimension::Free("n".to_owned())],
        };
        let facts = ModelFacts {
            inputs: vec![spec("x")],
            outputs: vec![spec("y")],
            weight_bytes: model.len() as u64,
            rows: GraphRows::MadeUp,
        };
        Ok(Box::new(OddModel { does, number, facts }))
    }
}

impl LoadedModel for OddModel {
    fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError> {
        match self.does.as_str() {
            "hang" => loop {
                thread::park();
            },
            "abort" => std::process::abort(),
            "panic" => panic!("as it was told"),
            "hoard" => hoard(),
            "slow" => thread::sleep(Duration::from_millis(self.number)),
            "lose" => return Err(InferenceError::DeviceLost("fell off the bus".to_owned())),
            "refuse-memory" => return Err(InferenceError::OutOfMemory("3 bytes short".to_owned())),
            "spawn" => {
                let spawned = std::process::Command::new("/bin/true").spawn();
                let opened = File::open("/etc/hostname").map(drop);
                let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).map(drop);
                let tried = [spawned.is_err(), opened.is_err(), socket.is_err()];
                return Err(InferenceError::Backend(format!("refused {tried:?}")));
            }
            "sum" => {
                let TensorData::F32(values) = inputs[0].data() else { panic!("another type") };
                let sum = values.iter().sum();
                return Ok(vec![Tensor::new(vec![1], TensorData::F32(vec![sum])).unwrap()]);
            }
            // Every other word behaves like `echo`.
            _ => {}
        }
        Ok(inputs)
    }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
    }
}

const HEAD: usize = 0;
const RING: usize = 4096;
const CAPACITY: usize = 1 << 20;

/// The rogue behaviour, from the device's name `rogue-…`; `None` for other names.
fn rogue_way() -> Option<String> {
    order()["spec"]["name"].as_str()?.strip_prefix("rogue-").map(str::to_owned)
}

/// Reads the setup. The file is opened by its path, so that standard input can be read again from its
/// beginning.
fn order() -> Value {
    let mut text = String::new();
    File::open("/proc/self/fd/0").unwrap().read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Answers every request with the bytes of its rogue behaviour: once for the load, where they are valid, and
/// again for the run.
fn rogue(way: &str) -> ! {
    let order = order();
    let descriptor = |name: &str| i32::try_from(order["links"][0][name].as_i64().unwrap()).unwrap();
    let map = |name: &str, protection| {
        // SAFETY: the descriptor was inherited and stays open; the mapping is new memory.
        unsafe {
            let file = BorrowedFd::borrow_raw(descriptor(name));
            mmap(std::ptr::null_mut(), RING + CAPACITY, protection, MapFlags::SHARED, file, 0).unwrap().cast::<u8>()
        }
    };
    let own = map("own", ProtFlags::READ | ProtFlags::WRITE);
    let peer = map("peer", ProtFlags::READ);
    // SAFETY: the descriptor was inherited for this process and has no other owner.
    let doorbell = unsafe { OwnedFd::from_raw_fd(descriptor("peer_doorbell")) };
    // SAFETY: inside the mapping, aligned; the host changes it as an atomic.
    let asked = unsafe { AtomicU64::from_ptr(peer.cast()) };
    // SAFETY: inside the mapping, aligned, and only ever used as an atomic.
    let head = unsafe { AtomicU64::from_ptr(own.add(HEAD).cast()) };
    let mut written = 0_usize;
    let mut say = |bytes: &[u8]| {
        for &byte in bytes {
            // SAFETY: inside the mapping.
            unsafe { own.add(RING + (written & (CAPACITY - 1))).write_volatile(byte) };
            written += 1;
        }
        head.store(written as u64, Ordering::SeqCst);
        let _ = rustix::io::write(&doorbell, &1_u64.to_ne_bytes());
    };
    let wait_beyond = |seen: u64| {
        while asked.load(Ordering::SeqCst) <= seen {
            thread::sleep(Duration::from_millis(1));
        }
    };
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let text = |text: &str| {
        let mut bytes = words(&[text.len() as u64]);
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    wait_beyond(0);
    match way {
        "long-facts" => say(&words(&[0, 1 << 60])),
        "no-facts" => say(&[words(&[0]), text("{ nothing")].concat()),
        "odd-error" => say(&[words(&[1]), text("\"busy\"")].concat()),
        _ => {}
    }
    let facts = "{\"inputs\":[],\"outputs\":[{\"name\":\"y\",\"dtype\":\"f32\",\"shape\":[]}],\"weight_bytes\":0}";
    let seen = asked.load(Ordering::SeqCst);
    say(&[words(&[0]), text(facts)].concat());
    wait_beyond(seen);
    const F32: u64 = 6;
    match way {
        "many-tensors" => say(&words(&[0, 1, 1, u64::MAX])),
        "two-outputs" => say(&words(&[0, 1, 1, 2, F32, 0, 4, 0, F32, 0, 4, 0])),
        "wrong-length" => say(&words(&[0, 1, 1, 1, F32, 1, 1 << 60, 4, 0])),
        "huge-tensor" => say(&words(&[0, 1, 1, 1, F32, 1, 1 << 50, 1 << 52, 0])),
        "wrong-type" => say(&words(&[0, 1, 1, 1, 1, 1, 8, 8, 0])),
        "boasts" => say(&words(&[0, u64::MAX, u64::MAX, 1, F32, 0, 4, 0])),
        "claims-bytes" => {
            head.store(u64::MAX / 2, Ordering::SeqCst);
            let _ = rustix::io::write(&doorbell, &1_u64.to_ne_bytes());
        }
        "unknown-outcome" => say(&words(&[77])),
        other => panic!("{other} is no way to be rogue"),
    }
    loop {
        thread::park();
    }
}
