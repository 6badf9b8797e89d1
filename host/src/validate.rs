use std::sync::Arc;

use serde_json::json;

use super::args::{MachineArguments, ValidateArguments};
use super::failure::Failure;
use super::plan_json::{edges, stages, what};
use super::printer::Printer;
use super::refusal::of_job;
use sage_plan::Plan;
use sage_runtime::engine::{Job, JobOptions, StartFrom};
use sage_runtime::worker::ProcessIsolation;
use sage_runtime::worker::compile::OneShotCompiler;
use sage_runtime::worker::inspect_model::OneShotInspector;
use sage_sandbox::CompileElsewhere;
use sage_text::plain_path;

/// The command `validate`: all checks up to the point where resources would be taken.
pub(super) fn validate(arguments: &ValidateArguments, printer: Printer) -> Result<(), Failure> {
    let job = Job::from_file(&arguments.pipeline, options(&arguments.machine)).map_err(|error| of_job(&error))?;
    job.explain().map_err(|error| of_job(&error))?;
    let plan = job.plan();
    let mut result = json!({ "valid": true, "pipeline": plan.name, "stages": stages(plan) });
    if arguments.schema
        && let Some(result) = result.as_object_mut()
    {
        result.insert("edges".to_owned(), edges(plan).into());
    }
    let text = || {
        let valid = format!("{} is valid: {}\n", plain_path(&arguments.pipeline), counted(plan));
        if arguments.schema { valid + "\n" + &plan.schema_listing() } else { valid }
    };
    printer.result(text, &result)
}

/// The library's options from the command line.
pub(super) fn options(machine: &MachineArguments) -> JobOptions {
    JobOptions {
        host_file: machine.host.clone(),
        overcommit: machine.overcommit,
        allow_unenforced: machine.allow_unenforced,
        strict: machine.strict,
        tenant: machine.tenant.clone(),
        job: None,
        slice: None,
        lease_folder: machine.lease_folder.clone(),
        cache_folder: machine.cache_folder.clone(),
        launcher: None,
        device_opener: Some(Arc::new(ProcessIsolation::new("/proc/self/exe"))),
        examiner: Some(Arc::new(OneShotInspector::new("/proc/self/exe"))),
        compiler: Some(compiler()),
        from: StartFrom::default(),
        drop_state: Vec::new(),
        speaks: true,
    }
}

/// The running program compiles components in child processes, even if its file was replaced in the meantime.
pub(super) fn compiler() -> Arc<dyn CompileElsewhere> {
    Arc::new(OneShotCompiler::new("/proc/self/exe"))
}

fn counted(plan: &Plan) -> String {
    let count = |wanted: &[&str]| plan.stages().filter(|(_, stage)| wanted.contains(&what(&stage.work))).count();
    let (sources, sinks) = (count(&["source"]), count(&["sink"]));
    let operators = plan.stages().count() - sources - sinks;
    let word = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{}, {}, {}", word(sources, "source"), word(operators, "operator"), word(sinks, "sink"))
}
