use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sage_batch::fields::Schema;
use sage_time::WindowRules;
use serde::{Deserialize, Serialize};

use super::{Compression, SinkText, TextSpec};

/// A component as the pipeline uses it.
#[derive(Debug, Clone)]
pub struct ComponentSpec {
    /// Path of the .wasm file; a relative path is resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// Configuration that `open` gets as JSON text. Always an object.
    pub config: serde_json::Value,
    /// Folders, variables, addresses and clock that the component may reach.
    pub capabilities: Capabilities,
    /// Whether the component may keep keyed state.
    pub keeps_state: bool,
    /// The windows of a component of kind window.
    pub windows: Option<WindowRules>,
}

/// Capabilities of a guest. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Folders of the host.
    pub folders: Vec<FolderGrant>,
    /// Environment variables with their values, which come from the pipeline file. Nothing is inherited from
    /// the host.
    pub environment: BTreeMap<String, String>,
    /// Addresses to which it may connect over TCP.
    pub connect: Vec<SocketAddr>,
    /// Precision of its clocks.
    pub clock: ClockPrecision,
}

/// A folder that a guest may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderGrant {
    /// Path on the host.
    pub host: PathBuf,
    /// Path under which the guest sees the folder.
    pub guest: String,
    /// Whether the guest may change the folder.
    pub write: bool,
}

/// Precision of a guest's clocks. Coarse clocks slow down timing attacks on neighbours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockPrecision {
    /// Whole milliseconds.
    #[default]
    Coarse,
    /// The precision of the machine's clock.
    Precise,
}

impl ClockPrecision {
    /// All values, with their names in a pipeline file.
    pub const NAMES: [(&'static str, Self); 2] = [("coarse", Self::Coarse), ("precise", Self::Precise)];
}

/// Resources of one instance, in Ray's terms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// CPUs. `None` means a share of the CPUs that are not leased.
    pub num_cpus: Option<CpuRequest>,
    /// Bytes of linear memories, tables and keyed state of the whole instance. `None` means the default cap.
    pub memory: Option<u64>,
    /// Devices, in 1/10,000.
    pub num_gpus: Option<u32>,
    /// Bytes of batches waiting on the instance's input edges.
    pub object_store_memory: Option<u64>,
    /// Custom resources that the host declares, in 1/10,000.
    pub custom: BTreeMap<String, u64>,
}

/// A request for CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuRequest {
    /// This number of CPUs for the instance alone, with one lane on each.
    Whole(u32),
    /// A share of one CPU, in 1/10,000 (1 to 9,999).
    Fraction(u32),
}

/// Limits of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time of one call. Waiting in the host or for a CPU does not count.
    pub cpu_time_per_call: Duration,
    /// Wall time of one call, waiting included.
    pub call_timeout: Duration,
    /// Log bytes per second. Bytes over the limit are dropped and counted; a flood fails the call.
    pub log_bytes_per_second: u64,
    /// Size of the largest record that the stage may send, in bytes.
    pub record_bytes: u64,
    /// Bytes that one call may send in all.
    pub output_bytes_per_call: u64,
    /// Restarts without a successful call in between, after which the pipeline fails.
    pub restarts_in_a_row: u32,
    /// Sink only: the longest time until records that the sink took must be durable. Zero means after each
    /// batch.
    pub flush_interval: Duration,
}

impl Limits {
    /// Memory cap of an instance that asks for none, in bytes.
    pub const DEFAULT_MEMORY: u64 = 256 << 20;
    /// Default of `object_store_memory`: bytes that may wait on an instance's inputs.
    pub const DEFAULT_EDGE_BYTES: u64 = 4 << 20;
    /// Shortest time limit. The clock that interrupts guests ticks every millisecond.
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

/// Error policy for a record that fails or is rejected, and for nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnError {
    /// The pipeline stops with that record's error.
    #[default]
    Fail,
    /// The record is counted and dropped.
    Skip,
    /// The record is appended to a file, with all known facts about it.
    DeadLetter(DeadLetters),
}

/// Settings of the file for dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetters {
    /// Path of the file.
    pub path: PathBuf,
    /// Largest size of the file in bytes, its present content included. A record whose letter does not fit
    /// stops the pipeline.
    pub max_bytes: u64,
}

