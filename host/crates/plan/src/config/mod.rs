//! Raw shapes of the pipeline file and of `host.toml`: what was written, with the place of every value, before anybody asks
//! whether it makes sense together.
//!
//! Flow: bytes → [`parse`] → [`Parsed`]: a [`Pipeline`] as far as it could be read, and [`Diagnostics`] with everything that
//! could not. `plan::validate` takes the pipeline, usable or not, and finds what is wrong between its parts; both
//! lists together are shown in one go. [`parse_host`] does the same for `host.toml`, which needs no second look.
//!
//! Invariants: unknown keys are errors; a value of the wrong type, a bad size or duration, a missing key is one error each,
//! and none hides another; what comes from a file has a [`Span`], what an embedder built has none; nothing here opens a file.
//!
//! Left to others: what names, kinds, numbers and paths mean together (`plan`), what this machine has (`resources`).
//!
//! # The pipeline file
//!
//! ```toml
//! [pipeline]                        # optional
//! name = "flights"                  # otherwise the file's name without its ending
//!
//! [[source]]
//! name = "flights"                  # letters, digits, _ and -; unique in the file
//! # exactly one of file, stdin, generate, component:
//! file = { path = "flights-*.csv", format = "csv" }   # path or glob (** is any folders; hidden files and *.partial are left out); format = "lines" (default) | "jsonl" | "csv"
//! # file = { path = "scans/**/*.png", format = "whole" }   # each file a record as it is, its path the key
//! # stdin = { format = "lines" }                      # or "jsonl" or "csv"
//! #
//! # Beside format, in file and in stdin, each optional:
//! # compression = "gzip" | "zstd" | "none"            # otherwise what the first bytes say
//! # encoding = "utf-8" | "latin-1" | "windows-1252" | "utf-16" | "utf-16le" | "utf-16be" | another label of the WHATWG
//! #                                                   # encoding standard; otherwise UTF-8, or UTF-16 after its byte order mark
//! # line_end = "auto" | "any"                         # auto: LF and CRLF, and CR in a text without any LF; any: LF, CRLF and CR
//! #
//! # and with format = "csv":
//! # delimiter = ";"                                   # one ASCII character; "," by default
//! # quote = "'"                                       # one ASCII character; "" for no quoting; '"' by default
//! # header = true | false | ["id", "name"]            # the first row | column_1, column_2, … | these, and the first row is a record
//! # columns = ["name", "id"]                          # which columns a record has, in this order; all by default
//! # unnamed = "number" | "leave-out" | "fail"         # a column without a name becomes column_N (default) | is left out | is an error
//! # duplicates = "fail" | "number"                    # a name that is there twice is an error (default) | becomes name_2
//! #
//! # beside file or stdin, each optional; a field is a name, or a JSON pointer ("/user/id"):
//! on_error = "fail"                 # | "skip" | { dead_letter = "dead.jsonl" }: a row, line or file that cannot be read;
//!                                   # by default what all readers of the source say of a record, for rows and lines, and "fail" for files
//! key = "carrier"                   # the field that is the record's key; a record without it cannot be read
//! event_time = { field = "/time_hour", format = "rfc3339" }   # | "unix" | "unix_ms" | "unix_us" | "unix_ns"
//! headers = { trace = "/trace/id" } # headers of the record, from fields; one that is not there is left out
//! #
//! # or, instead of file:
//! # generate = { count = 1000, rate = 100, payload_bytes = 128, keys = 10000, seed = 1 }   # all optional
//! # component = "source.wasm"                         # takes an operator's keys below, except input and partition
//!
//! [[operator]]
//! name = "parse"
//! component = "parse.wasm"          # relative to this file
//! input = "flights"                 # or a list; "parse.rejects" and "sessions.late" are other outputs than the main one
//! partition = "round-robin"         # | "forward" | "key" | "broadcast"; or one for each: { flights = "key" }
//! parallelism = 4                   # instances; 1 by default
//! # for each instance; what is not named here is not limited (memory: 256MiB)
//! resources = { num_cpus = 2, memory = "1GiB", num_gpus = 0.5, object_store_memory = "64MB", resources = { licence = 1 } }
//! limits = { cpu_time_per_call = "1s", call_timeout = "60s", log_bytes_per_second = "64KiB", record_bytes = "4MiB", output_bytes_per_call = "64MiB", restarts_in_a_row = 100 }
//! on_error = "fail"                 # | "skip" | { dead_letter = "dead.jsonl", max_bytes = "1GiB" }
//! retries = 1                       # of a failed batch as a whole, before it is halved
//! models = ["magika"]               # what it may open; needs num_gpus
//! config = { threshold = 3 }        # the component gets it as JSON
//! capabilities = { folders = [{ host = "data", guest = "/data", write = false }], environment = { TZ = "UTC" }, connect = ["127.0.0.1:5432"], clock = "coarse" }
//!
//! [[sink]]
//! name = "out"
//! input = "parse"
//! # exactly one of file, stdout, discard, component:
//! file = { path = "out.jsonl" }     # compression = "gzip" | "zstd" | "none", otherwise by its name (.gz, .zst)
//! # stdout = {}
//! # discard = {}
//! # component = "sink.wasm"         # takes an operator's keys, and limits = { flush_interval = "1s" }: how long what it took may wait to be made durable
//!
//! [model.magika]                    # what operators may run through the inference import; docs/guide/models.md
//! path = "magika.onnx"              # an ONNX file, relative to this file
//! sha256 = "..."                    # optional: any other file is refused
//! backend = "auto"                  # | "tract" | "onnxruntime"; "fake" on a device of that kind, whose models are made up
//! rows = "independent"              # no row's answer depends on another | "whole": each call as it is; "shown" otherwise: where it can be shown
//! max_rows = 32                     # of one run; larger calls are cut where rows are independent, and refused elsewhere
//! max_delay = "0ms"                 # how long a call may wait for company
//! batching = true                   # put calls together; measured when it is loaded otherwise
//! deterministic = false             # true: every call runs alone
//! workspace = "256MiB"              # device memory beside the weights
//! ```
//!
//! Sizes are `"8GB"` (10^9), `"8GiB"` (2^30), `"512MB"` or a plain number of bytes; durations `"500ms"`, `"10s"`, `"2m"`.
//! `num_cpus` is whole, or a fraction below 1 in steps of 0.0001; so are `num_gpus` and custom resources, as Ray has them.
//! Where only one of `cpu_time_per_call` and `call_timeout` is given, the other's default gives way, so that the
//! second is never below the first; so for `record_bytes` and `output_bytes_per_call`.
//!
//! # `host.toml`
//!
//! ```toml
//! slice = "sage-host"                       # control group above those of tenants: below the process's own, or absolute
//! cpus = "0-3"                              # what may be given away, of what the process may use; a list or a count too
//! memory = "16GiB"                          # what may be given away at most
//! lease_folder = "/run/sage-host"           # where leases and claims lie; every host of the machine must use the same
//! cache_folder = "/var/cache/sage-host"     # where compiled components are kept; only this host may write there
//! max_cache_bytes = "1GiB"                  # what is kept there at most; what was not used for longest goes first
//! max_component_bytes = "64MiB"             # larger components are refused before they are compiled
//! reserve = { cpus = 1, memory = "256MiB" } # kept for the host itself
//! resources = { licence = 4 }               # custom resources to give away, to all sage-hosts of the machine together
//!
//! # Who may run pipelines, and what each may have together. With no [tenant.*] any --tenant may run; with one or more, only
//! # those that are named (`default` too, if pipelines without --tenant are to run). No key is a must.
//! [tenant.blue]
//! cpus = 1.5                                # leased CPUs and shares
//! memory = "4GiB"                           # default caps included
//! resources = { licence = 2 }               # of those above
//!
//! [model.magika]                            # as in a pipeline file, for all pipelines; relative to this file
//! path = "/srv/models/magika.onnx"
//!
//! discover_devices = true                   # CUDA devices that NVML knows and no [[device]] names are given away too
//! onnxruntime_library = "libonnxruntime.so" # relative to this file; otherwise what ORT_DYLIB_PATH says, else where the loader finds it
//! lease_ttl = "10s"                         # who does not renew its device leases for so long has lost them; 1s to 1h
//!
//! [[device]]                                # what runs models
//! name = "cpu0"                             # unique; letters, digits, _, - and dots
//! kind = "cpu"
//! slots = 1                                 # runs at a time, of all pipelines that hold a part of it
//! threads = 2                               # of each run; tract uses one
//! cpus = "2-3"                              # where these run, and no operator; otherwise wherever the process may
//! memory = "1GiB"                           # what the models of all leases may take: of the machine's, and no operator's
//! backend = "auto"                          # | "tract" | "onnxruntime"
//! counts_as_gpu = true                      # it serves num_gpus; never so unless this is said
//! placement = "thread"                      # | "process": a process of its own, which a crash or a hang cannot leave
//!
//! [[device]]
//! name = "gpu0"
//! kind = "cuda"                             # always a process of its own
//! uuid = "GPU-5fd4e0a2-..."                 # of a GPU or a MIG instance, as `nvidia-smi -L` prints it
//! memory = "40GiB"                          # otherwise all that it has
//!
//! [[device]]
//! name = "pretend"
//! kind = "fake"                             # for tests: its models are made up, and each one's file says what it does
//! slots = 1
//! memory = "1GiB"
//! counts_as_gpu = true
//! placement = "process"                     # | "thread", where no model may end its process
//! ```

