//! Any bytes in place of tensors and errors on the links of models are either refused or read; values that
//! were read are sound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_runtime::worker::any_bytes::AnyBytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = AnyBytes::Tensors.read(bytes);
});
