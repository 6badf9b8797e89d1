use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Func, Instance, Lift, Lower, ResourceTable, TypedFunc,
};
use wasmtime::{Store, StoreContextMut};

use super::answer::{Answer, Call};
use super::contract::{BatchRef, ColumnRef, ContextRef, ProgressView};
use super::deadline::{Deadline, Pacer};
use super::failure::{Failure, FailureCode};
use super::guest_log::{GuestLog, LogRate, LogTo};
use super::keyed_state::KeyedState;
use super::lane_io::LaneIo;
use super::limiter::Limiter;
use super::load::Loaded;
use super::stdio::Captured;
use super::stop::Stop;
use super::store::GuestStore;
use super::wasi::wasi_context;
use sage_batch::{Batch, RawColumns};
use sage_machine::MemoryBudget;
use sage_models::{ModelAccess, NoModels};
use sage_observe::GuestMetrics;
use sage_plan::{Capabilities, Kind, Limits};

/// Who a guest is and what it may take.
#[derive(Clone)]
pub struct GuestSpec {
    /// The operator's name in the pipeline.
    pub operator: Arc<str>,
    /// Which instance of it.
    pub instance: u32,
    /// Of how many.
    pub parallelism: u32,
    /// Which lane of the instance.
    pub lane: u32,
    /// Of how many.
    pub lanes: u32,
    /// What `open` gets: JSON text.
    pub config: Arc<str>,
    /// What each call may take.
    pub limits: Limits,
    /// What it may reach.
    pub capabilities: Capabilities,
    /// The instance's memory.
    pub budget: Arc<MemoryBudget>,
    /// What it may do with models.
    pub models: Arc<dyn ModelAccess>,
    /// Where its numbers go.
    pub metrics: Arc<GuestMetrics>,
    /// Where its log lines go.
    pub log: LogTo,
    /// Set when the run is to end at once.
    pub stop: Stop,
}

/// What outlives a guest: the next one goes on with it.
pub struct Carried {
    /// The keyed state.
    pub state: KeyedState,
    /// The lane's share of a CPU.
    pub pacer: Option<Box<dyn Pacer>>,
    log: LogRate,
    io: Option<Arc<LaneIo>>,
}

impl Carried {
    /// For the first guest of a lane.
    #[must_use]
    pub fn new(state: KeyedState, pacer: Option<Box<dyn Pacer>>) -> Self {
        Self { state, pacer, log: LogRate::default(), io: None }
    }
}

/// What a source component said when asked for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more.
    More,
    /// Nothing now.
    Idle(Duration),
    /// There will never be more.
    End,
}

/// One running copy of a component. Used by one thread; after a [`Failure`] it is dead, and only
/// [`Guest::into_carried`] makes sense.
pub struct Guest {
    store: Store<GuestStore>,
    instance: Instance,
    loaded: Arc<Loaded>,
    work: Func,
}

