//! Any bytes in the place of what comes before each answer: how it went, numbers, log lines: read or refused, and sound if they are read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::Report.read(bytes);
});
