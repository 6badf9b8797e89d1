use std::sync::Arc;
use std::time::Instant;

use sage_batch::{Batch, Origin, Record};
use sage_sandbox::{Carried, Guest, KeyedState, Sandbox, SandboxOptions};

use crate::boundary::spec;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Time from a call with a record on which the guest panics, to the answer of a fresh guest to the next
/// record.
pub(crate) fn restart(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let loaded = sandbox.load(&place.guest("map_panics")?)?;
    let spec = spec();
    let (poison, good) = (batch(b"poison"), batch(b"good"));
    let begin =
        |carried: Carried| Guest::start(&loaded, &spec, carried).map_err(|(failure, _)| -> Problem { failure.into() });
    let mut guest = begin(Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None))?;
    let mut rounds = Vec::new();
    for _ in 0..effort.pick(300, 50) {
        guest.call(&good)?;
        let begun = Instant::now();
        if guest.call(&poison).is_ok() {
            return Err("the guest that should panic did not".into());
        }
        guest = begin(guest.into_carried())?;
        guest.call(&good)?;
        rounds.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(vec![Figure::of("trap to next record", "µs", rounds).target(Target::AtMost(1000.0))])
}

fn batch(payload: &[u8]) -> Batch {
    let mut batch = Batch::new();
    // Cannot fail: an empty batch accepts any record.
    let _ = batch.push(Record::of(payload, Origin::new(0, 0)));
    batch
}
