use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sage_machine::cgroup::Cgroups;
use sage_machine::read_plain_file;
use sage_observe::{LogSettings, Screen, start_logging};
use sage_plan::config::{HostSettings, JobUsers, UidRange};
use sage_plan::config::{TenantCeiling, TenantName, TenantSigners};
use sage_process::lockdown::UnprivilegedUser;
use sage_runtime::engine::JobOptions;
use sage_serve::api::{ApiServer, ListenError, Listening};
use sage_serve::server::{Pulse, Server, ServerError, Settings, StopJobs};
use sage_serve::store::StoreError;
use sage_serve::tls::{Certificates, Fingerprint, TlsError, TlsFiles};
use sage_signatures::{AllowedSigners, SignersError};
use sage_text::plain_line;
use serde_json::json;

use super::args::{self, ServeArguments};
use super::place::{socket_of_server, state_folder};
use super::service_manager::ServiceManager;
use crate::ExitCode;
use crate::arriving::{Arriving, name};
use crate::failure::Failure;
use crate::printer::{OutputFormat, Printer};
use crate::refusal::of_job;

/// The signal with which services are told to read their files again.
const HANGUP: i32 = rustix::process::Signal::HUP.as_raw();
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
    let host = host_settings(arguments)?;
    let _groups = hold_groups(&host);
    let certificates = certificates(arguments, &host)?;
    let configured = if host.serve.drains_jobs { args::StopJobs::Drain } else { args::StopJobs::Leave };
    let stop = arguments.stop_jobs.unwrap_or(configured);
    let settings = settings(arguments, host, state, &socket)?;
    ApiServer::make_folder(&settings.sockets).map_err(|error| of_listening(&error))?;
    let manager = ServiceManager::of_environment()
        .map_err(|error| Failure::invalid(format!("cannot tell the service manager in NOTIFY_SOCKET: {error}")))?;
    let manager = Arc::new(manager);
    let (mut server, mailbox) = Server::open(settings).map_err(|error| of_server(&error))?;
    let (known, adopted) = (server.known(), server.live());
    let (leave, drain) = (mailbox.clone(), stop == args::StopJobs::Drain);
    let told = Arc::clone(&manager);
    let again = AtomicBool::new(false);
    let renewed = certificates.clone();
    let _signals = Arriving::start("signals", move |signal| {
        if let Some(certificates) = renewed.as_ref().filter(|_| signal == HANGUP) {
            certificates.look_again();
            return true;
        }
        let drains = drain && !again.swap(true, Ordering::Relaxed);
        let jobs = if drains { "after its jobs" } else { "jobs go on" };
        tracing::info!("{}: the server ends, {jobs}", name(signal));
        told.tell(&format!("STOPPING=1\nSTATUS=ends, {jobs}"));
        leave.end(if drains { StopJobs::Drain } else { StopJobs::Leave });
        true
    })?;
    let tcp = match arguments.listen {
        args::Listen::Off => None,
        args::Listen::At(address) => Some(address),
    };
    let listening = Listening { socket: &socket, tcp, tls: certificates.clone(), insecure: arguments.insecure_bind };
    let api = ApiServer::start(&listening, &server, mailbox, server.settings().clone())
        .map_err(|error| of_listening(&error))?;
    let tcp = api.tcp().map(|address| (address, certificates.as_ref().map(|certificates| certificates.fingerprint())));
    say((arguments, stop), &server, &socket, tcp, (known, adopted), printer, &screen)?;
    watch(&mut server, &manager);
    manager.tell("READY=1");
    let left = server.run();
    drop(api);
    if left > 0 {
        screen.print(&format!("{}: the next `sage-host serve` adopts them\n", jobs(left, "goes on", "go on")));
    }
    Ok(())
}

/// Shows the service manager from time to time that the server's thread works, and what it has to do.
fn watch(server: &mut Server, manager: &Arc<ServiceManager>) {
    /// Time between two states that are told, if the manager asks for no more.
    const STATUS: Duration = Duration::from_secs(30);
    let (every, manager) = (manager.beat().unwrap_or(STATUS).min(STATUS), Arc::clone(manager));
    if !manager.is_there() {
        return;
    }
    server.on_beat(every, move |pulse| {
        let Pulse { running, waiting, read_only } = pulse;
        let trouble = read_only.as_ref().map(|why| format!(", takes no new work: {why}")).unwrap_or_default();
        manager.tell(&format!("WATCHDOG=1\nSTATUS={running} running, {waiting} waiting{}", plain_line(&trouble)));
    });
}

/// The settings of the host file. A wrong one would refuse every job.
fn host_settings(arguments: &ServeArguments) -> Result<HostSettings, Failure> {
    let options = JobOptions { host_file: host_file(arguments)?, ..JobOptions::default() };
    options.host_settings().map_err(|error| of_job(&error))
}

fn host_file(arguments: &ServeArguments) -> Result<Option<PathBuf>, Failure> {
    arguments.host.as_deref().map(whole).transpose()
}

