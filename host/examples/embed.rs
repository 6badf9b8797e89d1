//! A pipeline from Rust: records handed over from an iterator, an operator with enforced limits, results in memory.
//!
//!     make operators
//!     cargo run --release --example embed -- operators/target/wasm32-wasip2/release/uppercase.wasm

use std::error::Error;

use sage_plan::config::Resources;
use sage_runtime::connector::{CollectSink, IterSource};
use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};

fn main() -> Result<(), Box<dyn Error>> {
    let component = std::env::args().nth(1).ok_or("say which component: the path of uppercase.wasm")?;
    let lines = ["one", "two", "three"].map(|line| line.as_bytes().to_vec());
    let (sink, collected) = CollectSink::new();

    let job = PipelineBuilder::new("embedded")
        .from_source("lines", SourceOf::provided(IterSource::new(lines, 0)))
        .map("shout", component)
        .parallelism(1)
        .resources(Resources { memory: Some((16 << 20).into()), ..Resources::default() })
        .sink("collected", SinkOf::provided(sink))
        .build(JobOptions::default())?;

    println!("{}", job.explain()?);
    let summary = job.start()?.wait();
    println!("{summary}");
    for record in collected.lock().map_err(|_| "a sink panicked")?.iter() {
        println!("{}", String::from_utf8_lossy(&record.payload));
    }
    Ok(())
}
