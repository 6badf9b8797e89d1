use std::sync::Arc;
use std::time::Instant;

use super::assemble::Assembly;
use super::stage_parts::InstanceParts;
use super::standing::standings;
use sage_admission::Grant;
use sage_batch::Inbox;
use sage_machine::MemoryBudget;
use sage_models::ModelService;
use sage_observe::{DeviceView, EpochProgress, InstanceView, MemoryReading, Registry, StageView};
use sage_plan::{Plan, Work};

/// The registry of the values that can be watched during a run.
pub(super) fn registry(
    plan: &Plan,
    grant: &Grant,
    assembly: &Assembly,
    models: &ModelService,
    (tenant, run): (&str, &str),
    epochs: Option<Arc<EpochProgress>>,
) -> Registry {
    let stages = plan.stages().zip(&assembly.stages).map(|((_, stage), parts)| StageView {
        name: stage.name.clone(),
        kind: match &stage.work {
            Work::Source(_) => "source",
            Work::Component(_, kind) => kind.name(),
            Work::Sink(_) => "sink",
        },
        instances: parts.instances.iter().map(instance_view).collect(),
        latency: parts.latency.clone(),
    });
    Registry {
        pipeline: plan.name.clone(),
        tenant: tenant.to_owned(),
        run: run.to_owned(),
        began: Instant::now(),
        stages: stages.collect(),
        limits: Arc::new(standings(grant)),
        devices: models.devices().map(|(name, reading)| DeviceView { name: name.to_owned(), reading }).collect(),
        epochs,
    }
}

fn instance_view(parts: &InstanceParts) -> InstanceView {
    let inboxes: Vec<Arc<Inbox>> = parts.inboxes.clone();
    InstanceView {
        counters: Arc::clone(&parts.counters),
        errors: Arc::clone(&parts.errors),
        metrics: Arc::clone(&parts.metrics),
        memory: parts.budget.clone().map(|budget| Arc::new(BudgetReading(budget)) as _),
        kernel: parts.kernel.clone(),
        inference: parts.inference.clone(),
        event_times: parts.event_times.clone(),
        queue_bytes: Arc::new(move || inboxes.iter().map(|inbox| inbox.bytes() as u64).sum()),
    }
}

struct BudgetReading(Arc<MemoryBudget>);

impl MemoryReading for BudgetReading {
    fn used(&self) -> u64 {
        self.0.used()
    }

    fn peak(&self) -> u64 {
        self.0.peak()
    }

    fn cap(&self) -> u64 {
        self.0.cap()
    }
}
