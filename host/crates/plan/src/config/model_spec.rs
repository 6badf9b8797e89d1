use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::GraphRows;

/// A model that operators may run, as declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Name by which guests open the model.
    pub name: String,
    /// Path of the ONNX file.
    pub path: PathBuf,
    /// SHA-256 digest that the file must have. `None` accepts any file.
    pub sha256: Option<[u8; 32]>,
    /// Library that runs the model.
    pub backend: BackendChoice,
    /// Whether the rows of calls may be combined and split.
    pub rows: RowsChoice,
    /// The dependence between rows that the model's file shows, if it was analysed before loading.
    pub graph_rows: Option<GraphRows>,
    /// Rows of one run at most. A larger call is split if its rows are independent, and refused otherwise.
    pub max_rows: u32,
    /// Longest time that a call waits for other calls to be batched with.
    pub max_delay: Duration,
    /// Whether calls are batched by rows. `None` measures, when the model is loaded, whether batching is
    /// faster.
    pub batching: Option<bool>,
    /// Whether each call runs alone, so that a row's answer never depends on other rows in the run.
    pub deterministic: bool,
    /// Bytes of device memory that a run takes beside the weights.
    pub workspace: u64,
}

impl ModelSpec {
    /// Whether both are the same file for the same library with the same memory, so that a device loads it
    /// once. False until the file's digest is known.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.sha256.is_some()
            && (self.sha256, self.backend, self.workspace) == (other.sha256, other.backend, other.workspace)
    }

    /// Whether both are the same model under two names: their calls run together, and cost the same.
    #[must_use]
    pub fn is_same_model(&self, other: &Self) -> bool {
        self.is_same_file(other)
            && Self { name: other.name.clone(), path: other.path.clone(), ..self.clone() } == *other
    }

    /// The first of `models` that is alike, or this model.
    #[must_use]
    pub fn first_alike<'a>(&'a self, models: &'a [Self], alike: fn(&Self, &Self) -> bool) -> &'a Self {
        models.iter().find(|other| alike(self, other)).unwrap_or(self)
    }
}

/// Library that runs a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendChoice {
    /// The default of the device: ONNX Runtime on a CUDA device, tract on a CPU device that names no library.
    #[default]
    Auto,
    /// tract.
    Tract,
    /// ONNX Runtime.
    Onnxruntime,
    /// No library: the model is simulated. Only on a device of kind `fake`, which runs no other models.
    Fake,
}

impl BackendChoice {
    /// All values, with their names in a file.
    pub const NAMES: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("tract", Self::Tract), ("onnxruntime", Self::Onnxruntime), ("fake", Self::Fake)];
}

impl BackendChoice {
    /// The name in a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, choice)| *choice == self).map_or("auto", |(name, _)| name)
    }
}

/// Whether the rows of a model's calls may be combined with rows of other calls, and split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowsChoice {
    /// Allowed if the host shows that the rows are independent: from the operators of the model's graph, and by
    /// a test with random rows among random other rows when the model is loaded.
    #[default]
    Shown,
    /// Allowed: the model's owner states that no row's answer depends on another row.
    Independent,
    /// Not allowed: each call runs whole and alone.
    Whole,
}

impl RowsChoice {
    /// All values, with their names in a file.
    pub const NAMES: [(&'static str, Self); 3] =
        [("shown", Self::Shown), ("independent", Self::Independent), ("whole", Self::Whole)];
}
