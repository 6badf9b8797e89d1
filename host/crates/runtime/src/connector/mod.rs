//! Built-in sources and sinks, and the two traits behind them, which embedders may implement too.
//!
//! A source is pulled by the engine on a thread of its own and fills a batch at a time; a sink is handed batches in order.
//! Neither knows of edges, lanes or retries.
//!
//! Text flows `Counted` (bytes, waited for, all of them) → `Input` (unpacked, by their first bytes) → `TextInput` (decoded to UTF-8) →
//! `LineReader` (lines within the limit) → format (lines, JSON lines, `CsvRows`) → batch, with key, time and headers where `Stamps` are
//! asked for; and every record's line is noted in `FilePlaces`. Out again through `RecordWriter` and `Packed`.
//!
//! What cannot be read is an error that says how much it takes with it: a record, or the rest of a file. Whether the source goes on is not decided
//! here.
//!
//! `WholeFiles` takes files as they are instead, a record each.
//!
//! Before anything is opened, `compare_paths` finds out which file every path of the run leads to (`identity`), patterns included (`find_files`), and refuses
//! two that meet. An output is looked at then too (`output_place`); it is written as a new file beside its place (`partial_file`) and takes its name at the end.
//!
//! Invariants: no line, row, file or record can make the memory here grow past `limits.record_bytes` and a constant; opening
//! errors come before any record; no run writes to a file that it reads; an output file has its name only when it is whole; no record is written that would be read
//! back as two.

mod counted;
mod csv_columns;
mod csv_rows;
mod csv_text;
mod dead_letter;
mod dead_letter_file;
mod discard_sink;
mod escaped;
mod event_time;
mod file_sink;
mod find_files;
mod generate;
mod gzip_members;
mod identity;
mod in_memory;
mod input;
mod json_fields;
mod json_line;
mod json_text;
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
mod partial_file;
mod path_end;
mod path_guard;
mod path_use;
mod pattern;
mod pattern_walk;
mod peeking;
mod places;
mod port;
mod record_writer;
mod refusal;
mod rfc3339;
mod room;
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
pub use meetings::compare_paths;
pub use open::{open_sink, open_source};
pub use path_guard::PathGuard;
pub use path_use::{PathRole, PathUse, StandardStreams};
pub use port::{ConnectorError, Extent, Filled, Places, Sink, SinkOutcome, Source, SourceProgress, Unreadable};
pub use standard_streams::{note_closed_streams, require_output};
