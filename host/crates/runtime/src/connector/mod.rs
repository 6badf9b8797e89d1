//! Built-in sources and sinks, and the two traits behind them, which embedders may implement too.
//!
//! The engine pulls a source on a thread of its own; the source fills one batch at a time. The engine hands
//! batches to a sink in order. Neither knows of edges, lanes or retries.
//!
//! Text flows through `Counted` (counts the bytes, and waits for them) → `Input` (decompresses, by the first bytes) →
//! `TextInput` (decodes to UTF-8) → `LineReader` (lines within the limit) → format (lines, JSON lines, `CsvRows`) →
//! batch. If fields of CSV are read, the batch gets the rows as they came, and `ReadFields` the columns. `Stamps` adds
//! key, time and headers if they are configured, and `FilePlaces` notes the line of every record. Records leave through
//! `RecordWriter` and `Packed`.
//!
//! Input that cannot be read is an error. The error says how much is lost: a record, or the rest of a file. The
//! caller decides whether the source continues.
//!
//! `SocketSource` and `SocketSink` exchange whole batches with a program that listens at a unix socket: payloads, or
//! columns, which need neither parsing nor printing.
//!
//! `WholeFiles` reads files unchanged instead, one record each.
//!
//! Before any file is opened, `compare_paths` finds the file to which every path of the run leads (`identity`),
//! patterns included (`find_files`), and refuses two paths that meet. Outputs are checked at that time too
//! (`output_place`). An output is written as a new file beside its place (`partial_file`) and takes its name at
//! the end.
//!
//! Invariants:
//!
//! - No line, row, file or record can make the memory here grow past `limits.record_bytes` and a constant.
//! - Errors of opening come before any record.
//! - No run writes to a file that it reads.
//! - An output file has its name only when it is complete.
//! - A record that would be read back as two records is not written.

mod append_journal;
mod appending_sink;
mod counted;
mod csv_bad_row;
mod csv_columns;
#[cfg(test)]
mod csv_fields_tests;
mod csv_row_text;
mod csv_rows;
mod csv_text;
mod dead_letter;
mod dead_letter_file;
mod discard_sink;
mod escaped;
mod event_time;
mod file_output;
mod file_sink;
mod find_files;
mod fingerprint;
mod follow_source;
mod followed_file;
mod followed_position;
mod generate;
mod gzip_members;
mod identity;
mod in_memory;
mod input;
mod json_fields;
mod json_line;
mod json_string;
mod json_text;
mod layout;
mod line_output;
mod line_reader;
mod magic;
mod meetings;
#[cfg(test)]
mod meetings_tests;
mod open;
mod open_text;
mod output_place;
mod packed;
mod part_folder;
mod part_names;
mod partial_file;
mod partial_path;
mod path_end;
mod path_guard;
mod path_use;
mod pattern;
mod pattern_walk;
mod peeking;
mod places;
mod port;
mod read_fields;
mod record_writer;
mod refusal;
mod rfc3339;
mod rolling_sink;
mod room;
mod row_cells;
mod run_folders;
mod saved_files;
mod saved_output;
mod saved_parts;
mod socket_sink;
mod socket_source;
mod stamps;
mod standard_streams;
mod stdout_sink;
mod text_input;
mod text_source;
mod whole_files;
mod zstd_frames;

pub use dead_letter::DeadLetter;
pub use dead_letter_file::DeadLetterFile;
pub use in_memory::{CollectSink, Collected, IterSource};
pub(crate) use layout::csv_form;
pub use meetings::compare_paths;
pub use open::{open_sink, open_source};
pub use path_guard::PathGuard;
pub use path_use::{PathRole, PathUse, StandardStreams};
pub use port::{
    Committer, ConnectorError, Extent, Filled, Places, Sink, SinkOutcome, SinkStart, Source, SourceProgress, Unreadable,
};
pub use read_fields::ReadFields;
pub(crate) use read_fields::written;
pub use standard_streams::{note_closed_streams, require_output};
