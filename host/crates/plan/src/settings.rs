use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Compression, GraphRows, TextSpec};
use crate::config::{BackendChoice, RowsChoice};

/// A component as the pipeline uses it.
#[derive(Debug, Clone)]
pub struct ComponentSpec {
    /// The .wasm file; relative paths are resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// What `open` gets as JSON text. Always an object.
    pub config: serde_json::Value,
    /// What it may reach outside its memory.
    pub capabilities: Capabilities,
    /// Whether it may keep keyed state.
    pub keeps_state: bool,
}

/// What a guest may reach. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Folders of the host.
    pub folders: Vec<FolderGrant>,
    /// Environment variables with their values, which come from the pipeline file: nothing is inherited from the host.
    pub environment: BTreeMap<String, String>,
    /// Addresses it may connect to over TCP.
    pub connect: Vec<SocketAddr>,
    /// How finely it may tell time.
    pub clock: ClockPrecision,
}

/// A folder that a guest may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderGrant {
    /// Where it is on the host.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
    /// Whether the guest may change it.
    pub write: bool,
}

/// How finely a guest may tell time. Coarse clocks make timing attacks on neighbours slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockPrecision {
    /// Whole milliseconds.
    #[default]
    Coarse,
    /// What the machine has.
    Precise,
}

impl ClockPrecision {
    /// All, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 2] = [("coarse", Self::Coarse), ("precise", Self::Precise)];
}

/// What one instance gets, in Ray's words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// CPUs; `None` shares what is not leased.
    pub num_cpus: Option<CpuRequest>,
    /// Bytes of linear memories, tables and keyed state of the whole instance; `None` is the default cap.
    pub memory: Option<u64>,
    /// Devices, in 1/10,000.
    pub num_gpus: Option<u32>,
    /// Bytes of batches waiting on the instance's input edges.
    pub object_store_memory: Option<u64>,
    /// Custom resources that the host declares, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
}

/// How much CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuRequest {
    /// This many CPUs to itself, one lane on each.
    Whole(u32),
    /// A share of one CPU, in 1/10,000 (1 to 9,999).
    Fraction(u32),
}

/// What a call may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time of one call; waiting in the host or for a CPU does not count.
    pub cpu_time_per_call: Duration,
    /// Wall time of one call, waiting included.
    pub call_timeout: Duration,
    /// Log bytes a second; what goes over is dropped and counted, a flood fails the call.
    pub log_bytes_per_second: u64,
    /// The largest single record that the stage may send.
    pub record_bytes: u64,
    /// Everything that one call may send.
    pub output_bytes_per_call: u64,
    /// Restarts in a row, without a successful call between them, after which the pipeline fails.
    pub restarts_in_a_row: u32,
    /// sink: how long what it took may wait to be made durable; zero is after each batch.
    pub flush_interval: Duration,
}

impl Limits {
    /// The memory cap of an instance that asks for none.
    pub const DEFAULT_MEMORY: u64 = 256 << 20;
    /// The bytes that may wait on an instance's inputs where `object_store_memory` is not given.
    pub const DEFAULT_EDGE_BYTES: u64 = 4 << 20;
    /// The shortest time limit: the clock that stops guests ticks every millisecond.
    pub const SHORTEST: Duration = Duration::from_millis(5);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_time_per_call: Duration::from_secs(1),
            call_timeout: Duration::from_secs(60),
            log_bytes_per_second: 64 << 10,
            record_bytes: 4 << 20,
            output_bytes_per_call: 64 << 20,
            restarts_in_a_row: 100,
            flush_interval: Duration::from_secs(1),
        }
    }
}

/// What becomes of a record that fails or is rejected (and of nothing else).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnError {
    /// The pipeline stops with that record's error.
    #[default]
    Fail,
    /// The record is counted and forgotten.
    Skip,
    /// The record is appended to a file with everything known about it.
    DeadLetter(DeadLetters),
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// The file.
    pub path: PathBuf,
    /// How long it may get, with what is in it already. The record whose letter does not fit stops the pipeline.
    pub max_bytes: u64,
}

