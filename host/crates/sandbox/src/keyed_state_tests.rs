use proptest::prelude::*;

use super::*;
use crate::state_steps::{Step, steps};

fn state(cap: u64) -> KeyedState {
    KeyedState::new(Arc::new(MemoryBudget::new(cap)))
}

fn put(state: &mut KeyedState, key: &[u8], value: &[u8]) -> Written {
    state.put("t", [(key, value)].into_iter())
}

/// Table, key, value and map of each stored key.
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
                    let room = state.tables.iter().map(|(_, table)| table.room_bytes()).sum::<u64>();
                    state.roll_back();
                    prop_assert_eq!(dump(&state), committed.clone());
                    // Only slots (and the table) that were created in between may remain, vacant.
                    prop_assert!(state.taken <= charged + room + TABLE_BYTES + on_heap(1));
                }
            }
        }
        state.roll_back();
        let held: u64 = state.tables.iter().flat_map(|(name, t)| {
            std::iter::once(on_heap(name.len()) + TABLE_BYTES + t.room_bytes()).chain(t.slots.iter().map(|s| {
                SmallBytes::cost(s.key.bytes())
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
    let (first, values) = state.keys_scan("t", (None, 2), &mut |_| Ok(())).unwrap();
    assert_eq!(first.iter().collect::<Vec<_>>(), [[1], [5]]);
    assert_eq!(values, first);
    let (rest, _) = state.keys_scan("t", (Some(&[5]), 4096), &mut |_| Ok(())).unwrap();
    assert_eq!(rest.iter().collect::<Vec<_>>(), [[7], [9]]);
}

#[test]
fn state_counts_towards_the_memory_cap() {
    let mut state = state(10_000);
    let error = (0u32..).find_map(|k| put(&mut state, &k.to_le_bytes(), &[0; 100]).err()).unwrap();
    assert!(error.to_string().contains("keyed state asked for"), "{error}");
    assert!(state.budget.used() <= 10_000);
    state.roll_back();
    let room: u64 = state.tables.iter().map(|(_, table)| table.room_bytes()).sum();
    let expected = TABLE_BYTES + on_heap(1) + room;
    assert_eq!(state.taken, expected, "a value that was not written is not charged for");
}

#[test]
fn a_map_that_is_emptied_costs_nothing_any_more() {
    let mut state = state(1 << 20);
    put(&mut state, b"k", b"v").unwrap();
    state.commit();
    let before = state.taken;
    for how in ["one call", "two calls", "undone"] {
        state.map_put("t", b"k", b"sub", b"v").unwrap();
        if how == "two calls" {
            state.commit();
            assert!(state.taken >= before + MAP_BYTES, "the map's tree has room for eleven entries");
        }
        state.map_delete("t", b"k", b"sub").unwrap();
        if how == "undone" {
            state.roll_back();
        } else {
            state.commit();
        }
        assert_eq!(state.taken, before, "{how}");
        assert!(state.tables[0].1.slots[0].map.is_none(), "{how}");
    }
}

#[test]
fn an_answer_is_taken_from_the_memory_until_the_next_one_or_the_end_of_the_call() {
    let mut state = state(1 << 20);
    let before = state.budget.used();
    let mut first = 0;
    state.weigh_answer(&mut first, 500_000).unwrap();
    assert!(state.budget.used() >= before + 500_000);
    // A second entry may double the room of the first.
    assert!(state.weigh_answer(&mut first, 100_000).unwrap_err().to_string().contains("an answer of keyed state"));
    let mut second = 0;
    state.weigh_answer(&mut second, 1).unwrap();
    assert!(state.weigh_answer(&mut { u64::from(u32::MAX) }, 1).is_err(), "offsets have 32 bits");
    assert!(state.budget.used() < before + 100_000, "the first answer is released");
    state.commit();
    assert_eq!(state.budget.used(), before);
}
