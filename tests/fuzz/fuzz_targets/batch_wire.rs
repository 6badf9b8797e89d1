//! Any bytes in the place of records as a worker's ring has them: read or refused, and sound if they are read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::Batch.read(bytes);
});