impl DeadLetters {
    /// The bound where the pipeline file sets none.
    pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;
    /// The least bound: a letter with its message fits.
    pub const LEAST_MAX_BYTES: u64 = 64 << 10;
}

/// A built-in source.
#[derive(Debug, Clone)]
pub enum SourceSpec {
    /// Files of text.
    File(FileSourceSpec),
    /// Files, each a record as it is.
    WholeFiles(WholeFilesSpec),
    /// Standard input.
    Stdin(TextSpec),
    /// Made-up records.
    Generate(GenerateSpec),
    /// A source handed over from Rust under this name (embedding).
    Provided(String),
}

/// A built-in sink.
#[derive(Debug, Clone)]
pub enum SinkSpec {
    /// A file, complete only when the run is.
    File(FileSinkSpec),
    /// Standard output, a line a record.
    Stdout,
    /// Nowhere; records are counted.
    Discard,
    /// A sink handed over from Rust under this name (embedding).
    Provided(String),
}

/// Files to read.
#[derive(Debug, Clone)]
pub struct FileSourceSpec {
    /// A path or a glob pattern, resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// How records lie in them.
    pub text: TextSpec,
}

/// Files to take as they are, one record each: its payload is what is in the file, its key the path.
#[derive(Debug, Clone)]
pub struct WholeFilesSpec {
    /// A path or a glob pattern, resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// The pipeline file's folder: paths below it are told without it, as the pipeline file would write them.
    pub base: PathBuf,
    /// A file that cannot be read is passed over: it is the run's to report, not a reason not to begin.
    pub tolerant: bool,
}

/// A file to write.
#[derive(Debug, Clone)]
pub struct FileSinkSpec {
    /// Where the finished file goes.
    pub path: PathBuf,
    /// How it is packed.
    pub compression: Compression,
}

/// Made-up records, the same for the same seed.
#[derive(Debug, Clone)]
pub struct GenerateSpec {
    /// How many; `None` goes on until the pipeline is stopped.
    pub count: Option<u64>,
    /// Records a second; `None` is as fast as the pipeline takes them.
    pub rate: Option<u64>,
    /// Bytes of each payload.
    pub payload_bytes: u32,
    /// How many different keys; `None` makes records without keys.
    pub keys: Option<u64>,
    /// Where the sequence starts.
    pub seed: u64,
}

/// A model that operators may run, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// What guests call it.
    pub name: String,
    /// The ONNX file.
    pub path: PathBuf,
    /// What the file must hash to; `None` takes it as it is.
    pub sha256: Option<[u8; 32]>,
    /// Which library runs it.
    pub backend: BackendChoice,
    /// Whether rows of calls may be put together and taken apart.
    pub rows: RowsChoice,
    /// What its file shows of its rows, where somebody has looked before it is loaded.
    pub graph_rows: Option<GraphRows>,
    /// Rows that one run gets at most. Larger calls are cut where that may be, and refused elsewhere.
    pub max_rows: u32,
    /// How long a call may wait for others to be put together with.
    pub max_delay: Duration,
    /// Whether calls are put together by rows; `None` measures when it is loaded what is faster.
    pub batching: Option<bool>,
    /// Each call runs alone, so that a row's answer never depends on its company.
    pub deterministic: bool,
    /// Bytes of device memory beside its weights while it runs.
    pub workspace: u64,
}

impl ModelSpec {
    /// Whether both are one file for one library, with the same memory: a device loads it once. Only known once the file's digest is.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.sha256.is_some()
            && (self.sha256, self.backend, self.workspace) == (other.sha256, other.backend, other.workspace)
    }

    /// Whether both are one model under two names: their calls run together, and cost the same.
    #[must_use]
    pub fn is_same_model(&self, other: &Self) -> bool {
        self.is_same_file(other)
            && Self { name: other.name.clone(), path: other.path.clone(), ..self.clone() } == *other
    }

    /// The first of some models that is alike, or this one.
    #[must_use]
    pub fn first_alike<'a>(&'a self, models: &'a [Self], alike: fn(&Self, &Self) -> bool) -> &'a Self {
        models.iter().find(|other| alike(self, other)).unwrap_or(self)
    }
}
