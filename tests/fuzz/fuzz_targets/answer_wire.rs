//! Any bytes in place of a guest process's answer to a call are either refused or read; an answer that was
//! read is sound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::Answer.read(bytes);
});