impl Guest {
    /// Instantiates the component and opens it. Takes tens of microseconds, and what `open` takes.
    ///
    /// # Errors
    /// Not enough memory, a trap in the component's start function or in `open`, or what `open` answered; what was to be
    /// carried on comes back.
    #[expect(
        clippy::result_large_err,
        reason = "the error carries on what the guest was given; failing is the rare way"
    )]
    pub fn start(loaded: &Arc<Loaded>, spec: &GuestSpec, carried: Carried) -> Result<Self, (Failure, Carried)> {
        let mut guest = Self::instantiate(loaded, spec, carried)?;
        match guest.open(spec) {
            Ok(()) => Ok(guest),
            Err(failure) => Err((failure, guest.into_carried())),
        }
    }

    #[expect(clippy::result_large_err, reason = "as for `start`")]
    fn instantiate(loaded: &Arc<Loaded>, spec: &GuestSpec, carried: Carried) -> Result<Self, (Failure, Carried)> {
        let flood = spec.limits.log_bytes_per_second.saturating_mul(16);
        let (stdout, stderr) = (Captured::new(flood), Captured::new(flood));
        let wasi = match wasi_context(&spec.capabilities, stdout.clone(), stderr.clone()) {
            Ok(wasi) => wasi,
            Err(error) => {
                return Err((Failure::new(FailureCode::Open, format!("a granted folder: {error:#}")), carried));
            }
        };
        let alarm = loaded.alarm().clone();
        let Carried { state, pacer, log, io } = carried;
        let io = match LaneIo::after(io.clone(), &spec.capabilities) {
            Ok(io) => io,
            Err(why) => return Err((Failure::new(FailureCode::Open, why), Carried { state, pacer, log, io })),
        };
        let limits = &spec.limits;
        let mut answer = Answer::new(loaded.kind(), limits);
        answer.set_ports(u32::try_from(loaded.facts().ports.len()).unwrap_or(0));
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(MOST_HANDLES);
        let mut store = Store::new(
            loaded.engine(),
            GuestStore {
                limiter: Limiter::new(Arc::clone(&spec.budget)),
                deadline: Deadline::new(
                    (limits.cpu_time_per_call, limits.call_timeout),
                    pacer,
                    spec.stop.clone(),
                    Arc::clone(io.clock()),
                ),
                io: Arc::clone(&io),
                awake: alarm.wake(),
                alarm,
                answer: Some(Box::new(answer)),
                log: GuestLog::new(
                    spec.log.clone(),
                    Arc::clone(&spec.operator),
                    spec.instance,
                    limits.log_bytes_per_second,
                )
                .after(log),
                metrics: Arc::clone(&spec.metrics),
                state,
                keeps_state: loaded.facts().keeps_state(),
                models: Arc::clone(&spec.models),
                tensor_bytes: usize::try_from(limits.output_bytes_per_call).unwrap_or(usize::MAX),
                stdout,
                stderr,
                wasi,
                resources,
            },
        );
        store.limiter(|data| &mut data.limiter);
        store.epoch_deadline_callback(|mut store: StoreContextMut<'_, GuestStore>| store.data_mut().deadline.look());
        store.set_hostcall_fuel(hostcall_fuel(limits));
        let ticks = store.data_mut().deadline.begin_instance();
        store.set_epoch_deadline(ticks);
        store.set_max_component_handles(MOST_HANDLES);
        let room = store.data_mut().limiter.instantiate(loaded.instance_bytes());
        let entered = room.and_then(|()| io.enter());
        let found = entered.and_then(|_io| loaded.pre().instantiate(&mut store)).and_then(|instance| {
            let work = find(&mut store, &instance, &loaded.exports().work)?;
            Ok((instance, work))
        });
        // What was made beside start functions counts as well.
        let in_time = store.data_mut().deadline.look();
        match in_time.and(found) {
            Ok((instance, work)) => Ok(Self { store, instance, loaded: Arc::clone(loaded), work }),
            Err(error) => {
                let (stderr, _) = store.data().stderr.take();
                Err((Failure::of(&error, &stderr), carried_of(store)))
            }
        }
    }

    fn open(&mut self, spec: &GuestSpec) -> Result<(), Failure> {
        let context = ContextRef {
            operator: &spec.operator,
            instance: spec.instance,
            parallelism: spec.parallelism,
            lane: spec.lane,
            lanes: spec.lanes,
            config: &spec.config,
        };
        let open = self.loaded.exports().open;
        let opened: (Result<(), String>,) = self.call_export(&open, Call::Mute("open"), (context,))?;
        opened.0.map_err(|message| Failure::said(FailureCode::Open, &message))
    }

    /// What the component is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.loaded.kind()
    }

    /// Hands the guest a batch: what any kind but source does.
    ///
    /// # Errors
    /// The guest is dead then; the state is as before the call.
    pub fn call(&mut self, batch: &Batch) -> Result<&mut Answer, Failure> {
        if self.kind() == Kind::FlatMap {
            self.answer()?.inherit_from(batch);
        }
        self.call_over(&batch.into())
    }

    /// The same with columns that lie somewhere else, and are sound. What a flat-map's outputs inherit is not counted.
    ///
    /// # Errors
    /// As [`Guest::call`].
    pub fn call_over(&mut self, columns: &RawColumns<'_>) -> Result<&mut Answer, Failure> {
        let work = self.work;
        let call = Call::Over(columns.payloads.0.len().saturating_sub(1));
        match self.kind() {
            Kind::Process | Kind::Sink => {
                let params = BatchRef {
                    payloads: columns.payloads.into(),
                    keys: columns.keys.map(Into::into),
                    timestamps: columns.timestamps,
                    headers: columns.headers.map(Into::into),
                };
                self.invoke::<_, ()>(work, call, (params,))?;
            }
            _ => self.invoke::<_, ()>(work, call, (ColumnRef::from(columns.payloads),))?,
        }
        self.answer()
    }

    /// source: asks for more. What it emitted is in the answer.
    ///
    /// # Errors
    /// As [`Guest::call`], and what the source answered.
    pub fn next(&mut self, max_records: u32, max_bytes: u32) -> Result<(Progress, &mut Answer), Failure> {
        let work = self.work;
        let (progress,): (Result<ProgressView, String>,) =
            self.invoke(work, Call::Over(0), (max_records, max_bytes))?;
        let progress = match progress.map_err(|message| Failure::said(FailureCode::Connector, &message))? {
            ProgressView::More => Progress::More,
            ProgressView::Idle(ms) => Progress::Idle(Duration::from_millis(u64::from(ms.min(1000)))),
            ProgressView::End => Progress::End,
        };
        Ok((progress, self.answer()?))
    }

    /// process: tells it that no more comes; what it emitted is in the answer. sink: has it make everything durable.
    ///
    /// # Errors
    /// As [`Guest::call`], and what the sink answered.
    pub fn end(&mut self) -> Result<&mut Answer, Failure> {
        match (self.loaded.exports().end, self.kind()) {
            (Some(flush), Kind::Sink) => {
                let (flushed,): (Result<(), String>,) = self.call_export(&flush, Call::Mute("flush"), ())?;
                flushed.map_err(|message| Failure::said(FailureCode::Connector, &message))?;
            }
            (Some(end), _) => self.call_export::<_, ()>(&end, Call::Over(0), ())?,
            (None, _) => self.answer()?.begin(Call::Over(0)),
        }
        self.answer()
    }

    /// source: where it stands.
    ///
    /// # Errors
    /// As [`Guest::call`].
    pub fn position(&mut self) -> Result<Vec<u8>, Failure> {
        let Some(position) = self.loaded.exports().position else { return Ok(Vec::new()) };
        self.call_export::<_, (Vec<u8>,)>(&position, Call::Mute("position"), ()).map(|(position,)| position)
    }

    /// source: goes on from where an earlier copy stood.
    ///
    /// # Errors
    /// As [`Guest::call`], and what the source answered.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), Failure> {
        let Some(seek) = self.loaded.exports().seek else { return Ok(()) };
        let (sought,): (Result<(), String>,) = self.call_export(&seek, Call::Mute("seek"), (position,))?;
        sought.map_err(|message| Failure::said(FailureCode::Open, &message))
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// As [`Guest::call`]; the guest's answers of before stand.
    pub fn close(mut self) -> Result<(), Failure> {
        let close = self.loaded.exports().close;
        self.call_export::<_, ()>(&close, Call::Mute("close"), ())
    }

    /// What outlives this guest.
    #[must_use]
    pub fn into_carried(self) -> Carried {
        carried_of(self.store)
    }

    /// What the last call answered.
    ///
    /// # Errors
    /// A fault of the host.
    pub fn answered(&mut self) -> Result<&mut Answer, Failure> {
        self.answer()
    }

    /// Nothing is called for a while: the clock that stops guests need not tick for this one.
    pub fn rest(&mut self) {
        self.store.data_mut().awake = None;
    }

    /// Memory, tables and state of the instance now, all lanes together.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.store.data().limiter.budget().used()
    }

    /// Holds the lane to its share between calls, too.
    pub fn pace(&mut self) {
        self.store.data_mut().deadline.pace();
    }

    /// How long the lane was held back since this was last asked.
    pub fn take_throttled(&mut self) -> Duration {
        self.store.data_mut().deadline.take_throttled()
    }

    /// What calls wrote to keyed state since this was last asked, where its changes are kept.
    pub fn take_changes(&mut self, into: &mut Vec<u8>) {
        self.store.data_mut().state.take_changes(into);
    }

    /// The CPU time that threads have used for the lane's guests, beside the lane's own: of all of them, ever.
    #[must_use]
    pub fn helpers_cpu_time(&self) -> Duration {
        self.store.data().io.clock().cpu_time()
    }

    /// Log bytes dropped since this was last asked.
    pub fn take_log_bytes_dropped(&mut self) -> u64 {
        self.store.data_mut().log.take_dropped()
    }

    fn answer(&mut self) -> Result<&mut Answer, Failure> {
        let answer = self.store.data_mut().answer.as_deref_mut();
        answer.ok_or_else(|| Failure::new(FailureCode::Trap, "the answer was lost (a fault of the host)"))
    }

    fn call_export<P, R>(&mut self, export: &ComponentExportIndex, call: Call, params: P) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let func = find(&mut self.store, &self.instance, export).map_err(|error| Failure::of(&error, ""))?;
        self.invoke(func, call, params)
    }

    /// One call: limits set, answer emptied, state committed or rolled back. `func` must be one of the functions that
    /// `load` checked against the contract, `P` and `R` its parameters and results there.
    fn invoke<P, R>(&mut self, func: Func, call: Call, params: P) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let data = self.store.data_mut();
        if data.awake.is_none() {
            data.awake = data.alarm.wake();
        }
        let data = self.store.data_mut();
        if let Some(answer) = data.answer.as_deref_mut() {
            answer.begin(call);
        }
        data.log.begin_call();
        let ticks = data.deadline.begin();
        self.store.set_epoch_deadline(ticks);
        // SAFETY: `load` compared the function's type with `P` and `R` (their lifetimes aside, which types of the
        // component model do not have). The safe `Func::typed` compares anew at every call, since a `TypedFunc` that borrows
        // its parameters cannot be kept.
        let typed = unsafe { TypedFunc::<P, R>::new_unchecked(func) };
        let called = match self.store.data().io.with_sockets() {
            None => typed.call(&mut self.store, params),
            Some(io) => io.enter().and_then(|_io| typed.call(&mut self.store, params)),
        };
        let result = called.and_then(|value| {
            self.store.data().answer.as_ref().map_or(Ok(()), |answer| answer.finish())?;
            Ok(value)
        });
        let data = self.store.data_mut();
        match result {
            Ok(value) => {
                data.state.commit();
                data.say_what_was_written();
                Ok(value)
            }
            Err(error) => {
                data.state.roll_back();
                let (stderr, _) = data.stderr.take();
                Err(Failure::of(&error, &stderr))
            }
        }
    }
}

