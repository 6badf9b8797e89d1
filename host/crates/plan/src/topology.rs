use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::draft::Draft;
use super::wiring::Wire;
use crate::config::{Diagnostic, Diagnostics};

/// The indices of the drafts in an order in which each comes after all stages that it reads, and otherwise in
/// the order of the file. Cycles are reported; a stage in a cycle or downstream of one is left out.
pub(super) fn sort(drafts: &[Draft<'_>], wires: &[Wire], errors: &mut Diagnostics) -> Vec<usize> {
    let mut left: BTreeSet<usize> = (0..drafts.len()).collect();
    let sorted = take_ready(&mut left, wires);
    while let Some(cycle) = find_cycle(&left, wires) {
        errors.push(describe(drafts, &cycle));
        // Without the cycle, the rest may be in order, or contain another cycle.
        for wire in &cycle {
            left.remove(&wire.to);
        }
        take_ready(&mut left, wires);
    }
    sorted
}

/// Removes from `left`, one after the other, each stage that reads no stage in `left`, and returns them in that
/// order.
fn take_ready(left: &mut BTreeSet<usize>, wires: &[Wire]) -> Vec<usize> {
    let size = left.last().map_or(0, |last| last + 1);
    let mut waiting_for = vec![0_usize; size];
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); size];
    for wire in wires.iter().filter(|wire| left.contains(&wire.from) && left.contains(&wire.to)) {
        if let (Some(count), Some(fed)) = (waiting_for.get_mut(wire.to), feeds.get_mut(wire.from)) {
            *count += 1;
            fed.push(wire.to);
        }
    }
    let is_free = |&&i: &&usize| waiting_for.get(i) == Some(&0);
    let mut ready: BinaryHeap<Reverse<usize>> = left.iter().filter(is_free).map(|&i| Reverse(i)).collect();
    let mut taken = Vec::new();
    while let Some(Reverse(next)) = ready.pop() {
        left.remove(&next);
        taken.push(next);
        for &fed in feeds.get(next).into_iter().flatten() {
            if let Some(count) = waiting_for.get_mut(fed) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse(fed));
                }
            }
        }
    }
    taken
}

/// Finds a cycle among `left`. Each stage in `left` reads another one in `left`, so going upstream must reach a
/// stage twice.
fn find_cycle<'w>(left: &BTreeSet<usize>, wires: &'w [Wire]) -> Option<Vec<&'w Wire>> {
    let mut at = *left.first()?;
    let mut upstream: Vec<&Wire> = Vec::new();
    loop {
        let wire = wires.iter().find(|wire| wire.to == at && left.contains(&wire.from))?;
        upstream.push(wire);
        at = wire.from;
        if let Some(start) = upstream.iter().position(|wire| wire.to == at) {
            let mut cycle = upstream.split_off(start);
            cycle.reverse();
            // Begin with the first stage of the cycle in the file.
            let first = cycle.iter().enumerate().min_by_key(|(_, wire)| wire.from).map_or(0, |(i, _)| i);
            cycle.rotate_left(first);
            return Some(cycle);
        }
    }
}

fn describe(drafts: &[Draft<'_>], cycle: &[&Wire]) -> Diagnostic {
    let name = |i: usize| drafts.get(i).and_then(|draft| draft.name).map_or("?", |name| name.value.as_str());
    let mut path: Vec<&str> = cycle.iter().map(|wire| name(wire.from)).collect();
    path.extend(path.first().copied());
    let mut error = Diagnostic::new(format!("the pipeline goes round in a circle: {}", path.join(" -> ")));
    for wire in cycle {
        let input = drafts.get(wire.to).and_then(|draft| draft.inputs).and_then(|inputs| inputs.get(wire.input));
        error = error.at(input.and_then(|input| input.from.span));
    }
    error.hint("records must come to an end: let one of these read something else")
}
