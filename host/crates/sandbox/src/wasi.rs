use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::clocks::{MonotonicClock, WallClock};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::bindings::{self, sync};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSockets, WasiSocketsView};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiView};
use wasmtime_wasi_io::bindings::wasi::io::poll as async_poll;

use super::bounded_files::{BoundedFiles, BoundedFilesView};
use super::bounded_streams::{BoundedStreams, BoundedStreamsView};
use super::clocks::Coarse;
use super::deadline::Deadline;
use super::failure::{FailureCode, HostTrap};
use super::handles::MOST_HANDLES;
use super::lane_io::LaneIo;
use super::no_udp::NoUdp;
use super::stdio::Captured;
use super::store::GuestStore;
use sage_plan::{Capabilities, ClockPrecision};

/// Links the WASI 0.2 imports of a Rust component. An import without a grant is empty: no folders, an empty
/// environment, a closed standard input, sockets that cannot be made.
pub(super) fn link_wasi(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    use bindings::{cli, clocks, filesystem, random};
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};

    type S = GuestStore;
    clocks::wall_clock::add_to_linker::<S, WasiClocks>(linker, S::clocks)?;
    clocks::monotonic_clock::add_to_linker::<S, WasiClocks>(linker, S::clocks)?;
    random::random::add_to_linker::<S, WasiRandom>(linker, |s| s.wasi.random())?;
    random::insecure::add_to_linker::<S, WasiRandom>(linker, |s| s.wasi.random())?;
    random::insecure_seed::add_to_linker::<S, WasiRandom>(linker, |s| s.wasi.random())?;
    cli::environment::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::exit::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::stdin::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::stdout::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::stderr::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::terminal_input::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::terminal_output::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::terminal_stdin::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::terminal_stdout::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    cli::terminal_stderr::add_to_linker::<S, WasiCli>(linker, S::cli)?;
    filesystem::preopens::add_to_linker::<S, WasiFilesystem>(linker, S::filesystem)?;
    sync::filesystem::types::add_to_linker::<S, BoundedFiles>(linker, |s| BoundedFilesView {
        deadline: &mut s.deadline,
        io: &s.io,
        budget: s.limiter.shared_budget(),
        files: WasiCtx::filesystem(&mut s.wasi),
        table: &mut s.resources,
    })?;
    wasmtime_wasi_io::bindings::wasi::io::error::add_to_linker::<S, Io>(linker, |s| s.ctx().table)?;
    sync::io::streams::add_to_linker::<S, BoundedStreams>(linker, |s| BoundedStreamsView {
        deadline: &mut s.deadline,
        io: &s.io,
        table: &mut s.resources,
    })?;
    sync::io::poll::add_to_linker::<S, BoundedPoll>(linker, |s| BoundedPollView {
        deadline: &mut s.deadline,
        io: &s.io,
        table: &mut s.resources,
    })?;
    link_sockets(linker)
}

/// Links the sockets. [`wasi_context`] denies them unless an address is granted: runtimes of languages import them
/// without using them, so an import alone is no reason to refuse a component.
fn link_sockets(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    use bindings::sockets::{instance_network, network, tcp_create_socket};

    type S = GuestStore;
    tcp_create_socket::add_to_linker::<S, WasiSockets>(linker, S::sockets)?;
    instance_network::add_to_linker::<S, WasiSockets>(linker, S::sockets)?;
    network::add_to_linker::<S, WasiSockets>(linker, &network::LinkOptions::default(), S::sockets)?;
    sync::sockets::udp_create_socket::add_to_linker::<S, NoUdp>(linker, |_| NoUdp)?;
    bindings::sockets::ip_name_lookup::add_to_linker::<S, WasiSockets>(linker, S::sockets)?;
    sync::sockets::tcp::add_to_linker::<S, WasiSockets>(linker, S::sockets)?;
    sync::sockets::udp::add_to_linker::<S, WasiSockets>(linker, S::sockets)
}

/// Builds the guest's WASI context from the pipeline's grants.
///
/// # Errors
/// A granted folder cannot be opened.
pub(super) fn wasi_context(granted: &Capabilities, stdout: Captured, stderr: Captured) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(stdout).stderr(stderr).max_random_size(64 << 10);
    wasi.allow_udp(false).allow_tcp(!granted.connect.is_empty()).allow_ip_name_lookup(false);
    let allowed = granted.connect.clone();
    wasi.socket_addr_check(move |address, how| {
        // A client socket first binds to the unspecified address. Every other use must be granted.
        let ok = match how {
            SocketAddrUse::TcpConnect => allowed.contains(&address),
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            _ => false,
        };
        Box::pin(async move { ok })
    });
    for (name, value) in &granted.environment {
        wasi.env(name, value);
    }
    for folder in &granted.folders {
        let perms = if folder.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(&folder.host, &folder.guest, perms)?;
    }
    match granted.clock {
        ClockPrecision::Coarse => wasi.wall_clock(Coarse::wall()).monotonic_clock(Coarse::monotonic()),
        ClockPrecision::Precise => wasi.wall_clock(WallClock::new()).monotonic_clock(MonotonicClock::new()),
    };
    Ok(wasi.build())
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// `wasi:io/poll`, with which a guest waits (sleeps, for example): only while its call has time left.
struct BoundedPoll;

impl HasData for BoundedPoll {
    type Data<'a> = BoundedPollView<'a>;
}

struct BoundedPollView<'a> {
    deadline: &'a mut Deadline,
    io: &'a LaneIo,
    table: &'a mut ResourceTable,
}

impl BoundedPollView<'_> {
    fn wait<T>(&mut self, wait: impl AsyncFnOnce(&mut ResourceTable) -> wasmtime::Result<T>) -> wasmtime::Result<T> {
        let Self { deadline, io, table } = self;
        io.wait(deadline, wait(table))?
    }
}

impl poll::Host for BoundedPollView<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.len() > MOST_HANDLES {
            let message = format!("{} pollables in one poll, at most {MOST_HANDLES} are allowed", pollables.len());
            return Err(HostTrap::error(FailureCode::Malformed, message));
        }
        self.wait(async |table| async_poll::Host::poll(table, pollables).await)
    }
}

impl poll::HostPollable for BoundedPollView<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.wait(async |table| async_poll::HostPollable::ready(table, pollable).await)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.wait(async |table| async_poll::HostPollable::block(table, pollable).await)
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        async_poll::HostPollable::drop(self.table, pollable)
    }
}
