//! Event time through random graphs of real outlets and inboxes, without guests and threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::outlet::{Outlet, Route};
use super::outlets::Outlets;
use super::target::Destination;
use sage_batch::{Batch, BatchPool, Inbox, Origin, Popped, Record};
use sage_plan::Partition;
use sage_time::Watermark;

/// A stage of the graph. The first stages are sources.
#[derive(Debug, Clone)]
struct Shape {
    instances: usize,
    lanes: usize,
    /// Whether each lane takes by key, from an inbox of its own.
    by_lane: bool,
    /// The earlier stage, its port (main or rejects), and the partitioning.
    inputs: Vec<(Index, bool, usize)>,
}

/// A thing that happens next, at a place that the number chooses.
#[derive(Debug, Clone)]
enum Step {
    /// A source sends records, up to so much ahead of its watermark, and then moves it on.
    Send(Index, Vec<i64>, i64),
    /// A lane takes from its inbox.
    Take(Index),
    /// An instance works off what one of its lanes has taken first.
    Answer(Index),
    /// A lane sends what it has gathered, and tells its receivers of the watermark.
    Tell(Index),
}

fn shape() -> impl Strategy<Value = Shape> {
    let input = (any::<Index>(), any::<bool>(), 0usize..4);
    // With 64 receivers by key, records are held before they are sent.
    let instances = prop_oneof![8 => 1usize..4, 1 => Just(64usize)];
    (instances, 1usize..4, any::<bool>(), prop::collection::vec(input, 1..4))
        .prop_map(|(instances, lanes, by_lane, inputs)| Shape { instances, lanes, by_lane, inputs })
}

fn step() -> impl Strategy<Value = Step> {
    let ahead = prop::collection::vec(0i64..20, 0..6);
    prop_oneof![
        2 => (any::<Index>(), ahead, 0i64..10).prop_map(|(at, ahead, by)| Step::Send(at, ahead, by)),
        5 => any::<Index>().prop_map(Step::Take),
        5 => any::<Index>().prop_map(Step::Answer),
        1 => any::<Index>().prop_map(Step::Tell),
    ]
}

struct Source {
    outlets: Outlets,
    at: i64,
    sent: u64,
}

/// What a lane has taken: records, or none, and the watermark behind them.
type Taken = (usize, Batch, Watermark);

struct Instance {
    /// One, or one for each lane.
    inboxes: Vec<Arc<Inbox>>,
    lanes: Vec<Outlets>,
    /// Behind each inbox: what was taken and is not answered, in order, and the watermark that was reached.
    taken: Vec<VecDeque<Taken>>,
    reached: Vec<Watermark>,
    ended: Vec<bool>,
}

#[derive(Default)]
struct Graph {
    sources: Vec<Source>,
    instances: Vec<Instance>,
    records: usize,
}

const PARTITIONS: [Partition; 4] = [Partition::Forward, Partition::RoundRobin, Partition::Key, Partition::Broadcast];

