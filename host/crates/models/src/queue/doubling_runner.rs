//! A runner whose runs a test holds and lets go.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::{DType, Dimension, InferenceError, Lease, ModelFacts, RunAnswer, Runner, Tensor, TensorData, TensorSpec};
use sage_plan::config::BackendChoice;
use sage_plan::{GraphRows, ModelSpec, RowsChoice};

/// Doubles numbers. A row of 13 fails its run, one of 66 panics, one of 99 loses the device.
#[derive(Debug, Default)]
pub(super) struct Doubling {
    pub(super) slots: usize,
    pub(super) gate: Gate,
    pub(super) closed: AtomicUsize,
    /// The rows of each run.
    pub(super) runs: Mutex<Vec<Vec<i32>>>,
}

/// Holds runs until it is opened.
#[derive(Debug, Default)]
pub(super) struct Gate {
    inside: Mutex<GateInside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateInside {
    shut: bool,
    held: usize,
}

impl Gate {
    pub(super) fn shut(&self) {
        self.inside.lock().unwrap().shut = true;
    }

    pub(super) fn open(&self) {
        self.inside.lock().unwrap().shut = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.held += 1;
        self.changed.notify_all();
        let mut inside = self.changed.wait_while(inside, |inside| inside.shut).unwrap();
        inside.held -= 1;
    }

    /// Number of runs that are held.
    pub(super) fn held(&self) -> usize {
        self.inside.lock().unwrap().held
    }

    /// Waits until so many runs are held.
    pub(super) fn wait_for(&self, runs: usize) {
        let inside = self.inside.lock().unwrap();
        drop(self.changed.wait_while(inside, |inside| inside.held < runs).unwrap());
    }
}

impl Runner for Doubling {
    fn slots(&self) -> usize {
        self.slots.max(1)
    }

    fn load(&self, model: &ModelSpec, _until: Instant) -> Result<ModelFacts, InferenceError> {
        if model.name == "broken" {
            panic!("no such operator");
        }
        let rows = || if model.name == "whole" { Dimension::Fixed(1) } else { Dimension::Free("batch".to_owned()) };
        let by_graph = match model.name.as_str() {
            "graph" | "wrong" => GraphRows::ByOperators,
            _ => GraphRows::MadeUp,
        };
        let spec = |name: &str| TensorSpec { name: name.to_owned(), dtype: DType::I32, shape: vec![rows()] };
        Ok(ModelFacts { inputs: vec![spec("x")], outputs: vec![spec("y")], weight_bytes: 10, rows: by_graph })
    }

    fn run(&self, model: &str, inputs: Vec<Tensor>, _until: Instant) -> Result<RunAnswer, InferenceError> {
        let TensorData::I32(rows) = inputs[0].data() else { panic!("another type") };
        self.gate.pass();
        self.runs.lock().unwrap().push(rows.clone());
        for (row, error) in [
            (13, InferenceError::Backend("a bad row".to_owned())),
            (99, InferenceError::DeviceLost("it fell off the bus".to_owned())),
        ] {
            if rows.contains(&row) {
                return Err(error);
            }
        }
        assert!(!rows.contains(&66), "a row of 66");
        // What no graph should say of it: its answer for a row depends on how many there are.
        let more = if model == "wrong" { rows.len() as i32 } else { 0 };
        let doubled: Vec<i32> = rows.iter().map(|row| row * 2 + more).collect();
        let time = Duration::from_micros(100 + 10 * rows.len() as u64);
        Ok(RunAnswer { outputs: vec![tensor(doubled)], wall: time, cpu: time / 2 })
    }

    fn memory_used(&self) -> Option<u64> {
        Some(10)
    }

    fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn tensor(rows: Vec<i32>) -> Tensor {
    Tensor::new(vec![rows.len()], TensorData::I32(rows)).unwrap()
}

pub(super) fn spec(name: &str) -> ModelSpec {
    ModelSpec {
        name: name.to_owned(),
        path: "m.onnx".into(),
        sha256: None,
        backend: BackendChoice::Auto,
        rows: RowsChoice::Shown,
        graph_rows: None,
        max_rows: 4,
        max_delay: Duration::ZERO,
        batching: Some(true),
        deterministic: false,
        workspace: 0,
    }
}

pub(super) fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

pub(super) fn lease(token: u64) -> Arc<Lease> {
    Lease::held(token, "cpu0", 5_000, 0)
}