mod config_places;
mod device;
mod diagnostic;
mod given_cpus;
mod host_file;
mod model;
mod not_text;
mod paths;
mod pipeline;
mod read_component;
mod read_pipeline;
mod read_source;
mod read_tenants;
mod render;
mod settings;
mod source_text;
mod spanned;
mod suggest;
mod table;
mod tenant;
mod text_format;
mod units;

pub use config_places::ConfigPlaces;
pub use device::{Device, DeviceKind, Placement};
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use given_cpus::GivenCpus;
pub use host_file::{HostSettings, Reserve, parse_host};
pub use model::{BackendChoice, Model, RowsChoice};
pub use paths::{component_paths, resolve};
pub use pipeline::{
    ComponentUse, FileSink, FileSource, Generate, Input, Operator, Partitioning, Pipeline, Sink, SinkKind, Source,
    SourceKind,
};
pub use read_pipeline::{Parsed, parse};
pub use settings::{Capabilities, DeadLetters, Folder, Limits, OnError, Resources};
pub use source_text::SourceText;
pub use spanned::{Span, Spanned};
pub use suggest::closest;
pub use tenant::{TenantCeiling, TenantName, TenantNameError};
pub use text_format::{EventTime, Header, TextFormat};
pub use units::{UnitError, format_duration, format_number, format_size, parse_duration, parse_size, ten_thousandths};
