//! A lane whose guest never gives its thread back, beside lanes of the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use sage_batch::{Batch, Origin};
use sage_runtime::connector::{ConnectorError, Filled, IterSource, Sink, SinkOutcome, Source, SourceProgress};
use sage_runtime::engine::{JobOptions, PipelineBuilder, SinkOf, SourceOf};
use sage_runtime::worker::ProcessIsolation;
use sage_tests::{guest, program};

/// Time for which the hostile guest holds its lane: its limit of CPU time or of time.
const HELD: Duration = Duration::from_secs(1);
/// The neighbour's round trips in this time: each takes 10 ms on average at most.
const ROUND_TRIPS: u64 = 100;

/// Makes the next record when the last one has arrived, and ends when the hostile guest has let its lane go.
struct Asks {
    answered: Receiver<()>,
    let_go: Arc<AtomicBool>,
    made: u64,
}

impl Source for Asks {
    fn fill(&mut self, batch: &mut Batch, _: usize, _: usize) -> Result<Filled, ConnectorError> {
        if self.made > 0
            && let Err(RecvTimeoutError::Timeout) = self.answered.recv_timeout(Duration::from_millis(50))
        {
            return Ok(Filled::Idle(Duration::ZERO));
        }
        if self.let_go.load(Ordering::SeqCst) {
            return Ok(Filled::End);
        }
        batch.push_payload_with(Origin::new(0, self.made), |payload| payload.extend_from_slice(b"ask"));
        self.made += 1;
        // Says that nothing follows for now: the record is sent at once.
        Ok(Filled::Idle(Duration::ZERO))
    }

    fn progress(&self) -> SourceProgress {
        SourceProgress { done: self.made, total: None, bytes: false, bounded: true }
    }
}

/// Tells the neighbour's source of each record.
struct Answers(SyncSender<()>);

/// Tells that a record came through the hostile guest's lane.
struct LetGo(Arc<AtomicBool>);

impl Sink for Answers {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        (0..batch.len()).for_each(|_| self.0.send(()).unwrap());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        Ok(())
    }
}

impl Sink for LetGo {
    fn write(&mut self, _: &Batch) -> Result<(), ConnectorError> {
        self.0.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn finish(&mut self, _: SinkOutcome) -> Result<(), ConnectorError> {
        Ok(())
    }
}

/// The neighbour's round trips while `hostile` holds its lane with a poisoned record.
fn round_trips_beside(hostile: &str, isolated: bool) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let launcher = isolated.then(|| Arc::new(ProcessIsolation::new(program())) as _);
    let options = JobOptions { lease_folder: Some(folder.path().join("leases")), launcher, ..JobOptions::default() };
    let (answer, answered) = sync_channel(16);
    let let_go = Arc::new(AtomicBool::new(false));
    let limits = sage_plan::config::Limits {
        call_timeout: Some(HELD.into()),
        cpu_time_per_call: Some(HELD.into()),
        ..Default::default()
    };
    // The record behind the poison goes on when the guest has lost the poison: after two calls, since the batch of both
    // is tried first.
    let poison = IterSource::new([b"poison".to_vec(), b"behind".to_vec()], 0);
    let job = PipelineBuilder::new("beside-a-lane")
        .from_source("poison", SourceOf::provided(poison))
        .map("hostile", guest(hostile))
        .limits(limits)
        .retries(0)
        .on_error(sage_plan::config::OnError::Skip)
        .sink("behind", SinkOf::provided(LetGo(Arc::clone(&let_go))))
        .from_source("asks", SourceOf::provided(Asks { answered, let_go, made: 0 }))
        .map("neighbour", guest("map_shouts"))
        .sink("answers", SinkOf::provided(Answers(answer)))
        .build(options)
        .unwrap();
    let summary = job.start().unwrap().wait();
    assert_eq!(summary.outcome, "completed", "{summary:?}");
    summary.stage("answers").unwrap().handled
}

#[test]
fn a_lane_that_spins_or_waits_delays_no_neighbour_by_more_than_ten_milliseconds() {
    for hostile in ["map_loops_for_ever", "map_sleeps"] {
        for isolated in [false, true] {
            let made = round_trips_beside(hostile, isolated);
            assert!(made >= 2 * ROUND_TRIPS, "{made} round trips beside {hostile} in 2 s (in a worker: {isolated})");
        }
    }
}
