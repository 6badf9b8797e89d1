use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};
use std::sync::atomic::{AtomicBool, Ordering};

use sage_machine::read_plain_file;
use sage_observe::{LogSettings, Screen, start_logging};
use sage_plan::config::{TenantCeiling, TenantName, TenantSigners};
use sage_runtime::engine::JobOptions;
use sage_serve::api::{ApiServer, ListenError, Listening};
use sage_serve::server::{Server, ServerError, Settings, StopJobs};
use sage_serve::store::StoreError;
use sage_signatures::{AllowedSigners, SignersError};
use serde_json::json;

use super::args::{self, ServeArguments};
use super::place::{socket_of_server, state_folder};
use crate::ExitCode;
use crate::arriving::{Arriving, name};
use crate::failure::Failure;
use crate::printer::{OutputFormat, Printer};
use crate::refusal::of_job;

/// Largest file that may come with a pipeline. A component is bounded by max_component_bytes of host.toml besides.
const LARGEST_FILE: u64 = 1 << 30;

/// The command `serve`: serves until a signal.
pub(super) fn serve(arguments: &ServeArguments, printer: Printer) -> Result<(), Failure> {
    let screen = Screen::stderr();
    let logs = LogSettings {
        level: arguments.log_level,
        directives: std::env::var(LogSettings::VARIABLE).ok(),
        format: arguments.log_format.into(),
    };
    start_logging(&logs, &screen).map_err(|error| Failure::of(ExitCode::InvalidUsage, &error))?;
    let state = match &arguments.state {
        Some(state) => whole(state)?,
        None => state_folder()?,
    };
    let socket = match &arguments.socket {
        Some(socket) => whole(socket)?,
        None => socket_of_server(arguments.state.is_some().then_some(state.as_path()))?,
    };
    if arguments.insecure_bind {
        tracing::warn!("--insecure-bind: everyone on the way can read tokens and data, and use the tokens");
    }
    let settings = settings(arguments, state, &socket)?;
    ApiServer::make_folder(&settings.sockets).map_err(|error| of_listening(&error))?;
    let (server, mailbox) = Server::open(settings.clone()).map_err(|error| of_server(&error))?;
    let (known, adopted) = (server.known(), server.live());
    let (leave, drain) = (mailbox.clone(), arguments.stop_jobs == args::StopJobs::Drain);
    let again = AtomicBool::new(false);
    let _signals = Arriving::start("signals", move |signal| {
        let drains = drain && !again.swap(true, Ordering::Relaxed);
        tracing::info!("{}: the server ends, {}", name(signal), if drains { "after its jobs" } else { "jobs go on" });
        leave.end(if drains { StopJobs::Drain } else { StopJobs::Leave });
        true
    })?;
    let tcp = match arguments.listen {
        args::Listen::Off => None,
        args::Listen::At(address) => Some(address),
    };
    let listening = Listening { socket: &socket, tcp, insecure: arguments.insecure_bind };
    let api = ApiServer::start(&listening, &server, mailbox, settings).map_err(|error| of_listening(&error))?;
    say(arguments, &server, &socket, api.tcp(), (known, adopted), printer, &screen)?;
    let left = server.run();
    drop(api);
    if left > 0 {
        screen.print(&format!("{}: the next `sage-host serve` adopts them\n", jobs(left, "goes on", "go on")));
    }
    Ok(())
}

fn settings(arguments: &ServeArguments, state: PathBuf, socket: &Path) -> Result<Settings, Failure> {
    let host_file = arguments.host.as_deref().map(whole).transpose()?;
    // A wrong host file would refuse every job.
    let options = JobOptions { host_file: host_file.clone(), ..JobOptions::default() };
    let host = options.host_settings().map_err(|error| of_job(&error))?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(Settings {
        state,
        sockets: socket.parent().unwrap_or(Path::new("/")).join("j"),
        host_file,
        signers: signers(&host.tenants)?,
        tenants: host.tenants,
        names: arguments.server_name.clone(),
        dashboard: !arguments.no_dashboard,
        program: PathBuf::from("/proc/self/exe"),
        starts: threads.clamp(2, 8),
        largest_file: LARGEST_FILE,
    })
}

/// Longest file of signers.
const LONGEST_SIGNERS: u64 = 256 << 10;