impl Graph {
    /// `heaviest`: batches that are heavier are sent in pieces.
    fn new(sources: usize, shapes: &[Shape], heaviest: usize) -> Self {
        let pool = Arc::new(BatchPool::new(16));
        let inboxes: Vec<Vec<Vec<Arc<Inbox>>>> = shapes
            .iter()
            .map(|shape| {
                let count = if shape.by_lane { shape.lanes } else { 1 };
                let inbox = || Arc::new(Inbox::new(1 << 30, 1 << 20));
                (0..shape.instances).map(|_| (0..count).map(|_| inbox()).collect()).collect()
            })
            .collect();
        // The routes of each stage's port: receiver and partitioning.
        let stages = sources + shapes.len();
        let mut routes = vec![[Vec::new(), Vec::new()]; stages];
        for (at, shape) in shapes.iter().enumerate() {
            for &(from, rejects, partition) in &shape.inputs {
                let from = from.index(sources + at);
                let rejects = rejects && from >= sources;
                let senders = if from < sources { 1 } else { shapes[from - sources].instances };
                let partition = match PARTITIONS[partition] {
                    Partition::Forward if senders != shape.instances => Partition::Key,
                    partition => partition,
                };
                routes[from][usize::from(rejects)].push((at, partition));
            }
        }
        let outlet = |routes: &[(usize, Partition)], instance| {
            let route = |&(to, partition): &(usize, Partition)| {
                let destination = |inbox: &Arc<Inbox>| Destination {
                    inbox: Arc::clone(inbox),
                    consumer: Arc::default(),
                    credit: heaviest,
                };
                let to: Vec<Vec<_>> =
                    inboxes[to].iter().map(|inboxes| inboxes.iter().map(destination).collect()).collect();
                Route::new(partition, &to, instance, 0)
            };
            Outlet::new(routes.iter().map(route).collect(), Arc::clone(&pool))
        };
        let outlets = |stage: usize, instance| Outlets {
            main: outlet(&routes[stage][0], instance),
            rejects: outlet(&routes[stage][1], instance),
            sides: Vec::new(),
        };
        let sources_of = |stage| Source { outlets: outlets(stage, 0), at: 0, sent: 0 };
        let mut graph = Self { sources: (0..sources).map(sources_of).collect(), ..Self::default() };
        for (at, shape) in shapes.iter().enumerate() {
            for (instance, inboxes) in (0..).zip(&inboxes[at]) {
                let mut lanes: Vec<Outlets> = (0..shape.lanes).map(|_| outlets(sources + at, instance)).collect();
                if let Some((first, others)) = lanes.split_first_mut().filter(|_| !shape.by_lane) {
                    let producers = first.producers();
                    others.iter_mut().for_each(|lane| lane.join_as(&producers));
                }
                graph.instances.push(Instance {
                    taken: inboxes.iter().map(|_| VecDeque::new()).collect(),
                    reached: vec![Watermark::NONE; inboxes.len()],
                    ended: vec![false; shape.lanes],
                    inboxes: inboxes.clone(),
                    lanes,
                });
            }
        }
        graph
    }

    fn take(&mut self, step: &Step) {
        let lanes: Vec<(usize, usize)> =
            (0..).zip(&self.instances).flat_map(|(at, of)| (0..of.lanes.len()).map(move |lane| (at, lane))).collect();
        match step {
            Step::Send(at, ahead, by) => {
                let at = at.index(self.sources.len());
                self.sources[at].send(ahead, *by);
            }
            Step::Take(at) => {
                let (at, lane) = lanes[at.index(lanes.len())];
                self.instances[at].take(lane);
            }
            Step::Answer(at) => {
                let (at, lane) = lanes[at.index(lanes.len())];
                self.records += self.instances[at].answer(lane);
            }
            Step::Tell(at) => {
                let (at, lane) = lanes[at.index(lanes.len())];
                tell(&mut self.instances[at].lanes[lane]);
            }
        }
    }

    /// Everything flows, and every lane reaches what its sources have.
    fn settle(&mut self) {
        for source in &mut self.sources {
            tell(&mut source.outlets);
        }
        // Stages are in the order of the graph.
        for at in 0..self.instances.len() {
            let instance = &mut self.instances[at];
            for _ in 0..instance.lanes.len() {
                for lane in 0..instance.lanes.len() {
                    while instance.take(lane) {}
                    while instance.taken.iter().any(|taken| !taken.is_empty()) {
                        self.records += (0..instance.lanes.len()).map(|lane| instance.answer(lane)).sum::<usize>();
                    }
                    tell(&mut instance.lanes[lane]);
                }
            }
        }
    }

    fn end(&mut self) {
        self.sources.iter_mut().for_each(|source| leave(&mut source.outlets));
        for at in 0..self.instances.len() {
            let instance = &mut self.instances[at];
            for lane in 0..instance.lanes.len() {
                while instance.take(lane) {}
            }
            while instance.taken.iter().any(|taken| !taken.is_empty()) {
                self.records += (0..instance.lanes.len()).map(|lane| instance.answer(lane)).sum::<usize>();
            }
            assert!(instance.ended.iter().all(|ended| *ended), "each lane learns of the end");
            for lane in &mut instance.lanes {
                lane.flush().unwrap();
                leave(lane);
            }
        }
    }
}

