//! Every allocation that the host makes for a guest is charged. While hostile guests run in threads of this
//! process, its heap grows by no more than the declared limits of their pipeline and a constant. Linear
//! memories are not on the heap; everything else is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use sage_plan::config::{Capabilities, Folder, Limits, OnError, Resources};
use sage_runtime::connector::IterSource;
use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};
use sage_tests::{WatGuest, guest};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: passes every call on to the system's allocator; counting does not touch the memory. A global
// allocator cannot be written without unsafe.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        more(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MIB: usize = 1 << 20;
/// Memory limit of the instance.
const MEMORY: usize = 16 * MIB;
/// Output limit of one call.
const OUTPUT: usize = 4 * MIB;
/// Bytes that may wait for the sink, and for the instance.
const EDGES: usize = 2 * 2 * MIB;
/// Other needs of a run with one operator: threads, counters, pooled buffers, a batch in flight, space for
/// the undo log.
const CONSTANT: usize = 8 * MIB;
/// An answer exists at most twice: as the guest's answer, and as the batch made from it.
const BOUND: usize = MEMORY + 2 * OUTPUT + EDGES + CONSTANT;

/// Largest growth of the heap while these records pass through the component, which may write in the folder `granted`.
fn growth(component: &Path, granted: Option<&Path>, records: Vec<String>) -> usize {
    let folders = granted.map(|host| Folder {
        host: host.to_str().unwrap().to_owned().into(),
        guest: "/data".to_owned().into(),
        write: true,
    });
    let folder = tempfile::tempdir().unwrap();
    let size = |bytes: usize| Some((bytes as u64).into());
    let options = JobOptions { lease_folder: Some(folder.path().to_owned()), ..JobOptions::default() };
    let records: Vec<Vec<u8>> = records.into_iter().map(String::into_bytes).collect();
    let count = records.len() as u64;
    let job = PipelineBuilder::new("hoard")
        .from_source("in", SourceOf::provided(IterSource::new(records, 0)))
        .operator("hoarder", component)
        .resources(Resources { memory: size(MEMORY), object_store_memory: size(EDGES / 2), ..Resources::default() })
        .limits(Limits {
            output_bytes_per_call: size(OUTPUT),
            record_bytes: size(OUTPUT),
            cpu_time_per_call: Some(std::time::Duration::from_secs(60).into()),
            call_timeout: Some(std::time::Duration::from_secs(80).into()),
            ..Limits::default()
        })
        .capabilities(Capabilities { folders: folders.into_iter().collect(), ..Capabilities::default() })
        .on_error(OnError::Skip)
        .retries(0)
        .sink("out", SinkOf::discard())
        .build(options)
        .unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    if let Ok(session) = job.start() {
        let summary = session.wait();
        assert_eq!(summary.outcome, "completed", "{summary:?}");
        assert_eq!(summary.stage("hoarder").unwrap().records_in, count);
    }
    PEAK.load(Ordering::Relaxed).saturating_sub(before)
}

/// Ways in which a guest can make the host allocate, each with a number far beyond the limits.
const WAYS: [(&str, u32); 19] = [
    ("sends", 3 << 20),
    ("sends-keys", 3 << 20),
    ("sends-parents", 150_000),
    ("makes-tables", 100_000),
    ("makes-empty-tables", 100_000),
    ("makes-maps", 100_000),
    ("empties-maps", 100_000),
    ("fills-a-map", 300_000),
    ("makes-keys", 500_000),
    ("makes-values", 300_000),
    ("writes-one-key", 1_000_000),
    ("gets-nothing", 2_000_000),
    ("gets-a-value", 3_000),
    ("scans", 1_000),
    ("logs", 8 << 20),
    ("logs-nothing", 20_000),
    ("names-numbers", 20_000),
    ("names-a-number", 8 << 20),
    ("rejects", 900_000),
];

/// Ways in which a guest can make the host keep bytes for its handles on files, each with a number of handles.
const HANDLES: [(&str, u32); 5] =
    [("lists", 1_000), ("lists-to-the-end", 20), ("reads", 1_000), ("writes", 1_000), ("waits", 1_000_000)];

/// Fills a folder for a guest that holds handles on files.
fn fill(folder: &Path) {
    for number in 0..20_000 {
        std::fs::File::create(folder.join(format!("a-file-with-a-name-of-some-length-{number}"))).unwrap();
    }
    std::fs::write(folder.join("large"), vec![7; MIB]).unwrap();
}

/// A component with `instances` additional core instances, each with `fields` copies of `field`.
fn many(field: &str, fields: usize, instances: usize) -> Vec<u8> {
    let module = format!("(core module $Many {})", field.repeat(fields));
    let copies: String = (0..instances).map(|n| format!("(core instance $many{n} (instantiate $Many))")).collect();
    WatGuest { after: format!("{module} {copies}"), ..WatGuest::default() }.build()
}

#[test]
fn whatever_guests_have_the_host_allocate_is_within_what_they_may_have() {
    let mut over = Vec::new();
    let mut look = |what: &str, grown: usize| {
        println!("{what}: {:.1} MiB", grown as f64 / MIB as f64);
        if grown > BOUND {
            over.push(format!("{what}: {} MiB", grown / MIB));
        }
    };
    let hoarder = guest("process_hoards_as_told");
    // The first run makes objects that are made only once: the engine's code in this process, thread-locals,
    // tables of the standard library.
    growth(&hoarder, None, vec!["nothing".to_owned()]);
    for (way, number) in WAYS {
        // Sent output adds up over records. All other allocations do not, because each failed call is undone.
        let records = if way.starts_with("sends") { 12 } else { 2 };
        look(way, growth(&hoarder, None, vec![format!("{way} {number}"); records]));
    }
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    for (way, number) in HANDLES {
        look(way, growth(&guest("process_holds_files"), Some(folder.path()), vec![format!("{way} {number}"); 2]));
    }
    let folder = tempfile::tempdir().unwrap();
    for (what, field, fields, instances) in [
        ("globals that fit", "(global i64 (i64.const 0))", 10_000, 50),
        ("globals that do not", "(global i64 (i64.const 0))", 50_000, 200),
        ("tables of functions", "(table 100 funcref)", 1, 50),
        ("elements", "(elem funcref (ref.null func) (ref.null func) (ref.null func) (ref.null func))", 20_000, 50),
        ("functions that are referred to", "(func (export \"\"))", 1, 200),
        ("segments of data", "(data \"\")", 50_000, 100),
    ] {
        let path = folder.path().join("many.wasm");
        std::fs::write(&path, many(field, fields, instances)).unwrap();
        look(what, growth(&path, None, vec!["record".to_owned(); 2]));
    }
    assert!(over.is_empty(), "more than {} MiB: {over:?}", BOUND / MIB);
}