impl GuestStore {
    /// What the guest wrote to its standard output and error becomes log lines.
    fn say_what_was_written(&mut self) {
        for (level, captured) in [(tracing::Level::INFO, &self.stdout), (tracing::Level::WARN, &self.stderr)] {
            let (text, written) = captured.take();
            if written > 0 {
                for line in text.lines() {
                    self.log.write(level, line);
                }
            }
        }
    }
}

/// Asks a component of a kind that has side outputs for their names.
pub(super) fn component_ports(loaded: &Arc<Loaded>) -> Result<Vec<String>, Failure> {
    let Some(ports) = loaded.exports().ports else { return Ok(Vec::new()) };
    let spec = GuestSpec {
        operator: loaded.path().display().to_string().into(),
        instance: 0,
        parallelism: 1,
        lane: 0,
        lanes: 1,
        config: "{}".into(),
        limits: Limits::default(),
        capabilities: Capabilities::default(),
        budget: Arc::new(MemoryBudget::new(Limits::DEFAULT_MEMORY)),
        models: Arc::new(NoModels),
        metrics: Arc::default(),
        log: LogTo::Here,
        stop: Stop::default(),
    };
    let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None);
    let mut guest = Guest::instantiate(loaded, &spec, carried).map_err(|(failure, _)| failure)?;
    guest.call_export::<_, (Vec<String>,)>(&ports, Call::Mute("ports"), ()).map(|(ports,)| ports)
}

/// The most handles of a guest at a time, to resources of the host's and of its own: each is a place in a table of the runtime's.
const MOST_HANDLES: usize = 1024;

/// What lists that the host copies out of the guest may come to in one call (wasmtime's measure, 128 MiB by default).
fn hostcall_fuel(limits: &Limits) -> usize {
    usize::try_from(limits.output_bytes_per_call).unwrap_or(usize::MAX).max(16 << 20)
}

fn find(store: &mut Store<GuestStore>, instance: &Instance, export: &ComponentExportIndex) -> wasmtime::Result<Func> {
    let found = instance.get_func(store, export);
    found.ok_or_else(|| wasmtime::Error::msg("an export that was there when the component was loaded is gone"))
}

fn carried_of(store: Store<GuestStore>) -> Carried {
    let mut data = store.into_data();
    data.state.roll_back();
    Carried { pacer: data.deadline.take_pacer(), state: data.state, log: data.log.into_rate(), io: Some(data.io) }
}
