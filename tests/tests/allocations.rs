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

/// Number of allocations while `records` records pass through a map and a filter.
fn by_bytes(records: u64) -> u64 {
    let generate = Generate { count: Some(records.into()), payload_bytes: Some(128.into()), ..Generate::default() };
    let pipeline = PipelineBuilder::new("allocations")
        .from_source("numbers", SourceOf::generate(generate))
        .map("same", component("identity.wasm"))
        .filter("some", component("keep_nonempty.wasm"));
    allocations_of(pipeline, records)
}

/// The same by field: JSON lines are read, computed with, and printed.
fn by_field(records: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("readings.jsonl");
    let reading =
        |at: u64| format!("{{\"sensor\":\"s{}\",\"unread\":[{at}],\"fahrenheit\":{}.5}}\n", at % 100, at % 90);
    std::fs::write(&file, (0..records).map(reading).collect::<String>()).unwrap();
    let pipeline = PipelineBuilder::new("allocations-by-field")
        .from_source("readings", SourceOf::file(file.to_str().unwrap(), "jsonl"))
        .map("celsius", component("celsius.wasm"))
        .filter("hot", component("hot.wasm"))
        .config(serde_json::Map::from_iter([("above".to_owned(), (-1000).into())]));
    allocations_of(pipeline, records)
}

fn allocations_of(pipeline: PipelineBuilder, records: u64) -> u64 {
    let leases = tempfile::tempdir().unwrap();
    let options = JobOptions { lease_folder: Some(leases.path().to_owned()), ..JobOptions::default() };
    let session = pipeline.sink("out", SinkOf::discard()).build(options).unwrap().start().unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let summary = session.wait();
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!((summary.outcome, summary.stage("out").unwrap().records_in), ("completed", records));
    after - before
}

#[test]
fn no_record_costs_an_allocation_on_the_hot_path() {
    for (allocations_for, most) in [(by_bytes as fn(u64) -> u64, 50), (by_field, 25)] {
        // The first run fills pools, thread-locals and lazily made tables.
        allocations_for(100_000);
        let (few, many) = (allocations_for(100_000), allocations_for(1_100_000));
        let records = 1_000_000;
        let more = many.saturating_sub(few);
        println!("{more} allocations for {records} records more");
        // About one for each batch is allowed, and by field one for each column of a batch.
        assert!(more < records / most, "{more} allocations for {records} records more");
    }
}
