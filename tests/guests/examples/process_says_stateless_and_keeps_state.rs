//! A description is a promise: a component that declares itself stateless must not write state.
use contract::*;

#[cfg(target_arch = "wasm32")]
#[unsafe(link_section = "sage:description")]
pub static DESCRIPTION: [u8; 28] = *br#"{"version":1,"state":"none"}"#;

struct Guest;

impl Processor for Guest {
    fn process(batch: Batch) {
        for payload in entries(&batch.payloads) {
            if payload == b"keep" {
                state::put("kept", &column([payload]), &column([payload]));
            }
        }
        output::emit(0, &batch_of(batch.payloads), None);
    }
}

export!(process, Guest);
