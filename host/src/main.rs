//! The `sage-host` program. All code is in the library, so that an embedding program can do the same.

/// Notes which standard streams are closed. The loader calls this before the standard library opens
/// `/dev/null` in their place; afterwards, the difference cannot be seen.
#[used]
// SAFETY: the section holds functions of this type, which the loader calls once, on the only thread. This
// function needs nothing that is set up later.
#[unsafe(link_section = ".init_array")]
static NOTE_CLOSED_STREAMS: extern "C" fn() = sage_runtime::connector::note_closed_streams;

fn main() -> std::process::ExitCode {
    sage_host::main().into()
}
