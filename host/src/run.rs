use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use super::ExitCode;
use super::args::RunArguments;
use super::failure::Failure;
use super::isolation::Isolation;
use super::last_word::LastWord;
use super::printer::{OutputFormat, Printer};
use super::refusal::of_job;
use super::run_so_far::RunSoFar;
use super::signals::SignalWatch;
use super::validate::options;
use super::verdict::verdict;
use super::wait::admitted;
use sage_observe::{LogSettings, MetricsServer, Progress, ProgressMode, Screen, Summary, start_logging};
use sage_plan::{Plan, SinkSpec, Work};
use sage_runtime::connector::require_output;
use sage_runtime::engine::{Job, Session};
use sage_runtime::worker::ProcessIsolation;

/// The command `run`: runs a pipeline to its end or until signals end it, or prints the enforcement report
/// only.
pub(super) fn run(arguments: &RunArguments, printer: Printer) -> Result<(), Failure> {
    let screen = Screen::stderr();
    start_logging(&log_settings(arguments), &screen).map_err(|error| Failure::of(ExitCode::InvalidUsage, &error))?;
    let mut options = options(&arguments.machine);
    options.from.clone_from(&arguments.from);
    options.drop_state.clone_from(&arguments.drop_state);
    // The running program, even if its file was replaced in the meantime.
    let processes = Arc::new(ProcessIsolation::new("/proc/self/exe"));
    options.device_opener = Some(processes.clone());
    if arguments.isolation == Isolation::Process {
        options.launcher = Some(processes);
    }
    let job = Job::from_file(&arguments.pipeline, options).map_err(|error| of_job(&error))?;
    if arguments.explain {
        let report = job.explain().map_err(|error| of_job(&error))?;
        let width = stdout_width();
        let table = || width.map_or_else(|| report.to_string(), |width| report.fitted(width));
        let keys = job.plan().key_listing();
        return printer.result(|| if keys.is_empty() { table() } else { format!("{}\n{keys}", table()) }, &report);
    }
    arguments.metrics.map_or(Ok(()), require_free)?;
    if printer.format() == OutputFormat::Json {
        // Checked before the run: the summary is the only report of the run that a program gets.
        require_output().map_err(|error| Failure::invalid(format!("cannot write the summary: {}", error.in_full())))?;
    }
    let mode = progress_mode(arguments, &screen, job.plan());
    let stop = job.stop_handle();
    let last_word = Arc::new(LastWord {
        run: RunSoFar::default(),
        screen: screen.clone(),
        format: arguments.output,
        quiet: arguments.quiet,
        after_records: writes_stdout(job.plan()),
    });
    last_word.run.made(stop.clone());
    let watch_signals = || {
        let signals = SignalWatch::start(arguments.drain_timeout, Arc::clone(&last_word) as _)?;
        signals.watch(stop.clone());
        Ok(signals)
    };
    let (signals, admitted) = match arguments.wait {
        Some(most) => admitted(&job, most, watch_signals, &screen, arguments.quiet)?,
        None => (watch_signals()?, job.admit().map_err(|error| of_job(&error))?),
    };
    let session = job.start_admitted(admitted).map_err(|error| of_job(&error))?;
    last_word.run.begun(session.registry());
    let watching = watch(&session, arguments, mode, &screen).inspect_err(|_| stop.abort());
    let summary = session.wait();
    last_word.run.over(summary.clone());
    drop(watching?);
    let told = tell(&summary, arguments, printer, &screen);
    drop(signals);
    // The run's outcome has priority over a failed write of the summary, because people have been informed.
    verdict(&summary).map_err(Failure::in_result)?;
    told
}

/// The observers of a run, kept as long as it lasts.
type Watching = (Progress, Option<MetricsServer>);

fn watch(
    session: &Session,
    arguments: &RunArguments,
    mode: ProgressMode,
    screen: &Screen,
) -> Result<Watching, Failure> {
    let serve = |address| MetricsServer::bind(address, session.registry());
    let metrics = arguments.metrics.map(serve).transpose().map_err(|error| {
        let failure = Failure::of(ExitCode::InvalidUsage, &error);
        error.hint().into_iter().fold(failure, Failure::hint)
    })?;
    if let Some(server) = metrics.as_ref().filter(|_| !arguments.quiet) {
        screen.print(&format!("metrics: http://{}/metrics\n", server.address()));
    }
    let progress = Progress::start(session.registry(), Box::new(session.source_readings()), mode, screen)
        .map_err(|error| Failure::fault(format!("cannot show progress: {error}")))?;
    Ok((progress, metrics))
}

/// Checks that the metrics address is free. Metrics are served only when the run has begun, but an unusable
/// address is refused before the run.
fn require_free(address: SocketAddr) -> Result<(), Failure> {
    TcpListener::bind(address).map(drop).map_err(|error| {
        Failure::invalid(format!("cannot serve metrics at {address}: {error}"))
            .hint("choose another port with --metrics, or port 0 for any that is free")
    })
}

fn log_settings(arguments: &RunArguments) -> LogSettings {
    LogSettings {
        level: arguments.log_level,
        directives: std::env::var(LogSettings::VARIABLE).ok(),
        format: arguments.log_format.into(),
    }
}

fn progress_mode(arguments: &RunArguments, screen: &Screen, plan: &Plan) -> ProgressMode {
    if arguments.quiet {
        return ProgressMode::Quiet;
    }
    ProgressMode::for_screen(screen, writes_stdout(plan) && std::io::stdout().is_terminal())
}

/// The number of columns of standard output, if it is a terminal.
fn stdout_width() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(columns.into())
}

fn writes_stdout(plan: &Plan) -> bool {
    plan.stages().any(|(_, stage)| matches!(stage.work, Work::Sink(SinkSpec::Stdout(_))))
}

/// Prints the summary: on stderr for people, because stdout may carry records; for programs as the last line
/// of stdout. If that line cannot be written, the summary is printed for people.
fn tell(summary: &Summary, arguments: &RunArguments, printer: Printer, screen: &Screen) -> Result<(), Failure> {
    match printer.format() {
        OutputFormat::Json => printer.result(String::new, summary).inspect_err(|_| show(summary, screen)),
        OutputFormat::Text if arguments.quiet => Ok(()),
        OutputFormat::Text => {
            show(summary, screen);
            Ok(())
        }
    }
}

fn show(summary: &Summary, screen: &Screen) {
    let text = summary.fitted(screen.width(), screen.is_coloured());
    screen.print(&format!("\n{}\n", text.trim_end()));
}
