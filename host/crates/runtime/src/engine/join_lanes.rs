use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::chain::Chain;
use super::control::Control;
use super::lane::{Lane, Task};
use super::outlet::Outlet;
use sage_batch::Inbox;

/// Maximum operators on one thread. The thread spends about 6 µs on each batch of 64 KiB for each operator.
const MOST_OPERATORS: usize = 4;

/// Joins lanes into chains if possible, and returns all lanes.
pub(super) fn join_lanes(lanes: Vec<Lane>, control: &Arc<Control>) -> Vec<Lane> {
    let behind = behind(&lanes);
    let led: HashSet<usize> = behind.iter().flatten().copied().collect();
    let mut rest: Vec<Option<Lane>> = lanes.into_iter().map(Some).collect();
    let mut joined = Vec::new();
    for first in (0..rest.len()).filter(|at| !led.contains(at)) {
        let mut members = Vec::new();
        let mut next = Some(first);
        while let Some(at) = next {
            next = behind.get(at).copied().flatten();
            members.extend(rest.get_mut(at).and_then(Option::take));
            let operators = members.iter().filter(|lane| matches!(lane.task, Task::Operator(_))).count();
            // A sink behind the last operator joins the chain.
            if operators == MOST_OPERATORS && next.is_none_or(|next| !is_sink(rest.get(next))) {
                joined.extend(joined_lane(std::mem::take(&mut members), control));
            }
        }
        joined.extend(joined_lane(members, control));
    }
    joined
}

/// A lane that is the chain of these lanes. A single lane is returned as it is.
fn joined_lane(mut members: Vec<Lane>, control: &Arc<Control>) -> Option<Lane> {
    if members.len() < 2 {
        return members.pop();
    }
    let (name, stage, placement) =
        members.first().map(|lane| (lane.name.clone(), lane.stage, lane.placement.clone()))?;
    members.iter().skip(1).filter_map(|lane| inbox_of(&lane.task)).for_each(Inbox::never_wait);
    let (mut source, mut operators, mut sink) = (None, Vec::new(), None);
    for Lane { stage, task, .. } in members {
        match task {
            Task::Source(lane) => source = Some((stage, lane)),
            Task::Operator(lane) => operators.push(lane),
            Task::Sink(lane) => sink = Some((stage, lane)),
            // These lanes lead to no other lane of a chain.
            Task::ComponentSource(_) | Task::Chain(_) => {}
        }
    }
    let task = Task::Chain(Box::new(Chain::new(control, source, operators, sink)));
    Some(Lane { name, stage, placement, task })
}

/// The index of the lane that follows each lane in a chain.
fn behind(lanes: &[Lane]) -> Vec<Option<usize>> {
    let readers: HashMap<*const Inbox, usize> = lanes
        .iter()
        .enumerate()
        .filter_map(|(at, lane)| Some((std::ptr::from_ref(inbox_of(&lane.task)?), at)))
        .collect();
    let next = |lane: &Lane| {
        let inbox = outlet_of(&lane.task)?.only_inbox().filter(|inbox| inbox.producers() == 1)?;
        let reader = *readers.get(&std::ptr::from_ref(inbox))?;
        let fits = match (&lane.task, &lanes.get(reader)?.task) {
            (_, Task::Operator(next)) => next.goes_past(),
            (Task::Operator(_), Task::Sink(_)) => true,
            _ => false,
        };
        fits.then_some(reader)
    };
    lanes.iter().map(next).collect()
}

/// The outlet of a lane that may share its thread.
fn outlet_of(task: &Task) -> Option<&Outlet> {
    match task {
        Task::Source(lane) if !lane.waits() => Some(&lane.outlet),
        Task::Operator(lane) if lane.goes_past() => Some(&lane.outlets.main),
        _ => None,
    }
}

fn inbox_of(task: &Task) -> Option<&Inbox> {
    match task {
        Task::Operator(lane) => Some(lane.inbox()),
        Task::Sink(lane) => Some(&lane.inbox),
        _ => None,
    }
}

fn is_sink(lane: Option<&Option<Lane>>) -> bool {
    matches!(lane, Some(Some(Lane { task: Task::Sink(_), .. })))
}
