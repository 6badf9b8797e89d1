//! Any bytes in place of the message before each answer (status, numbers, log lines) are either refused or
//! read; a message that was read is sound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::Report.read(bytes);
});
