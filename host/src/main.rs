//! The `sage-host` program. Everything is in the library, so that an embedding program can do the same.

/// Called by the loader before the standard library opens `/dev/null` in place of closed standard streams, after which nobody could tell.
#[used]
// SAFETY: the section holds functions of this type, which the loader calls once, on the only thread; this one needs nothing that is set up later.
#[unsafe(link_section = ".init_array")]
static NOTE_CLOSED_STREAMS: extern "C" fn() = sage_runtime::connector::note_closed_streams;

fn main() -> std::process::ExitCode {
    sage_host::main().into()
}