/// The certificate for TCP that the options or the host file name.
fn certificates(arguments: &ServeArguments, host: &HostSettings) -> Result<Option<Arc<Certificates>>, Failure> {
    let certificate = arguments.tls_cert.as_ref().or(host.serve.tls_cert.as_ref());
    let key = arguments.tls_key.as_ref().or(host.serve.tls_key.as_ref());
    let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(None) };
    let files = TlsFiles { certificate: whole(certificate)?, key: whole(key)? };
    let certificates = Certificates::read(files).map_err(|error| {
        let failure = Failure::of(ExitCode::InvalidUsage, &error);
        match error {
            TlsError::Mismatch { .. } => failure.hint("the certificate must be the first one in its file"),
            _ => failure
                .hint("the files are PEM: -----BEGIN CERTIFICATE-----, and -----BEGIN PRIVATE KEY----- with mode 600"),
        }
    })?;
    Ok(Some(Arc::new(certificates)))
}

fn settings(
    arguments: &ServeArguments,
    host: HostSettings,
    state: PathBuf,
    socket: &Path,
) -> Result<Settings, Failure> {
    let host_file = host_file(arguments)?;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    Ok(Settings {
        state,
        sockets: socket.parent().unwrap_or(Path::new("/")).join("j"),
        host_file,
        signers: signers(&host.tenants)?,
        users: users(&host),
        users_of_tenants: BTreeMap::new(),
        slice: host.slice,
        keep_ended: host.serve.keep_ended,
        keep_ended_for: host.serve.keep_ended_for.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
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

/// The control groups of tenants' jobs, held for as long as the server lives. On v2 the server moves into a group beside
/// them, so that the group of both can hand controllers down to jobs.
///
/// Says which tenants get no jobs here, because the kernel would not hold them to their ceilings. Each of their jobs is
/// refused with the same reason.
fn hold_groups(host: &HostSettings) -> Option<Cgroups> {
    if host.tenants.is_empty() {
        return None;
    }
    let cgroups = Cgroups::detect(Some(&host.slice));
    let controls = cgroups.controls();
    let soft = [&controls.memory, &controls.cpu].into_iter().filter(|control| !control.available);
    let why: Vec<&str> = soft.filter_map(|control| control.why_not.as_deref()).collect();
    let bounded = host.tenants.iter().filter(|(_, ceiling)| ceiling.needs_hard_limits());
    let bounded: Vec<&str> = bounded.map(|(tenant, _)| tenant.as_str()).collect();
    if let Some(why) = why.first().filter(|_| !bounded.is_empty()) {
        tracing::warn!(
            "jobs of tenants with a ceiling of CPU or memory are refused here ({}): {}; `sage-host doctor` says what helps",
            bounded.join(", "),
            plain_line(why)
        );
    }
    Some(cgroups)
}

/// The users that tenants may be given, where this process can run programs as them.
fn users(host: &HostSettings) -> Option<UidRange> {
    if host.serve.users == JobUsers::Server || host.tenants.is_empty() {
        return None;
    }
    let able = UnprivilegedUser::may_be_assumed();
    if !able {
        tracing::warn!(
            "jobs of tenants run as the user of this server, because it is not root with all its capabilities: \
             landlock alone keeps tenants apart"
        );
    }
    able.then_some(host.serve.uids)
}

fn whole(path: &Path) -> Result<PathBuf, Failure> {
    absolute(path).map_err(|error| Failure::invalid(format!("cannot find {}: {error}", path.display())))
}

fn say(
    (arguments, stop): (&ServeArguments, args::StopJobs),
    server: &Server,
    socket: &Path,
    tcp: Option<(SocketAddr, Option<Fingerprint>)>,
    (known, adopted): (usize, usize),
    printer: Printer,
    screen: &Screen,
) -> Result<(), Failure> {
    let state = server.state_folder();
    if printer.format() == OutputFormat::Json {
        let certificate = tcp.and_then(|(_, certificate)| certificate).map(|certificate| certificate.to_string());
        let tcp = tcp.map(|(address, _)| address);
        let ready = json!({ "socket": socket, "tcp": tcp, "certificate": certificate, "state": state, "jobs": known, "adopted": adopted });
        return printer.result(String::new, &ready);
    }
    let at = if arguments.state.is_some() || arguments.socket.is_some() {
        format!(" --socket {}", socket.display())
    } else {
        String::new()
    };
    let stop = match stop {
        args::StopJobs::Leave => "running jobs go on when this server ends (--stop-jobs leave)",
        args::StopJobs::Drain => "running jobs are drained when this server ends (--stop-jobs drain)",
    };
    let over_tcp = match tcp {
        None => String::new(),
        Some((address, certificate)) => {
            let token = server.admin_token();
            let first = if token.exists() { format!(", first token in {}", token.display()) } else { String::new() };
            let shown = certificate.map_or_else(String::new, |certificate| format!("  certificate: {certificate}\n"));
            format!("  over TCP: http{}://{address}{first}\n{shown}", if certificate.is_some() { "s" } else { "" })
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
        ServerError::Store(StoreError::Closed { closed, .. }) => failure.hint(format!(
            "name a folder in /var/lib with --state, or chmod o+x {}, or set users = \"server\" in [serve]",
            closed.display()
        )),
        ServerError::Store(StoreError::Users { .. }) => {
            failure.hint("name a larger range with uids in [serve] of the host file, or a user that exists")
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
            "give a certificate with --tls-cert and --tls-key, or listen on 127.0.0.1 and use an SSH tunnel; \
             --insecure-bind is for a network that is yours alone"
        }
        ListenError::Tcp { .. } => "name another address with --listen",
        ListenError::NotASocket { .. } | ListenError::Io { .. } => "name another path with --socket",
    };
    Failure::of(ExitCode::Refused, error).hint(hint)
}
