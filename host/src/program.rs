use std::ffi::OsString;
use std::io::Write as _;
use std::panic::{self, PanicHookInfo};

use clap::{CommandFactory as _, Parser as _, Subcommand as _};

use super::args::{Arguments, Command, CompletionsArguments, SchemaArguments, SchemaFile};
use super::arriving::survive_the_file_size_limit;
use super::cargo::Cargo;
use super::failure::Failure;
use super::internal_args::{CompileArguments, ExamineModelArguments, InternalArguments, InternalCommand};
use super::printer::{OutputFormat, Printer};
use super::python::PythonProject;
use super::{ExitCode, build, cache, devices, doctor, infer, inspect, job, man, new, remote, run, state, validate};
use sage_models::{Trial, panic_is_an_answer};
use sage_runtime::worker::compile::compile_one;
use sage_runtime::worker::inspect_model::examine_one;
use sage_runtime::worker::{self, OneShotSetup};

/// Runs the program: takes the arguments of the process and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    panic::set_hook(Box::new(say_fault));
    // The hook has reported the panic. A panic's own exit code (101) is not one of the documented codes.
    panic::catch_unwind(|| perform(std::env::args_os().collect())).unwrap_or(ExitCode::InternalFault)
}

fn perform(words: Vec<OsString>) -> ExitCode {
    if words.get(1).and_then(|word| word.to_str()).is_some_and(InternalCommand::has_subcommand) {
        return perform_internal(words);
    }
    let wants_json = wants_json(&words);
    let arguments = match Arguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, wants_json),
    };
    let printer = Printer::new(arguments.command.output());
    survive_the_file_size_limit();
    let outcome = match &arguments.command {
        Command::Run(arguments) => run::run(arguments, printer),
        Command::Validate(arguments) => validate::validate(arguments, printer),
        Command::Inspect(arguments) => inspect::inspect(arguments, printer),
        Command::Infer(arguments) => infer::infer(arguments, printer),
        Command::Build(arguments) => build::build(arguments, printer),
        Command::New(arguments) => new::new(arguments, printer),
        Command::Doctor(arguments) => doctor::doctor(arguments, printer),
        Command::Devices(arguments) => devices::devices(arguments, printer),
        Command::Cache(arguments) => cache::cache(arguments, printer),
        Command::State(arguments) => state::perform(arguments, printer),
        Command::Remote(command) => remote::perform(command, printer),
        Command::Completions(arguments) => completions(arguments),
        Command::Schema(arguments) => schema(arguments),
        Command::Test(arguments) => match PythonProject::at(&arguments.path) {
            Some(project) => project.test(&arguments.cargo),
            None => Cargo::at(&arguments.path).and_then(|cargo| cargo.test(&arguments.cargo)),
        },
    };
    exit_code(outcome, printer)
}

/// Runs a command of [`InternalCommand`].
fn perform_internal(words: Vec<OsString>) -> ExitCode {
    let arguments = match InternalArguments::try_parse_from(words) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, false),
    };
    let outcome = match &arguments.command {
        InternalCommand::Job(arguments) => return job::job(arguments),
        InternalCommand::Canary => {
            worker::examine::run_canary().map_err(|error| Failure::of(ExitCode::InternalFault, &error))
        }
        InternalCommand::Worker => worker::serve().map_err(|error| Failure::of(ExitCode::InternalFault, &error)),
        InternalCommand::Device => {
            worker::serve_device(worker::device::backends).map_err(|error| Failure::of(ExitCode::InternalFault, &error))
        }
        InternalCommand::Compile(arguments) => compile(arguments),
        InternalCommand::ExamineModel(arguments) => inspect_model(arguments),
        InternalCommand::CheckJob(arguments) => job::check_job(arguments),
        InternalCommand::Man(arguments) => man::man(arguments),
    };
    exit_code(outcome, Printer::new(OutputFormat::Text))
}

/// The exit code of a command's outcome. Prints a failure.
fn exit_code(outcome: Result<(), Failure>, printer: Printer) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::Done,
        Err(failure) => {
            let failure = failure.naming_the_limit();
            printer.failure(&failure);
            failure.exit_code()
        }
    }
}

/// The command `completions`: prints a script for a shell.
fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "sage-host", &mut script);
    write_to_stdout(&script)
}

/// The command `schema`: prints the schema of a file.
fn schema(arguments: &SchemaArguments) -> Result<(), Failure> {
    let text = match arguments.file {
        SchemaFile::Pipeline => sage_plan::PIPELINE_SCHEMA,
        SchemaFile::Host => sage_plan::HOST_SCHEMA,
    };
    write_to_stdout(text.as_bytes())
}

fn write_to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    std::io::stdout().write_all(bytes).map_err(|error| Failure::fault(format!("cannot write to stdout: {error}")))
}

/// The command `compile`: compiles one component for another process of this program.
fn compile(arguments: &CompileArguments) -> Result<(), Failure> {
    let CompileArguments { memory, cpu_seconds, parent } = *arguments;
    compile_one(OneShotSetup { memory, cpu_seconds, parent })
        .map_err(|error| Failure::of(ExitCode::InternalFault, &error))
}

/// The command `examine-model`: inspects one model for another process of this program.
fn inspect_model(arguments: &ExamineModelArguments) -> Result<(), Failure> {
    let ExamineModelArguments { memory, cpu_seconds, parent, try_out } = *arguments;
    let trial = if try_out { Trial::Wanted } else { Trial::NotWanted };
    examine_one(OneShotSetup { memory, cpu_seconds, parent }, trial)
        .map_err(|error| Failure::of(ExitCode::InternalFault, &error))
}

/// Handles `--help`, `--version` and invalid arguments. clap writes the text, with its own hints.
fn usage(error: &clap::Error, wants_json: bool) -> ExitCode {
    // If help cannot be printed, no reader is left.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::Done;
    }
    if wants_json {
        let words = error.render().to_string();
        let mut lines = words.lines();
        let message = lines.next().unwrap_or_default().trim_start_matches("error: ");
        println!("{}", Failure::invalid(message).json());
    }
    ExitCode::InvalidUsage
}

/// True if `--output json` is on a command line that cannot be parsed.
fn wants_json(words: &[OsString]) -> bool {
    words.windows(2).any(|pair| matches!(pair, [option, value] if option == "--output" && value == "json"))
        || words.iter().any(|word| word == "--output=json")
}

/// Reports a panic as a bug of the host, with its place. A panic of a model's library is reported to the
/// library's caller instead.
fn say_fault(info: &PanicHookInfo<'_>) {
    if let Some(failure) = fault(info) {
        Printer::new(OutputFormat::Text).failure(&failure);
    }
}

/// The failure for a panic; `None` if the panic is reported to the library's caller.
pub(super) fn fault(info: &PanicHookInfo<'_>) -> Option<Failure> {
    if panic_is_an_answer() {
        return None;
    }
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned());
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current().name().unwrap_or("without a name").to_owned();
    let failure = Failure::fault(format!("internal fault in thread {thread} at {place}: {message}"));
    Some(failure.hint("this is a bug in sage-host: please report it with the command and the pipeline file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
        InternalArguments::command().debug_assert();
    }

    #[test]
    fn json_is_recognised_on_a_broken_command_line() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("sage-host run --output json")));
        assert!(wants_json(&words("sage-host run --nonsense --output=json")));
        assert!(!wants_json(&words("sage-host run json --output text")));
    }
}
