use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::contained::contained;
use super::{Backend, LoadOptions, LoadedModel};
use crate::{DType, Dimension, InferenceError, ModelFacts, Tensor, TensorSpec};
use sage_plan::GraphRows;
use sage_plan::config::{UnitError, parse_duration, parse_size};

/// A backend that runs no models. The backend returns rows unchanged, and fails as its model file says. The
/// uses are tests, and trials of a pipeline with a failing device.
///
/// The model's file is TOML. All keys except the input are optional:
///
/// ```toml
/// input = "f32[rows, 4]"          # of "x"; "y" is the same
/// memory = "64MiB"                # claimed, never allocated; above the model's limit, loading is out of memory
/// latency_per_run = "1ms"         # time that a run sleeps
/// latency_per_row = "10us"
/// out_of_memory_over_rows = 32    # a run of more rows is out of memory
/// fail_after = 3                  # every run after three is an error of the backend
/// panic_after = 3                 # ... or a panic in it
/// hang_after = 3                  # ... or does not return
/// crash_after = 3                 # ... or ends the process; only for a device with a process of its own
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Fake {
    may_crash: bool,
}

impl Fake {
    /// A backend in the host's own process, which refuses a model that would end the process.
    #[must_use]
    pub fn here() -> Self {
        Self { may_crash: false }
    }

    /// A backend in a process of the device's own.
    #[must_use]
    pub fn in_its_own_process() -> Self {
        Self { may_crash: true }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    input: String,
    memory: Option<String>,
    latency_per_run: Option<String>,
    latency_per_row: Option<String>,
    out_of_memory_over_rows: Option<usize>,
    fail_after: Option<u64>,
    panic_after: Option<u64>,
    hang_after: Option<u64>,
    crash_after: Option<u64>,
}

impl Backend for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn load(&self, model: &[u8], options: &LoadOptions) -> Result<Box<dyn LoadedModel>, InferenceError> {
        let refused = |reason: String| InferenceError::Unsupported(format!("the fake model: {reason}"));
        let unit = |error: UnitError| refused(error.to_string());
        let text = std::str::from_utf8(model).map_err(|error| refused(error.to_string()))?;
        let told: Told = toml::from_str(text).map_err(|error| refused(error.message().to_owned()))?;
        if told.crash_after.is_some() && !self.may_crash {
            return Err(refused("crash_after would end the host: its device needs a process of its own".to_owned()));
        }
        let (dtype, shape) = of_words(&told.input)
            .ok_or_else(|| refused(format!("input is \"{}\", not such as \"f32[rows, 4]\"", told.input)))?;
        let spec = |name: &str| TensorSpec { name: name.to_owned(), dtype, shape: shape.clone() };
        let duration = |written: Option<&String>| written.map_or(Ok(Duration::ZERO), |written| parse_duration(written));
        let weight_bytes = told.memory.as_deref().map_or(Ok(0), parse_size).map_err(unit)?;
        if let Some(limit) = options.memory.filter(|limit| weight_bytes > *limit) {
            return Err(InferenceError::OutOfMemory(format!("{weight_bytes} bytes are wanted, {limit} may be taken")));
        }
        Ok(Box::new(Loaded {
            facts: ModelFacts {
                inputs: vec![spec("x")],
                outputs: vec![spec("y")],
                weight_bytes,
                rows: GraphRows::MadeUp,
            },
            per_run: duration(told.latency_per_run.as_ref()).map_err(unit)?,
            per_row: duration(told.latency_per_row.as_ref()).map_err(unit)?,
            runs: AtomicU64::new(0),
            told,
        }))
    }
}

#[derive(Debug)]
struct Loaded {
    facts: ModelFacts,
    per_run: Duration,
    per_row: Duration,
    /// Runs that have begun so far.
    runs: AtomicU64,
    told: Told,
}

