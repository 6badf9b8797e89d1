use std::time::Duration;

use sage_plan::config::{Generate, Resources};
use sage_runtime::engine::{PipelineBuilder, SinkOf, SourceOf};

use crate::clock::process_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::memory::resident;
use crate::place::Place;
use crate::throughput::require_complete;

const MANY: u32 = 1000;

/// The cost of a thousand instances of one operator: a record, the start, and the memory.
pub(crate) fn many(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let mut figures = Vec::new();
    let mut starts = Vec::new();
    for work in [Work::identity(effort), Work::keyed_count(effort)] {
        let (mut few, mut many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.pick(5, 1) {
            let (one, all) = (work.cost(place, 1)?, work.cost(place, MANY)?);
            few.push(one.record);
            many.push(all.record);
            ratios.push(all.record / one.record);
            starts.push(all.start.as_secs_f64());
        }
        let name = work.name;
        let ratio = Figure::of(format!("{name}: CPU in 1,000 instances / in 1"), "×", ratios);
        figures.extend([
            Figure::of(format!("{name}, 1 instance"), "ns/record", few),
            Figure::of(format!("{name}, 1,000 instances"), "ns/record", many),
            if work.keyed { ratio } else { ratio.target(Target::AtMost(1.5)) },
        ]);
    }
    let settings = ("{ payload_bytes = 128 }", r#"{ memory = "4MiB" }"#);
    let memory: Result<Vec<_>, Problem> =
        (0..effort.pick(3, 1)).map(|_| Ok(resident(place, MANY, settings)? as f64 / 1e6)).collect();
    figures.push(Figure::of("start and end of 1,000 instances", "CPU-s", starts).target(Target::AtMost(0.5)));
    figures.push(
        Figure::of("resident memory, 1,000 instances at full speed", "MB", memory?).target(Target::AtMost(200.0)),
    );
    Ok(figures)
}

/// A pipeline whose cost is compared.
struct Work {
    name: &'static str,
    operator: &'static str,
    count: u64,
    bytes: u64,
    keyed: bool,
}

/// The CPU time of a run.
struct Cost {
    /// Nanoseconds for each record, without the start.
    record: f64,
    start: Duration,
}

impl Work {
    fn identity(effort: Effort) -> Self {
        let count = effort.pick(40_000_000, 10_000_000);
        Self { name: "generate, identity, discard: 128 B", operator: "identity", count, bytes: 128, keyed: false }
    }

    fn keyed_count(effort: Effort) -> Self {
        let count = effort.pick(10_000_000, 4_000_000);
        Self { name: "keyed count: 32 B, 10,000 keys", operator: "count", count, bytes: 32, keyed: true }
    }

    /// The difference between a run with all records and a run with one.
    fn cost(&self, place: &Place, instances: u32) -> Result<Cost, Problem> {
        let start = self.cpu_time(place, instances, 1)?;
        let run = self.cpu_time(place, instances, self.count)?;
        let record = run.saturating_sub(start).as_secs_f64() * 1e9 / self.count as f64;
        Ok(Cost { record, start })
    }

    fn cpu_time(&self, place: &Place, instances: u32, count: u64) -> Result<Duration, Problem> {
        let generate = Generate {
            count: Some(count.into()),
            payload_bytes: Some(self.bytes.into()),
            keys: self.keyed.then(|| 10_000.into()),
            ..Generate::default()
        };
        let component = place.operator(self.operator)?;
        let builder = PipelineBuilder::new("many").from_source("source", SourceOf::generate(generate));
        let operator = if self.keyed {
            builder.process("operator", &component).partition("key")
        } else {
            builder.map("operator", &component)
        };
        let job = operator
            .parallelism(instances)
            .resources(Resources { memory: Some((4 << 20).into()), ..Resources::default() })
            .sink("sink", SinkOf::discard())
            .build(place.job_options())?;
        let before = process_cpu_time();
        let summary = job.start()?.wait();
        let spent = process_cpu_time().saturating_sub(before);
        require_complete(&summary, count)?;
        Ok(spent)
    }
}
