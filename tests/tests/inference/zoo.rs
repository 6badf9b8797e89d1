//! Every answer in a batch equals the answer alone, for every graph.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sage_machine::CpuSet;
use sage_models::{
    Backend, DeviceCpus, DeviceQueue, InferenceError, Lease, LoadedModel, NamedTensor, Tensor, TensorData,
    ThreadRunner, ThreadSettings,
};
use sage_observe::InferenceCounters;
use sage_plan::config::BackendChoice;
use sage_plan::{ModelSpec, RowsChoice};
use sage_tests::zoo::{Animal, Chance, zoo};

use crate::backends::{OPTIONS, all};

/// Rows in one run.
const MAX_ROWS: u32 = 8;
/// Leases that call at the same time, and calls of each.
const LEASES: u64 = 4;
const CALLS: usize = 4;

/// A device queue with one model of the zoo, and the same model for single runs.
struct Kept {
    queue: DeviceQueue,
    alone: Box<dyn LoadedModel>,
    counters: Arc<InferenceCounters>,
}

impl Kept {
    /// `None` if the backend does not know the model's operators.
    fn new(animal: &Animal, backend: &str, spec: impl FnOnce(ModelSpec) -> ModelSpec) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        fs::write(&path, &animal.file).unwrap();
        let here = || -> Vec<Box<dyn Backend>> { all().into_iter().filter(|other| other.name() == backend).collect() };
        let alone = here()[0].load(&animal.file, &OPTIONS).ok()?;
        let settings = ThreadSettings { slots: 1, threads: 1, memory: None };
        let runner = Arc::new(ThreadRunner::new(settings, here()));
        let queue = DeviceQueue::start("zoo", runner, &DeviceCpus::Own(CpuSet::allowed().unwrap()), None).unwrap();
        let spec = spec(ModelSpec {
            name: "m".to_owned(),
            path,
            sha256: None,
            backend: BackendChoice::Auto,
            rows: RowsChoice::Shown,
            graph_rows: None,
            max_rows: MAX_ROWS,
            // Long enough for callers that just received an answer to call again.
            max_delay: Duration::from_millis(2),
            batching: Some(true),
            deterministic: false,
            workspace: 0,
        });
        queue.load(&spec, Instant::now() + Duration::from_secs(60)).unwrap();
        Some(Self { queue, alone, counters: Arc::new(InferenceCounters::new(vec!["zoo".to_owned()])) })
    }

    fn run(&self, lease: &Arc<Lease>, call: &[NamedTensor]) -> Result<Vec<Tensor>, InferenceError> {
        let (inputs, _) = self.alone.facts().arrange(call.to_vec())?;
        self.queue.run(lease, "m", inputs, Instant::now() + Duration::from_secs(60), &self.counters)
    }

    /// The answer of the backend without a queue.
    fn run_alone(&self, call: &[NamedTensor]) -> Result<Vec<Tensor>, InferenceError> {
        let (inputs, _) = self.alone.facts().arrange(call.to_vec())?;
        self.alone.run(inputs)
    }
}

/// Equal except for the rounding of sums.
fn is_the_same(one: &Result<Vec<Tensor>, InferenceError>, other: &Result<Vec<Tensor>, InferenceError>) -> bool {
    let (Ok(one), Ok(other)) = (one, other) else { return one.is_err() && other.is_err() };
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| match (one.data(), other.data()) {
            _ if one.shape() != other.shape() => false,
            (TensorData::F32(a), TensorData::F32(b)) => {
                a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5)
            }
            (a, b) => a == b,
        })
}

/// Calls a model from several leases at once; each answer must equal that of the backend alone.
fn answers_in_company_are_answers_alone(animal: &Animal, kept: &Kept, backend: &str) {
    thread::scope(|scope| {
        for token in 0..LEASES {
            scope.spawn(move || {
                let lease = Lease::held(token, "zoo", 10_000 / LEASES as u32, 0);
                let mut chance = Chance(0x51_7c_c1_b7_27_22_0a_95 ^ (token + 1));
                for _ in 0..CALLS {
                    let rows = 1 + chance.below(4);
                    let call = animal.call(rows, &mut chance);
                    let (got, expected) = (kept.run(&lease, &call), kept.run_alone(&call));
                    assert!(
                        is_the_same(&got, &expected),
                        "{backend}: {}: {got:?} in company, {expected:?} alone",
                        animal.name
                    );
                }
            });
        }
    });
}