/// Who may sign for each tenant that names signers.
fn signers(
    tenants: &BTreeMap<TenantName, TenantCeiling>,
) -> Result<BTreeMap<TenantName, (String, AllowedSigners)>, Failure> {
    let mut signers = BTreeMap::new();
    for (tenant, ceiling) in tenants {
        let (place, lines) = match &ceiling.signers {
            TenantSigners::Lines(lines) if lines.is_empty() => continue,
            TenantSigners::Lines(lines) => ("signers".to_owned(), lines.join("\n")),
            TenantSigners::File(path) => {
                let unread =
                    |error| Failure::invalid(format!("cannot read the signers in {}: {error}", path.display()));
                let bytes = read_plain_file(path, LONGEST_SIGNERS).map_err(unread)?;
                (path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())
            }
        };
        let wrong = |error: SignersError| Failure::invalid(format!("{place} of [tenant.{tenant}], {error}"));
        let allowed = AllowedSigners::parse(&lines).map_err(wrong)?;
        if ceiling.signatures_required && allowed.is_empty() {
            return Err(Failure::invalid(format!(
                "{place} of [tenant.{tenant}] names nobody, and signatures are required"
            )));
        }
        signers.insert(tenant.clone(), (lines, allowed));
    }
    Ok(signers)
}

fn whole(path: &Path) -> Result<PathBuf, Failure> {
    absolute(path).map_err(|error| Failure::invalid(format!("cannot find {}: {error}", path.display())))
}

fn say(
    arguments: &ServeArguments,
    server: &Server,
    socket: &Path,
    tcp: Option<SocketAddr>,
    (known, adopted): (usize, usize),
    printer: Printer,
    screen: &Screen,
) -> Result<(), Failure> {
    let state = server.state_folder();
    if printer.format() == OutputFormat::Json {
        let ready = json!({ "socket": socket, "tcp": tcp, "state": state, "jobs": known, "adopted": adopted });
        return printer.result(String::new, &ready);
    }
    let at = if arguments.state.is_some() || arguments.socket.is_some() {
        format!(" --socket {}", socket.display())
    } else {
        String::new()
    };
    let stop = match arguments.stop_jobs {
        args::StopJobs::Leave => "running jobs go on when this server ends (--stop-jobs leave)",
        args::StopJobs::Drain => "running jobs are drained when this server ends (--stop-jobs drain)",
    };
    let over_tcp = match tcp {
        None => String::new(),
        Some(address) => {
            let token = server.admin_token();
            let first = if token.exists() { format!(", first token in {}", token.display()) } else { String::new() };
            format!("  over TCP: http://{address}{first}\n")
        }
    };
    screen.print(&format!(
        "serving on {}\n{over_tcp}  state: {}, {} of which {adopted} run\n  {stop}\n  send a pipeline: sage-host submit PIPELINE.toml{at}\n",
        socket.display(),
        state.display(),
        jobs(known, "", "").trim_end(),
    ));
    Ok(())
}

fn jobs(count: usize, one: &str, several: &str) -> String {
    if count == 1 { format!("1 job {one}") } else { format!("{count} jobs {several}") }
}

fn of_server(error: &ServerError) -> Failure {
    let failure = Failure::of(ExitCode::Refused, error);
    match error {
        ServerError::Store(StoreError::Locked { .. }) => {
            failure.hint("stop it first, or name another folder with --state")
        }
        ServerError::Store(_) => failure.hint("name another folder with --state"),
        _ => failure,
    }
}

fn of_listening(error: &ListenError) -> Failure {
    let hint = match error {
        ListenError::TooLong { .. } => "name a shorter path with --socket",
        ListenError::Taken { .. } => "stop that server first, or name another path with --socket",
        ListenError::Busy { .. } => {
            "another server may have it: name another port with --listen 127.0.0.1:PORT, 0 takes a free one, \
             and `off` serves the socket alone"
        }
        ListenError::Open { .. } => {
            "listen on 127.0.0.1 and use an SSH tunnel, or pass --insecure-bind if the network is yours alone"
        }
        ListenError::Tcp { .. } => "name another address with --listen",
        ListenError::NotASocket { .. } | ListenError::Io { .. } => "name another path with --socket",
    };
    Failure::of(ExitCode::Refused, error).hint(hint)
}
