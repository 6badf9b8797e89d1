//! The pipeline file and `host.toml` as they were written, with the place of every value. Whether the values
//! make sense together is checked later.
//!
//! Flow: bytes → [`parse`] → [`Parsed`], which holds a [`Pipeline`] with all readable parts, and
//! [`Diagnostics`] with every error. `plan::validate` takes the pipeline, complete or not, and finds errors
//! between its parts. The user sees both lists together. [`parse_host`] does the same for `host.toml`, which
//! needs no second check.
//!
//! Invariants:
//!
//! - An unknown key is an error.
//! - A value of the wrong type, a bad size or duration, and a missing key are one error each. No error hides
//!   another.
//! - A value from a file has a [`Span`]; a value from an embedder has none.
//! - Nothing here opens a file.
//!
//! Left to others: the meaning of names, kinds, numbers and paths together (`plan`), and the resources of this
//! machine (`resources`).
//!
//! # The pipeline file
//!
//! ```toml
//! [pipeline]                        # optional
//! name = "flights"                  # default: the file's name without its extension
//!
//! [[source]]
//! name = "flights"                  # letters, digits, _ and -; unique in the file
//! # exactly one of file, stdin, generate, component:
//! file = { path = "flights-*.csv", format = "csv" }
//! # path: a path or glob; ** matches any number of folders; hidden files and *.partial are left out
//! # format: "lines" (default) | "jsonl" | "csv" | "whole"
//! # file = { path = "scans/**/*.png", format = "whole" }   # each file is one record, unchanged; its path is the key
//! # stdin = { format = "lines" }                      # or "jsonl" or "csv"
//! #
//! # Keys beside format, in file and in stdin, each optional:
//! # compression = "gzip" | "zstd" | "none"            # default: detected from the first bytes
//! # encoding = "utf-8" | "latin-1" | "windows-1252" | "utf-16" | "utf-16le" | "utf-16be" | another label of the WHATWG
//! #                                                   # encoding standard; default: UTF-8, or UTF-16 after its mark
//! # line_end = "auto" | "any"                         # auto: LF and CRLF, and CR in a text without LF
//! #                                                   # any: LF, CRLF and CR
//! #
//! # and with format = "csv":
//! # delimiter = ";"                                   # one ASCII character; "," by default
//! # quote = "'"                                       # one ASCII character; "" for no quoting; '"' by default
//! # header = true | false | ["id", "name"]            # true: names from the first row; false: column_1, column_2, …
//! #                                                   # a list: these names, and the first row is a record
//! # columns = ["name", "id"]                          # columns of a record, in this order; all by default
//! # unnamed = "number" | "leave-out" | "fail"         # a column without a name: becomes column_N (default)
//! #                                                   # | is left out | is an error
//! # duplicates = "fail" | "number"                    # a name that occurs twice: an error (default) | becomes name_2
//! #
//! # beside file or stdin, each optional; a field is a name, or a JSON pointer ("/user/id"):
//! on_error = "fail"                 # | "skip" | { dead_letter = "dead.jsonl" }: for an unreadable row, line or file;
//!                                   # default for rows and lines: the on_error that all readers of the source share
//!                                   # default for files: "fail"
//! key = "carrier"                   # the field with the record's key; a record without the field counts as unreadable
//! event_time = { field = "/time_hour", format = "rfc3339" }   # | "unix" | "unix_ms" | "unix_us" | "unix_ns"
//! watermark = { out_of_order = "5s", idle = "30s" }
//! headers = { trace = "/trace/id" } # headers of the record, from fields; a missing field gives no header
//! schema = { carrier = "string", delay = "s32?" }   # fields of a record and their types; ?: a record may lack the field
//! #
//! # or, instead of file:
//! # generate = { count = 1000, rate = 100, payload_bytes = 128, keys = 10000, seed = 1 }   # all optional
//! # component = "source.wasm"                         # takes an operator's keys below, except input and partition
//!
//! [[operator]]
//! name = "parse"
//! component = "parse.wasm"          # relative to this file
//! input = "flights"                 # or a list; "parse.rejects" and "sessions.late" are outputs beside the main one
//! partition = "round-robin"         # | "forward" | "key" | "broadcast"; or one for each input: { flights = "key" }
//! parallelism = 4                   # number of instances; 1 by default
//! # for each instance; a resource that is not named here is not limited (memory: 256MiB)
//! # more resources: object_store_memory = "64MB"
//! resources = { num_cpus = 2, memory = "1GiB", num_gpus = 0.5, resources = { licence = 1 } }
//! # more limits: output_bytes_per_call = "64MiB", restarts_in_a_row = 100
//! limits = { cpu_time_per_call = "1s", call_timeout = "60s", log_bytes_per_second = "64KiB", record_bytes = "4MiB" }
//! on_error = "fail"                 # | "skip" | { dead_letter = "dead.jsonl", max_bytes = "1GiB" }
//! retries = 1                       # retries of a failed batch as a whole, before it is halved
//! models = ["magika"]               # models that the operator may open; needs num_gpus
//! config = { threshold = 3 }        # the component gets it as JSON
//! # more capabilities: connect = ["127.0.0.1:5432"], clock = "coarse"
//! capabilities = { folders = [{ host = "data", guest = "/data", write = false }], environment = { TZ = "UTC" } }
//!
//! [[sink]]
//! name = "out"
//! input = "parse"
//! # exactly one of file, stdout, discard, component:
//! file = { path = "out.jsonl" }     # compression = "gzip" | "zstd" | "none"; default: from the file name (.gz, .zst)
//! # stdout = {}
//! #
//! # Keys of file and of stdout, each optional:
//! # format = "lines" | "jsonl" | "csv"                # lines (default): records as they are
//! # fields = ["carrier", "delay as minutes"]          # fields of a record that are written, in this order
//! # delimiter = ";", quote = "'", header = false      # csv: "," and '"' and true by default
//! # on_error = "fail"               # | "skip" | { dead_letter = "dead.jsonl" }: for a record that cannot be written
//! #                                 # as fields
//! # discard = {}
//! # component = "sink.wasm"         # takes an operator's keys, and limits = { flush_interval = "1s" }:
//! #                                 # the longest time until records that the sink took must be durable
//!
//! [model.magika]                    # a model that operators may run through the inference import; docs/guide/models.md
//! path = "magika.onnx"              # an ONNX file, relative to this file
//! sha256 = "..."                    # optional: any other file is refused
//! backend = "auto"                  # | "tract" | "onnxruntime"; "fake" on a fake device, whose models are simulated
//! rows = "independent"              # no row's answer depends on another row | "whole": each call runs as it is
//!                                   # | "shown" (default): independent if the host can show it
//! max_rows = 32                     # rows of one run; a larger call is cut if rows are independent, else refused
//! max_delay = "0ms"                 # longest time that a call waits for others to be batched with
//! batching = true                   # batch calls together; default: measured when the model is loaded
//! deterministic = false             # true: every call runs alone
//! workspace = "256MiB"              # device memory beside the weights
//! ```
//!
//! Sizes are `"8GB"` (10^9), `"8GiB"` (2^30), `"512MB"` or a plain number of bytes; durations are `"500ms"`,
//! `"10s"`, `"2m"`. `num_cpus` is whole, or a fraction below 1 in steps of 0.0001; so are `num_gpus` and custom
//! resources, as in Ray. If only one of `cpu_time_per_call` and `call_timeout` is given, the default of the
//! other gives way, so that `call_timeout` is never below `cpu_time_per_call`. The same holds for
//! `record_bytes` and `output_bytes_per_call`.
//!
//! # `host.toml`
//!
//! ```toml
//! slice = "sage-host"                       # control group of all tenants: below the process's own, or absolute
//! cpus = "0-3"                              # CPUs of the process to give away; also a list or a count
//! memory = "16GiB"                          # memory to give away at most
//! lease_folder = "/run/sage-host"           # folder of leases and claims; the same for every host of the machine
//! cache_folder = "/var/cache/sage-host"     # folder of compiled components; only this host may write there
//! max_cache_bytes = "1GiB"                  # largest size of that folder; the least recently used goes first
//! max_component_bytes = "64MiB"             # larger components are refused before they are compiled
//! reserve = { cpus = 1, memory = "256MiB" } # kept for the host itself
//! resources = { licence = 4 }               # custom resources to give away, to all sage-hosts of the machine together
//!
//! # Tenants that may run pipelines, and the ceiling of each. Without any [tenant.*], every --tenant may run. With one
//! # or more, only the named ones may (`default` too, if pipelines without --tenant are to run). Every key is optional.
//! [tenant.blue]
//! cpus = 1.5                                # leased CPUs and shares
//! memory = "4GiB"                           # default caps included
//! resources = { licence = 2 }               # of those above
//!
//! [model.magika]                            # as in a pipeline file, for all pipelines; relative to this file
//! path = "/srv/models/magika.onnx"
//!
//! discover_devices = true                   # also give away CUDA devices that NVML knows and no [[device]] names
//! onnxruntime_library = "libonnxruntime.so" # relative to this file; default: ORT_DYLIB_PATH, else the search path
//! lease_ttl = "10s"                         # a device lease that is not renewed for this time is lost; 1s to 1h
//!
//! [[device]]                                # a device that runs models
//! name = "cpu0"                             # unique; letters, digits, _, - and dots
//! kind = "cpu"
//! slots = 1                                 # runs at the same time, of all pipelines that hold a part of the device
//! threads = 2                               # threads of each run; tract uses one
//! cpus = "2-3"                              # CPUs of the runs, and of no operator; default: all of the process
//! memory = "1GiB"                           # memory for the models of all leases: the machine's, never an operator's
//! backend = "auto"                          # | "tract" | "onnxruntime"
//! counts_as_gpu = true                      # the device serves num_gpus; default: false
//! placement = "thread"                      # | "process": a process of its own, which contains a crash or a hang
//!
//! [[device]]
//! name = "gpu0"
//! kind = "cuda"                             # always a process of its own
//! uuid = "GPU-5fd4e0a2-..."                 # of a GPU or a MIG instance, as `nvidia-smi -L` prints it
//! memory = "40GiB"                          # default: all memory of the device
//!
//! [[device]]
//! name = "pretend"
//! kind = "fake"                             # for tests: its models are simulated, as their files say
//! slots = 1
//! memory = "1GiB"
//! counts_as_gpu = true
//! placement = "process"                     # | "thread": then no model may end its process
//! ```