#[test]
fn every_answer_in_company_is_the_answer_alone() {
    let zoo = zoo();
    assert!(zoo.len() >= 30, "{} animals", zoo.len());
    let backends: Vec<&'static str> = all().iter().map(|backend| backend.name()).collect();
    let mut together = 0;
    for animal in &zoo {
        let mut ran = 0;
        for backend in &backends {
            let Some(kept) = Kept::new(animal, backend, |spec| spec) else {
                println!("{backend} refuses the model {}", animal.name);
                continue;
            };
            ran += 1;
            let rows = kept.queue.rows("m").unwrap();
            assert_eq!(rows.is_certain(), animal.is_shown, "{backend}: {}: {rows}", animal.name);
            let batching = kept.queue.batching("m").unwrap();
            assert_eq!(batching.is_on(), animal.is_shown, "{backend}: {}: {batching}", animal.name);
            answers_in_company_are_answers_alone(animal, &kept, backend);
            let (calls, runs) = counted(&kept);
            assert!(animal.is_shown || calls == runs, "{backend}: {}: {calls} calls in {runs} runs", animal.name);
            together += u64::from(runs < calls);
        }
        assert!(ran > 0, "no backend runs {}", animal.name);
    }
    assert!(together > 5, "calls ran together in {together} of the cases");
}

/// Number of calls that ran, and number of runs.
fn counted(kept: &Kept) -> (u64, u64) {
    use sage_observe::DeviceReading as _;
    let numbers = kept.queue.read();
    let model = &numbers.models[0].1;
    (model.calls.get(), model.runs.get())
}

#[test]
fn a_call_of_more_than_max_rows_is_right_or_refused_whatever_its_settings_are() {
    let backends: Vec<&'static str> = all().iter().map(|backend| backend.name()).collect();
    for animal in &zoo() {
        for backend in &backends {
            for (batching, deterministic) in [(Some(false), false), (None, true)] {
                let settings = |spec| ModelSpec { batching, deterministic, ..spec };
                let Some(kept) = Kept::new(animal, backend, settings) else { continue };
                let lease = Lease::held(1, "zoo", 10_000, 0);
                for rows in [8, 9, 20] {
                    let call = animal.call(rows, &mut Chance(rows as u64));
                    let got = kept.run(&lease, &call);
                    let what = format!("{backend}: {}: {rows} rows: {got:?}", animal.name);
                    let is_cut = animal.is_shown
                        && kept.alone.facts().rows_of(&kept.alone.facts().arrange(call.clone()).unwrap().0).is_some();
                    if rows <= 8 || is_cut {
                        assert!(is_the_same(&got, &kept.run_alone(&call)), "{what}");
                        continue;
                    }
                    let Err(InferenceError::TooLarge { what: said, size, limit }) = &got else { panic!("{what}") };
                    assert_eq!((*size, *limit), (rows as u64, 8), "{what}");
                    assert!(said.contains("max_rows"), "{what}");
                }
            }
        }
    }
}

#[test]
fn the_owner_may_declare_rows_independent_or_each_call_whole() {
    let backends: Vec<&'static str> = all().iter().map(|backend| backend.name()).collect();
    let zoo = zoo();
    let named = |name: &str| zoo.iter().find(|animal| animal.name == name).unwrap();
    for backend in &backends {
        // The owner's declaration is wrong, and the host trusts it.
        let declared =
            Kept::new(named("CumSum over time"), backend, |spec| ModelSpec { rows: RowsChoice::Independent, ..spec });
        let declared = declared.unwrap();
        assert!(declared.queue.rows("m").unwrap().is_certain() && declared.queue.batching("m").unwrap().is_on());
        let whole = Kept::new(named("two layers"), backend, |spec| ModelSpec {
            rows: RowsChoice::Whole,
            batching: None,
            ..spec
        });
        let whole = whole.unwrap();
        assert!(!whole.queue.rows("m").unwrap().is_certain() && !whole.queue.batching("m").unwrap().is_on());
        let call = named("two layers").call(9, &mut Chance(3));
        let error = whole.run(&Lease::held(1, "zoo", 10_000, 0), &call).unwrap_err();
        let said = "rows of input \"x\" in one run (rows that are not shown or declared to be independent are \
            not cut; max_rows bounds it) are 9, at most 8 may be";
        assert_eq!(error.to_string(), said);
    }
}
