use sage_jobs::RestartClass;
use sage_plan::{Kind, OnError, Plan, SinkSpec, Stage, Work};

/// What another attempt of a pipeline costs.
///
/// Files and the generator begin again, so keyed state is made again from them. A component that is a source may not
/// give the same records again: what it gave before is lost, and so is the state that came from it. With checkpoints
/// another attempt goes on from the last epoch, with the positions of all sources, and nothing is lost.
pub(super) fn restart_class(plan: &Plan) -> RestartClass {
    let any = |is: fn(&Stage) -> bool| plan.stages().any(|(_, stage)| is(stage));
    if plan.checkpoints.is_none() && any(|stage| stage.kind() == Some(Kind::Source)) {
        RestartClass::LosesState
    } else if any(has_effects) {
        RestartClass::AtLeastOnce
    } else {
        RestartClass::Idempotent
    }
}

/// Whether a stage does something outside of the run that another attempt does again. A file of a sink is not among it:
/// it gets its name when the run is complete.
fn has_effects(stage: &Stage) -> bool {
    let appends = matches!(stage.on_error, OnError::DeadLetter(_));
    appends
        || match &stage.work {
            Work::Component(component, kind) => {
                let may = &component.capabilities;
                *kind == Kind::Sink || !may.connect.is_empty() || may.folders.iter().any(|folder| folder.write)
            }
            // A sink for standard output appends to the log of a job.
            Work::Sink(sink) => matches!(sink, SinkSpec::Stdout(_) | SinkSpec::Provided(_)),
            Work::Source(_) => false,
        }
}
