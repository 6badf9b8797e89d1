//! Any bytes in place of a call's writes to keyed state are either refused or read; writes that were read are
//! sound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::StateChanges.read(bytes);
});
