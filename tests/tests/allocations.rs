//! The host allocates no memory for a record on the hot path; this test counts the allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use sage_plan::config::Generate;
use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every call on to the system's allocator; counting does not touch the memory. A global
// allocator cannot be written without unsafe.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn component(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../operators/target/wasm32-wasip2/release").join(name);
    assert!(path.exists(), "{} is missing: run `make operators`", path.display());
    path
}

/// Number of allocations while `records` records pass through map, filter, key-by and a keyed count.
fn allocations_for(records: u64) -> u64 {
    let leases = tempfile::tempdir().unwrap();
    let generate = Generate { count: Some(records.into()), payload_bytes: Some(128.into()), ..Generate::default() };
    let options = JobOptions { lease_folder: Some(leases.path().to_owned()), ..JobOptions::default() };
    let session = PipelineBuilder::new("allocations")
        .from_source("numbers", SourceOf::generate(generate))
        .map("same", component("identity.wasm"))
        .filter("some", component("keep_nonempty.wasm"))
        .sink("out", SinkOf::discard())
        .build(options)
        .unwrap()
        .start()
        .unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let summary = session.wait();
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!((summary.outcome, summary.stage("out").unwrap().records_in), ("completed", records));
    after - before
}

#[test]
fn no_record_costs_an_allocation_on_the_hot_path() {
    // The first run fills pools, thread-locals and lazily made tables.
    allocations_for(100_000);
    let (few, many) = (allocations_for(100_000), allocations_for(1_100_000));
    let records = 1_000_000;
    let more = many.saturating_sub(few);
    assert!(more < records / 50, "{more} allocations for {records} records more: about one for each batch is allowed");
}