impl LoadedModel for Loaded {
    fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, InferenceError> {
        let before = self.runs.fetch_add(1, Ordering::Relaxed);
        let is_over = |after: Option<u64>| after.is_some_and(|after| before >= after);
        let rows = inputs.first().map_or(0, Tensor::rows);
        thread::sleep(self.per_run + self.per_row.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX)));
        if is_over(self.told.crash_after) {
            std::process::abort();
        }
        while is_over(self.told.hang_after) {
            thread::park();
        }
        if is_over(self.told.panic_after) {
            #[expect(clippy::panic, reason = "that is what it was told to do, and it is contained")]
            return contained("running the model", || panic!("after {before} runs, as told"));
        }
        if is_over(self.told.fail_after) {
            return Err(InferenceError::Backend(format!("failed after {before} runs, as told")));
        }
        match self.told.out_of_memory_over_rows {
            Some(most) if rows > most => {
                Err(InferenceError::OutOfMemory(format!("{rows} rows, memory is there for {most}")))
            }
            _ => Ok(inputs),
        }
    }
}

/// Parses a type and a shape, in the format that [`TensorSpec`] displays.
fn of_words(words: &str) -> Option<(DType, Vec<Dimension>)> {
    let (name, rest) = words.split_once('[')?;
    let dtype = DType::ALL.into_iter().find(|dtype| dtype.name() == name.trim())?;
    let inside = rest.trim_end().strip_suffix(']')?.trim();
    let sizes = inside.split(',').map(str::trim).filter(|_| !inside.is_empty());
    let dimension = |size: &str| match size.parse() {
        Ok(size) => Some(Dimension::Fixed(size)),
        Err(_) if size.is_empty() || size.starts_with('-') => None,
        Err(_) => Some(Dimension::free(size)),
    };
    Some((dtype, sizes.map(dimension).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorData;

    const OPTIONS: LoadOptions = LoadOptions { threads: 1, memory: Some(1 << 20) };

    fn load(text: &str) -> Result<Box<dyn LoadedModel>, InferenceError> {
        Fake::here().load(text.as_bytes(), &OPTIONS)
    }

    fn rows(count: usize) -> Vec<Tensor> {
        vec![Tensor::new(vec![count, 2], TensorData::U8(vec![7; count * 2])).unwrap()]
    }

    #[test]
    fn rows_come_back_as_they_went() {
        let model = load("input = \"u8[rows, 2]\"").unwrap();
        assert_eq!(model.facts().first_dimensions_are_free(), Ok(()));
        assert_eq!(model.facts().inputs[0].to_string(), "u8[rows, 2]");
        assert_eq!(model.run(rows(3)), Ok(rows(3)));
    }

    #[test]
    fn it_goes_wrong_as_it_is_told() {
        let cases = [
            ("out_of_memory_over_rows = 2", "the device is out of memory: 3 rows, memory is there for 2"),
            ("fail_after = 0", "the backend failed: failed after 0 runs, as told"),
            ("panic_after = 0", "the backend failed: it panicked running the model: after 0 runs, as told"),
        ];
        for (line, message) in cases {
            let model = load(&format!("input = \"u8[rows, 2]\"\n{line}")).unwrap();
            assert_eq!(model.run(rows(3)).unwrap_err().to_string(), message);
        }
        let model = load("input = \"u8[rows, 2]\"\nfail_after = 2").unwrap();
        let fine: Vec<bool> = (0..4).map(|_| model.run(rows(1)).is_ok()).collect();
        assert_eq!(fine, [true, true, false, false]);
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let cases = [
            ("\0\u{1}", "not supported: the fake model: "),
            ("input = \"f33[1]\"", "not supported: the fake model: input is \"f33[1]\", not such as \"f32[rows, 4]\""),
            ("input = \"f32[rows, -1]\"", "not supported: the fake model: input is "),
            ("input = \"u8[]\"\nsped = 1", "not supported: the fake model: unknown field `sped`"),
            ("input = \"u8[]\"\nlatency_per_run = \"soon\"", "not supported: the fake model: "),
            ("input = \"u8[]\"\nmemory = \"2MiB\"", "the device is out of memory: 2097152 bytes are wanted"),
            ("input = \"u8[]\"\ncrash_after = 1", "not supported: the fake model: crash_after would end the host"),
        ];
        for (text, begin) in cases {
            let said = load(text).map(|_| ()).unwrap_err().to_string();
            assert!(said.starts_with(begin), "{text}: {said}");
        }
        let crashing = b"input = \"u8[]\"\ncrash_after = 1";
        assert!(Fake::in_its_own_process().load(crashing, &OPTIONS).is_ok());
    }
}
