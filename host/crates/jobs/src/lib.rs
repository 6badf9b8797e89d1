//! The folder of a job, and the messages of its control socket.
//!
//! A job is a pipeline that a server runs for someone. Each job has a process of its own, which goes on when the
//! server ends. The two know each other by files only, and by a socket for what cannot wait for a file:
//!
//! | file | writer | contents |
//! |---|---|---|
//! | `rev/N/` | server | one revision: the pipeline file and the files that came with it |
//! | `rev/N/check.json` | check | [`JobCheck`]: what is known without running it |
//! | `order.json` | server | [`JobOrder`]: what the next attempt runs |
//! | `alive.lock` | job | [`AliveLock`]: locked by the job's process for its whole life |
//! | `status.json` | job | [`JobStatus`]: what the attempt does now |
//! | `end.json` | job | [`JobEnd`]: how the attempt ended, on disk before the lock is released |
//! | `logs/N.jsonl` | job | [`LogLine`]: messages of operators and of the host, over all attempts |
//!
//! Invariants:
//!
//! - A job lives exactly as long as its lock is held. Nobody concludes anything from the number of a process.
//! - A file has one writer, and a reader never sees a half of it: it is written beside its name, synced and renamed.
//! - Each file names its version and its attempt. A status or an end of another attempt is not one of this attempt.

mod alive_lock;
mod begin;
mod check;
mod clock;
mod control;
mod control_reader;
mod error;
mod file_signature;
mod folder;
mod give_over;
mod job_end;
mod json_file;
mod log_files;
mod log_line;
mod log_reader;
mod log_writer;
mod order;
mod plain_file;
mod secret_file;
mod status;
mod version;

pub use alive_lock::AliveLock;
pub use begin::{begin, last_attempt};
pub use check::{JobCheck, Objection, RestartClass};
pub use clock::now;
pub use control::{ControlAnswer, ControlRequest, LONGEST_MESSAGE};
pub use control_reader::{ControlReader, LONGEST_REQUEST, RequestError};
pub use error::JobError;
pub use file_signature::FileSignature;
pub use folder::JobFolder;
pub use give_over::GiveFor;
pub use job_end::{JobEnd, JobOutcome};
pub use json_file::{read_json, replace_json, write_json};
pub use log_files::LogFile;
pub use log_line::{LogLevel, LogLine, LogOrigin};
pub use log_reader::{LogItem, LogReader};
pub use log_writer::{JobLog, LogMessage};
pub use order::{JobIsolation, JobOrder, OrderFolder, OrderUser};
pub use secret_file::SecretFile;
pub use status::{JobStage, JobState, JobStatus};
pub use version::{VERSION, is_known_version};
