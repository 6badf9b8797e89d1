use std::sync::Arc;
use std::time::Duration;

use sage_batch::{Batch, Origin, Record};
use sage_machine::MemoryBudget;
use sage_observe::GuestMetrics;
use sage_plan::{Capabilities, Limits};
use sage_sandbox::{Carried, Guest, GuestSpec, KeyedState, Loaded, Sandbox, SandboxOptions};

use crate::clock::thread_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::floor::Floor;
use crate::place::Place;

const PAYLOADS: [usize; 4] = [16, 128, 1024, 16 << 10];
const BATCHES: [usize; 4] = [1, 16, 256, 4096];
/// Payload bytes and records of the batch for which there are targets.
const JUDGED: (usize, usize) = (128, 256);
/// Other maps than `identity`, measured with the shape in [`JUDGED`].
const FORMS: [Form; 2] = [
    Form { what: "map that gives new bytes", operator: "prefix", config: r#"{"text": "> "}"#, before: "> " },
    Form { what: "map in place", operator: "mask", config: "{}", before: "" },
];
/// Duration of one turn: long compared with the clock's 250 ns and short compared with a slow phase of the
/// machine.
const TURN: Duration = Duration::from_millis(8);

/// Cost for each record of one call of a map and of a filter, beside the cost of the smallest possible guest.
pub(crate) fn boundary(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let load = |name| -> Result<_, Problem> { Ok(sandbox.load(&place.operator(name)?)?) };
    let (map, filter) = (load("identity")?, load("keep_nonempty")?);
    let forms = FORMS.iter().map(|form| Ok((form, load(form.operator)?))).collect::<Result<Vec<_>, Problem>>()?;
    let mut figures = Vec::new();
    for payload in PAYLOADS {
        for records in BATCHES {
            let shape = Shape { payload, records };
            let rounds = effort.pick(9, 3);
            figures.extend(shape.measure(&map, &filter, rounds)?);
            if (payload, records) == JUDGED {
                for (form, loaded) in &forms {
                    figures.push(shape.measure_form(form, loaded, rounds)?);
                }
            }
        }
    }
    Ok(figures)
}

/// A map other than `identity`.
struct Form {
    what: &'static str,
    operator: &'static str,
    config: &'static str,
    /// Bytes that its answers have before the record. The record itself has no bytes that the operator would
    /// change.
    before: &'static str,
}

/// A batch of `records` records of `payload` bytes.
#[derive(Clone, Copy)]
struct Shape {
    payload: usize,
    records: usize,
}

impl Shape {
    fn measure(self, map: &Arc<Loaded>, filter: &Arc<Loaded>, rounds: usize) -> Result<[Figure; 4], Problem> {
        let batch = self.batch();
        let (mut map, mut filter) = (start(map, "{}")?, start(filter, "{}")?);
        let mut floor = Floor::new(batch.payloads())?;
        // Checks the results before measuring, and lets the memory grow to its final size.
        for _ in 0..3 {
            floor.call(batch.payloads())?;
            if !floor.holds(batch.payloads())
                || map.call(&batch)?.column() != batch.payloads()
                || filter.call(&batch)?.kept().count() != self.records
            {
                return Err(format!("{self}: what comes out is not what went in").into());
            }
        }
        let calls = self.calls(|| Ok(map.call(&batch).map(|_| ())?))?;
        let mut found = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            let floor = self.turn(calls, || floor.call(batch.payloads()))?;
            let map = self.turn(calls, || Ok(map.call(&batch).map(|_| ())?))?;
            let filter = self.turn(calls, || Ok(filter.call(&batch).map(|_| ())?))?;
            for (rounds, value) in found.iter_mut().zip([map, filter, floor, map / floor]) {
                rounds.push(value);
            }
        }
        let [map, filter, floor, ratio] = found;
        let figure = |what: &str, unit, rounds: Vec<f64>, most| {
            let figure = Figure::of(format!("{what} {self}"), unit, rounds);
            let judged = (self.payload, self.records) == JUDGED;
            if judged && most > 0.0 { figure.target(Target::AtMost(most)) } else { figure }
        };
        Ok([
            figure("map", "ns/record", map, 12.0),
            figure("filter", "ns/record", filter, 8.0),
            figure("raw copy", "ns/record", floor, 0.0),
            figure("map / raw copy", "×", ratio, 1.5),
        ])
    }

    fn measure_form(self, form: &Form, loaded: &Arc<Loaded>, rounds: usize) -> Result<Figure, Problem> {
        let batch = self.batch();
        let mut map = start(loaded, form.config)?;
        for _ in 0..3 {
            let payloads = batch.payloads().iter().map(|payload| [form.before.as_bytes(), payload].concat());
            if !map.call(&batch)?.column().iter().eq(payloads) {
                return Err(format!("{}, {self}: what comes out is not what should", form.what).into());
            }
        }
        let calls = self.calls(|| Ok(map.call(&batch).map(|_| ())?))?;
        let mut found = Vec::new();
        for _ in 0..rounds {
            found.push(self.turn(calls, || Ok(map.call(&batch).map(|_| ())?))?);
        }
        Ok(Figure::of(format!("{} {self}", form.what), "ns/record", found))
    }

    fn batch(self) -> Batch {
        let mut batch = Batch::new();
        for row in 0..self.records {
            let payload: Vec<u8> = (0..self.payload).map(|at| b'a' + ((row * 7 + at) % 26) as u8).collect();
            // Cannot fail: all records have the same shape.
            let _ = batch.push(Record::of(&payload, Origin::new(0, row as u64)));
        }
        batch
    }

    /// Number of calls in one turn.
    fn calls(self, mut call: impl FnMut() -> Result<(), Problem>) -> Result<usize, Problem> {
        let mut calls = 1;
        loop {
            let nanoseconds = self.turn(calls, &mut call)? * (calls * self.records) as f64;
            if nanoseconds >= TURN.as_nanos() as f64 / 2.0 || calls > 1 << 20 {
                return Ok(calls);
            }
            calls *= 2;
        }
    }

    /// CPU time of this thread for each record, in nanoseconds.
    fn turn(self, calls: usize, mut call: impl FnMut() -> Result<(), Problem>) -> Result<f64, Problem> {
        let before = thread_cpu_time();
        for _ in 0..calls {
            call()?;
        }
        let spent = thread_cpu_time().saturating_sub(before);
        Ok(spent.as_nanos() as f64 / (calls * self.records) as f64)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { payload, records } = self;
        if *payload < 1024 {
            write!(f, "{payload} B × {records}")
        } else {
            write!(f, "{} KiB × {records}", payload >> 10)
        }
    }
}

fn start(loaded: &Arc<Loaded>, config: &str) -> Result<Guest, Problem> {
    let spec = GuestSpec { config: config.into(), ..spec() };
    let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None);
    Guest::start(loaded, &spec, carried).map_err(|(failure, _)| failure.into())
}

/// A guest with every limit on. Memory and output suffice for the largest batch here, 64 MiB.
pub(crate) fn spec() -> GuestSpec {
    GuestSpec {
        operator: "bench".into(),
        instance: 0,
        parallelism: 1,
        lane: 0,
        lanes: 1,
        config: "{}".into(),
        limits: Limits { output_bytes_per_call: 256 << 20, ..Limits::default() },
        capabilities: Capabilities::default(),
        budget: Arc::new(MemoryBudget::new(1 << 30)),
        models: Arc::new(sage_models::NoModels),
        metrics: Arc::new(GuestMetrics::default()),
        log: sage_sandbox::LogTo::Here,
        stop: sage_sandbox::Stop::default(),
        edges: Arc::default(),
        windows: None,
    }
}
