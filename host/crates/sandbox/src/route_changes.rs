use super::state_changes::{DELETE_ENTRY, DELETE_MAP, DELETE_VALUE, PUT, PUT_ENTRY, TABLE, text, write};
use sage_batch::wire::WireError;

/// Splits state changes by their keys: each line goes to the place that `place` names for its key, in the same order.
/// The result has one piece for each of `places`.
///
/// # Errors
/// The bytes are no state changes, or have lines of a kind whose keys are not known here; the errors of `place`.
pub fn route_changes<E: From<WireError>>(
    changes: &[u8],
    places: usize,
    mut place: impl FnMut(&[u8]) -> Result<usize, E>,
) -> Result<Vec<Vec<u8>>, E> {
    let mut pieces = vec![(Vec::new(), false); places];
    let (mut rest, mut table) = (changes, None);
    while let Some((&tag, after)) = rest.split_first() {
        let mut behind = after;
        let key = text(&mut behind)?;
        // The texts of a line behind its key.
        let more = match tag {
            TABLE => {
                table = Some(key);
                pieces.iter_mut().for_each(|(_, knows_table)| *knows_table = false);
                rest = behind;
                continue;
            }
            PUT | DELETE_ENTRY => 1,
            DELETE_VALUE | DELETE_MAP => 0,
            PUT_ENTRY => 2,
            _ => return Err(WireError::broken(format!("a state change of kind {tag}")).into()),
        };
        for _ in 0..more {
            text(&mut behind)?;
        }
        let line = rest.get(..rest.len() - behind.len()).unwrap_or_default();
        rest = behind;
        let Some((piece, knows_table)) = pieces.get_mut(place(key)?) else {
            return Err(WireError::broken("a state change goes nowhere").into());
        };
        if !std::mem::replace(knows_table, true)
            && let Some(table) = table
        {
            write(piece, TABLE, &[table]);
        }
        piece.extend_from_slice(line);
    }
    Ok(pieces.into_iter().map(|(piece, _)| piece).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::KeyedState;
    use crate::state_steps::{Step, steps};
    use sage_machine::MemoryBudget;

    fn empty() -> KeyedState {
        KeyedState::new(Arc::new(MemoryBudget::new(1 << 24)))
    }

    fn changes_of(state: &KeyedState) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        let kept = state.copy_out(|chunk| {
            chunks.push(chunk.to_vec());
            Ok::<_, WireError>(())
        });
        kept.unwrap();
        chunks
    }

    #[test]
    fn what_is_no_state_change_is_refused() {
        for bytes in [&b"P"[..], b"P\x01\0\0\0", b"?\x01\0\0\0k", b"P\x01\0\0\0k\x09\0\0\0v"] {
            assert!(route_changes::<WireError>(bytes, 2, |_| Ok(0)).is_err(), "{bytes:?}");
        }
        let mut line = Vec::new();
        write(&mut line, PUT, &[b"k", b"v"]);
        assert!(route_changes::<WireError>(&line, 2, |_| Ok(2)).is_err(), "there is no such place");
    }

    proptest! {
        #[test]
        fn each_entry_goes_to_one_place_and_all_together_are_the_whole(steps in steps(), places in 1_usize..5) {
            let mut state = empty();
            for step in steps {
                match step {
                    Step::Change(change) => change.make(&mut state),
                    Step::RollBack => state.roll_back(),
                    Step::Commit => state.commit(),
                }
            }
            state.commit();
            let place = |key: &[u8]| Ok::<_, WireError>(usize::from(key[0]) % places);
            let (mut parts, mut whole) = ((0..places).map(|_| empty()).collect::<Vec<_>>(), empty());
            for chunk in changes_of(&state) {
                for (part, piece) in parts.iter_mut().zip(route_changes(&chunk, places, place).unwrap()) {
                    part.play(&piece).unwrap();
                }
            }
            for part in &parts {
                for chunk in changes_of(part) {
                    whole.play(&chunk).unwrap();
                }
            }
            let sorted = |state: &KeyedState| {
                let mut lines: Vec<Vec<u8>> = Vec::new();
                for chunk in changes_of(state) {
                    // One line a piece.
                    let mut number = 0;
                    let one_each = |_: &[u8]| { number += 1; Ok::<_, WireError>(number - 1) };
                    lines.extend(route_changes(&chunk, 10_000, one_each).unwrap().into_iter().filter(|line| !line.is_empty()));
                }
                lines.sort();
                lines
            };
            prop_assert_eq!(sorted(&whole), sorted(&state));
        }
    }
}