#[cfg(test)]
mod asked_keys;
mod checkpoint;
mod choose;
mod chosen_fields;
mod component_paths;
mod config_places;
mod config_reference;
mod device;
mod diagnostic;
mod given_amount;
mod given_cpus;
mod host_file;
mod input;
mod model;
mod model_spec;
mod not_text;
mod paths;
mod pipeline;
mod read_component;
mod read_input;
mod read_pipeline;
mod read_source;
mod read_stage;
mod read_tenants;
mod render;
mod resolve_references;
#[cfg(test)]
mod schema_tests;
mod serve;
mod settings;
mod sink_text;
mod source_schema;
mod source_text;
mod spanned;
mod suggest;
mod table;
mod tenant;
mod text_format;
mod units;
mod watermark;
mod window;

pub use checkpoint::Checkpoint;
pub(crate) use choose::choose;
pub use chosen_fields::{ChosenField, ChosenFields};
pub use component_paths::component_paths;
pub use config_places::ConfigPlaces;
pub use config_reference::{ConfigReference, NoValue, ReferenceKind};
pub use device::{Device, DeviceKind, Placement};
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use given_cpus::GivenCpus;
pub use host_file::{HostSettings, Reserve, parse_host};
pub use input::{Input, InputKey};
pub use model::Model;
pub use model_spec::{BackendChoice, ModelSpec, RowsChoice};
pub use paths::resolve;
pub use pipeline::{
    ComponentUse, FileSink, FileSource, Generate, GeneratedTimes, Operator, Partitioning, Pipeline, Roll, Sink,
    SinkKind, Socket, SocketSink, Source, SourceKind,
};
pub use read_pipeline::{Parsed, parse};
pub use serve::{JobUsers, ServeSettings, UidRange};
pub use settings::{Capabilities, DeadLetters, Folder, Limits, OnError, Resources};
pub use sink_text::SinkText;
pub use source_schema::{SourceField, SourceSchema, WrittenType};
pub use source_text::SourceText;
pub use spanned::{Span, Spanned};
pub use suggest::closest;
pub(crate) use suggest::hint;
pub use tenant::{TenantCeiling, TenantFolder, TenantName, TenantNameError, TenantSigners};
pub use text_format::{EventTime, Header, TextFormat};
pub use units::{UnitError, format_duration, format_number, parse_duration, parse_size, ten_thousandths};
pub use watermark::Watermark;
pub use window::{Late, Offset, Window};
