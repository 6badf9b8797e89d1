//! Any bytes in place of the records in a worker's ring are either refused or read; records that were read
//! are sound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::Batch.read(bytes);
});
