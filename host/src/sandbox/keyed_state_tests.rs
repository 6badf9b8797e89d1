use proptest::prelude::*;

use super::*;
use crate::sandbox::state_steps::{Step, steps};

fn state(cap: u64) -> KeyedState {
    KeyedState::new(Arc::new(MemoryBudget::new(cap)))
}

fn put(state: &mut KeyedState, key: &[u8], value: &[u8]) -> Written {
    state.put("t", [(key, value)].into_iter())
}

/// Table, key, value and map of everything that is kept.
type Kept = (String, Vec<u8>, Option<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>);

fn dump(state: &KeyedState) -> Vec<Kept> {
    let mut all = Vec::new();
    for (name, table) in &state.tables {
        for slot in table.slots.iter().filter(|slot| !slot.is_vacant()) {
            let map =
                slot.map.iter().flat_map(|map| map.iter()).map(|(k, v)| (k.to_vec(), v.bytes().to_vec())).collect();
            all.push((
                name.to_string(),
                slot.key.bytes().to_vec(),
                slot.value.as_ref().map(|v| v.bytes().to_vec()),
                map,
            ));
        }
    }
    all.sort();
    all
}

proptest! {
    #[test]
    fn rolling_back_restores_exactly_what_was_committed_and_bytes_are_given_back(steps in steps()) {
        let mut state = state(1 << 20);
        let mut committed = dump(&state);
        let mut charged = state.taken;
        for step in steps {
            match step {
                Step::Change(change) => change.make(&mut state),
                Step::Commit => { state.commit(); committed = dump(&state); charged = state.taken; }
                Step::RollBack => {
                    let slots = state.tables.iter().map(|(_, t)| t.slots.len() as u64).sum::<u64>();
                    state.roll_back();
                    prop_assert_eq!(dump(&state), committed.clone());
                    // Only slots (and the table itself) made in between may stay behind, vacant.
                    prop_assert!(state.taken <= charged + slots * (SLOT_BYTES + 1) + 129);
                }
            }
        }
        state.roll_back();
        let held: u64 = state.tables.iter().flat_map(|(name, t)| {
            std::iter::once(name.len() as u64 + TABLE_BYTES).chain(t.slots.iter().map(|s| {
                SLOT_BYTES + SmallBytes::cost(s.key.bytes())
                    + s.value.as_ref().map_or(0, |v| SmallBytes::cost(v.bytes()))
                    + map_cost(s.map.as_deref())
            }))
        }).sum();
        prop_assert_eq!(state.taken, held);
        prop_assert_eq!(state.budget.used(), held);
    }
}

#[test]
fn keys_come_in_byte_order_page_by_page() {
    let mut state = state(1 << 20);
    for key in [5u8, 1, 9, 3, 7] {
        put(&mut state, &[key], &[key]).unwrap();
    }
    state.delete("t", &[3]).unwrap();
    let (first, values) = state.keys_scan("t", None, 2).unwrap();
    assert_eq!(first.iter().collect::<Vec<_>>(), [[1], [5]]);
    assert_eq!(values, first);
    let (rest, _) = state.keys_scan("t", Some(&[5]), 4096).unwrap();
    assert_eq!(rest.iter().collect::<Vec<_>>(), [[7], [9]]);
}

#[test]
fn state_counts_towards_the_memory_cap() {
    let mut state = state(10_000);
    let error = (0u32..).find_map(|k| put(&mut state, &k.to_le_bytes(), &[0; 100]).err()).unwrap();
    assert!(error.to_string().contains("keyed state asked for"), "{error}");
    assert!(state.budget.used() <= 10_000);
    state.roll_back();
    let slots: u64 = state.tables.iter().map(|(_, table)| table.slots.len() as u64).sum();
    assert_eq!(state.taken, TABLE_BYTES + 1 + slots * SLOT_BYTES, "a value that was not written is not charged for");
}