impl DeadLetters {
    /// Default of the largest size, in bytes.
    pub const DEFAULT_MAX_BYTES: u64 = 1 << 30;
    /// Smallest allowed `max_bytes`: one letter with its message fits.
    pub const LEAST_MAX_BYTES: u64 = 64 << 10;
}

/// A built-in source.
#[derive(Debug, Clone)]
pub enum SourceSpec {
    /// Files of text.
    File(FileSourceSpec),
    /// Files; each is one record, unchanged.
    WholeFiles(WholeFilesSpec),
    /// Standard input.
    Stdin(TextSpec),
    /// Generated records.
    Generate(GenerateSpec),
    /// Batches of another program, over a socket.
    Socket(SocketSpec),
    /// A source that an embedder provides from Rust under this name.
    Provided(String),
}

/// A built-in sink.
#[derive(Debug, Clone)]
pub enum SinkSpec {
    /// A file, which is complete only when the run is complete.
    File(FileSinkSpec),
    /// Standard output.
    Stdout(SinkText),
    /// Records are counted and discarded.
    Discard,
    /// Batches to another program, over a socket.
    Socket(SocketSinkSpec),
    /// A sink that an embedder provides from Rust under this name.
    Provided(String),
}

/// Files to read.
#[derive(Debug, Clone)]
pub struct FileSourceSpec {
    /// A path or a glob pattern, resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// Format of the records in the files.
    pub text: TextSpec,
    /// Whether the source waits for more lines and files when it has read all of them.
    pub follow: bool,
}

/// Files that are read unchanged, one record each: the payload is the file's content, the key is its path.
#[derive(Debug, Clone)]
pub struct WholeFilesSpec {
    /// A path or a glob pattern, resolved against the pipeline file's folder.
    pub path: PathBuf,
    /// The pipeline file's folder. The key of a file below it is the relative path, as the pipeline file would
    /// spell it.
    pub base: PathBuf,
    /// Whether an unreadable file is skipped at the start. The run reports it later; it does not prevent the
    /// start.
    pub tolerant: bool,
}

/// A program that gives batches.
#[derive(Debug, Clone)]
pub struct SocketSpec {
    /// Path of the unix socket at which the program listens.
    pub path: PathBuf,
    /// Fields of the columns that the program gives. `None`: it gives payloads.
    pub schema: Option<Arc<Schema>>,
}

/// A program that takes batches.
#[derive(Debug, Clone)]
pub struct SocketSinkSpec {
    /// Path of the unix socket at which the program listens.
    pub path: PathBuf,
    /// Whether the program gets columns or text, and of which fields.
    pub text: SinkText,
}

/// A file to write.
#[derive(Debug, Clone)]
pub struct FileSinkSpec {
    /// Path of the finished file.
    pub path: PathBuf,
    /// Compression of the file.
    pub compression: Compression,
    /// The form of the records in the file.
    pub text: SinkText,
    /// How records come to lie under the path.
    pub shape: OutputShape,
}

/// How the records of a sink come to lie under its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputShape {
    /// In one new file, which has its name when the run is complete.
    Whole,
    /// Behind what the file holds.
    Appended,
    /// In parts, each under a name of its own: the path has [`RollSpec::PLACE`] for the number.
    Parts(RollSpec),
}

/// When a part of an output is closed: what comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollSpec {
    /// Bytes of the file, after the batch of records that reaches them.
    pub size: Option<u64>,
    /// Time since its first record.
    pub every: Option<Duration>,
    /// Time since its last record.
    pub idle: Option<Duration>,
}

impl RollSpec {
    /// The place in a path where the number of a part goes.
    pub const PLACE: &str = "{part}";
}

/// Generated records; the same seed gives the same records.
#[derive(Debug, Clone)]
pub struct GenerateSpec {
    /// Number of records. `None` continues until the pipeline is stopped.
    pub count: Option<u64>,
    /// Records per second. `None` is as fast as the pipeline takes them.
    pub rate: Option<u64>,
    /// Bytes of each payload.
    pub payload_bytes: u32,
    /// Number of different keys. `None` makes records without keys.
    pub keys: Option<u64>,
    /// Seed of the sequence.
    pub seed: u64,
    /// Event times of the records. `None` makes records without.
    pub times: Option<GeneratedTimes>,
}

/// Event times of generated records, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedTimes {
    /// Time of the first record, since the Unix epoch.
    pub start: i64,
    /// Time between two records.
    pub step: i64,
    /// Most that a record is earlier than its place in the sequence.
    pub disorder: i64,
}