impl Source {
    fn send(&mut self, ahead: &[i64], by: i64) {
        let mut batch = Batch::new();
        for ahead in ahead {
            let key = self.sent.to_le_bytes();
            self.sent += 1;
            let timestamp = Some(self.at + ahead);
            assert!(batch.push(Record { timestamp, key: Some(&key), ..Record::of(b"", Origin::NONE) }));
        }
        self.outlets.main.send(batch).unwrap();
        self.at += by;
        self.outlets.advance(Watermark::at(self.at));
    }
}

impl Instance {
    fn inbox_of(&self, lane: usize) -> usize {
        lane.min(self.inboxes.len() - 1)
    }

    /// Returns `false` if there was nothing to take.
    fn take(&mut self, lane: usize) -> bool {
        let at = self.inbox_of(lane);
        let taken = match self.inboxes[at].pop(Some(Duration::ZERO), u64::MAX) {
            Popped::Batch(batch, _) => {
                let watermark = batch.watermark();
                (lane, batch, watermark)
            }
            Popped::Watermark(watermark, _) => (lane, Batch::new(), watermark),
            Popped::End => {
                self.ended[lane] = true;
                return false;
            }
            _ => return false,
        };
        self.taken[at].push_back(taken);
        true
    }

    /// A part of the records goes to main, a part to rejects, and a part nowhere. Returns how many there were.
    fn answer(&mut self, lane: usize) -> usize {
        let at = self.inbox_of(lane);
        // Only the lane whose turn it is sends.
        let Some((_, batch, watermark)) = self.taken[at].pop_front_if(|(owner, ..)| *owner == lane) else { return 0 };
        let outlets = &mut self.lanes[lane];
        let mut outputs = [Batch::new(), Batch::new(), Batch::new()];
        for row in 0..batch.len() {
            let record = batch.record(row).unwrap();
            let time = record.timestamp.unwrap();
            assert!(time >= self.reached[at].time, "{time} came behind {:?}", self.reached[at]);
            assert!(outputs[usize::try_from(time % 3).unwrap()].push(record));
        }
        let [main, rejects, _] = outputs;
        outlets.main.send(main).unwrap();
        outlets.rejects.send(rejects).unwrap();
        assert!(watermark.time >= self.reached[at].time, "{watermark:?} behind {:?}", self.reached[at]);
        self.reached[at] = watermark;
        outlets.advance(watermark);
        if self.inboxes.len() < self.lanes.len() {
            self.lanes[lane].flush().unwrap();
            self.lanes[lane].tell().unwrap();
        }
        batch.len()
    }
}

fn tell(outlets: &mut Outlets) {
    outlets.flush().unwrap();
    outlets.tell().unwrap();
}

fn leave(outlets: &mut Outlets) {
    outlets.main.leave();
    outlets.rejects.leave();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn no_watermark_overtakes_a_record_none_falls_and_all_arrive(
        sources in 1usize..4,
        shapes in prop::collection::vec(shape(), 1..6),
        steps in prop::collection::vec(step(), 0..120),
        heaviest in prop_oneof![Just(1usize << 30), 20usize..200],
    ) {
        let mut graph = Graph::new(sources, &shapes, heaviest);
        steps.iter().for_each(|step| graph.take(step));
        graph.settle();
        // What the sources of each stage have reached.
        let mut slowest: Vec<i64> = graph.sources.iter().map(|source| source.at).collect();
        let mut instances = graph.instances.iter();
        for (at, shape) in shapes.iter().enumerate() {
            let lowest = shape.inputs.iter().map(|(from, ..)| slowest[from.index(sources + at)]).min().unwrap();
            slowest.push(lowest);
            for instance in instances.by_ref().take(shape.instances) {
                // A source that has sent nothing has no watermark.
                let expected = if lowest == 0 { vec![] } else { vec![Watermark::at(lowest); instance.reached.len()] };
                if !expected.is_empty() {
                    prop_assert_eq!(&instance.reached, &expected, "stage {}", at);
                }
            }
        }
        graph.end();
    }
}
