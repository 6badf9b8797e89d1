use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, Func, Instance, Lift, Lower, ResourceTable, TypedFunc,
};
use wasmtime::{Store, StoreContextMut};

use super::answer::{Answer, Call};
use super::carried::Carried;
use super::contract::{BatchRef, ColumnRef, ContextRef, ProgressView};
use super::deadline::Deadline;
use super::failure::{Failure, FailureCode};
use super::guest_log::{GuestLog, LogTo};
use super::handles::MOST_HANDLES;
use super::keyed_state::KeyedState;
use super::lane_io::LaneIo;
use super::limiter::Limiter;
use super::loaded::Loaded;
use super::printed::Printed;
use super::stdio::Captured;
use super::stop::Stop;
use super::store::GuestStore;
use super::wasi::wasi_context;
use super::windows::WindowKeeper;
use sage_batch::fields::Schema;
use sage_batch::{Batch, RawColumns};
use sage_machine::MemoryBudget;
use sage_models::ModelAccess;
use sage_observe::GuestMetrics;
use sage_plan::{Capabilities, Kind, Limits};
use sage_time::WindowRules;

/// The identity of a guest, its limits and its grants.
#[derive(Clone)]
pub struct GuestSpec {
    /// The operator's name in the pipeline.
    pub operator: Arc<str>,
    /// Index of the operator's instance.
    pub instance: u32,
    /// Number of instances of the operator.
    pub parallelism: u32,
    /// Index of the lane in the instance.
    pub lane: u32,
    /// Number of lanes of the instance.
    pub lanes: u32,
    /// Configuration for `open`: JSON text.
    pub config: Arc<str>,
    /// Limits of each call.
    pub limits: Limits,
    /// Resources that the guest may reach.
    pub capabilities: Capabilities,
    /// The instance's memory.
    pub budget: Arc<MemoryBudget>,
    /// Models that the guest may use.
    pub models: Arc<dyn ModelAccess>,
    /// Destination of the guest's metrics.
    pub metrics: Arc<GuestMetrics>,
    /// Destination of the guest's log lines.
    pub log: LogTo,
    /// Flag that is set when the run is to end at once.
    pub stop: Stop,
    /// Names of the operator's inputs, by the numbers of edges that batches have. An input without a name has `None`.
    pub edges: Arc<[Option<String>]>,
    /// window: the windows.
    pub windows: Option<WindowRules>,
}

/// The answer of a source component to a request for more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There may be more records.
    More,
    /// There are no records now. The source may be asked again after this time, at most 1 s.
    Idle(Duration),
    /// There will never be more records.
    End,
}

/// A running copy of a component, used by one thread at a time. After a [`Failure`] the copy is dead, and only
/// [`Guest::into_carried`] may be called.
pub struct Guest {
    pub(super) store: Store<GuestStore>,
    instance: Instance,
    pub(super) loaded: Arc<Loaded>,
    pub(super) work: Func,
    /// The columns that the guest reads of tables with this schema.
    pub(super) columns: Option<(Arc<Schema>, Arc<[usize]>)>,
    /// window: the windows.
    pub(super) windows: Option<Box<WindowKeeper>>,
}

impl Guest {
    /// Instantiates the component and opens it. Takes tens of microseconds, plus the time of `open`.
    ///
    /// # Errors
    /// The memory is too small, the component's start function or `open` traps, or `open` returns an error. The
    /// carried data comes back with the error.
    #[expect(
        clippy::result_large_err,
        reason = "the error gives back the data that the guest was given; failures are rare"
    )]
    pub fn start(loaded: &Arc<Loaded>, spec: &GuestSpec, carried: Carried) -> Result<Self, (Failure, Carried)> {
        let mut guest = Self::instantiate(loaded, spec, carried)?;
        match guest.load_windows(spec).and_then(|()| guest.open(spec)) {
            Ok(()) => Ok(guest),
            Err(failure) => Err((failure, guest.into_carried())),
        }
    }

    #[expect(clippy::result_large_err, reason = "as for `start`")]
    pub(super) fn instantiate(
        loaded: &Arc<Loaded>,
        spec: &GuestSpec,
        carried: Carried,
    ) -> Result<Self, (Failure, Carried)> {
        let flood = spec.limits.log_bytes_per_second.saturating_mul(16);
        let (stdout, stderr) = (Captured::new(flood), Captured::new(flood));
        let wasi = match wasi_context(&spec.capabilities, stdout.clone(), stderr.clone()) {
            Ok(wasi) => wasi,
            Err(error) => {
                return Err((Failure::new(FailureCode::Open, format!("opening a granted folder: {error:#}")), carried));
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
        if let Some(fields) = loaded.facts().shape() {
            answer.set_fields(fields);
        }
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
                edges: Arc::clone(&spec.edges),
                edge: None,
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
        // Objects that were created outside start functions count as well.
        let in_time = store.data_mut().deadline.look();
        match in_time.and(found) {
            Ok((instance, work)) => {
                Ok(Self { store, instance, loaded: Arc::clone(loaded), work, columns: None, windows: None })
            }
            Err(error) => {
                let printed = store.data().take_printed();
                Err((Failure::of(&error, &printed), carried_of(store)))
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

    /// The component's kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.loaded.kind()
    }

    /// Passes a batch to the guest, for every kind but source.
    ///
    /// # Errors
    /// The call failed. The guest is dead, and its keyed state is as before the call.
    pub fn call(&mut self, batch: &Batch) -> Result<&mut Answer, Failure> {
        self.answer()?.inherit_from(batch);
        self.at_edge(batch.edge());
        if self.loaded.facts().by_field { self.call_by_field(batch) } else { self.call_over(&batch.into()) }
    }

    /// process by field, in another process than the engine: sets the bytes of the fields that an output of each
    /// record of the next call keeps.
    pub fn set_kept(&mut self, bytes: &[u32]) {
        if let Some(answer) = self.store.data_mut().answer.as_deref_mut() {
            answer.set_inherited(bytes);
        }
    }

    /// Sets the edge on which the records of the next call came.
    pub fn at_edge(&mut self, edge: u32) {
        self.store.data_mut().edge = Some(edge);
    }

    /// As [`Guest::call`], with valid columns that lie elsewhere. The inherited bytes of a flat-map's outputs
    /// are not counted.
    ///
    /// # Errors
    /// As [`Guest::call`].
    pub fn call_over(&mut self, columns: &RawColumns<'_>) -> Result<&mut Answer, Failure> {
        let work = self.work;
        let call = Call::Over(columns.payloads.0.len().saturating_sub(1));
        match self.kind() {
            Kind::Window => {
                let edge = self.store.data().edge;
                return self.fold(None, columns, edge);
            }
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

    /// source: asks for more records. The emitted ones are in the answer.
    ///
    /// # Errors
    /// As [`Guest::call`], and an error that the source returned.
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

    /// process: announces the end of the input; the emitted records are in the answer. sink: makes all records
    /// durable.
    ///
    /// # Errors
    /// As [`Guest::call`], and an error that the sink returned.
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

    /// source: returns the current position.
    ///
    /// # Errors
    /// As [`Guest::call`].
    pub fn position(&mut self) -> Result<Vec<u8>, Failure> {
        let Some(position) = self.loaded.exports().position else { return Ok(Vec::new()) };
        self.call_export::<_, (Vec<u8>,)>(&position, Call::Mute("position"), ()).map(|(position,)| position)
    }

    /// source: continues from the position of an earlier copy.
    ///
    /// # Errors
    /// As [`Guest::call`], and an error that the source returned.
    pub fn seek(&mut self, position: &[u8]) -> Result<(), Failure> {
        let Some(seek) = self.loaded.exports().seek else { return Ok(()) };
        let (sought,): (Result<(), String>,) = self.call_export(&seek, Call::Mute("seek"), (position,))?;
        sought.map_err(|message| Failure::said(FailureCode::Open, &message))
    }

    /// Closes the guest.
    ///
    /// # Errors
    /// As [`Guest::call`]. The guest's earlier answers stay valid.
    pub fn close(mut self) -> Result<(), Failure> {
        let close = self.loaded.exports().close;
        self.call_export::<_, ()>(&close, Call::Mute("close"), ())
    }

    /// The data that outlives this guest.
    #[must_use]
    pub fn into_carried(self) -> Carried {
        carried_of(self.store)
    }

    /// The keyed state of the lane, between two calls.
    pub fn state(&mut self) -> &mut KeyedState {
        &mut self.store.data_mut().state
    }

    /// The answer to the last call.
    ///
    /// # Errors
    /// A fault of the host.
    pub fn answered(&mut self) -> Result<&mut Answer, Failure> {
        self.answer()
    }

    /// Marks the guest as idle for a while: the clock that stops guests need not tick for it.
    pub fn rest(&mut self) {
        self.store.data_mut().awake = None;
    }

    /// Bytes of memory, tables and state that the instance uses now, all lanes together.
    #[must_use]
    pub fn memory_used(&self) -> u64 {
        self.store.data().limiter.budget().used()
    }

    /// Holds the lane to its CPU share between calls, too.
    pub fn pace(&mut self) {
        self.store.data_mut().deadline.pace();
    }

    /// Returns how long the lane was held back since the last call of this method.
    pub fn take_throttled(&mut self) -> Duration {
        self.store.data_mut().deadline.take_throttled()
    }

    /// Takes the writes to keyed state since the last call of this method, if changes are kept.
    pub fn take_changes(&mut self, into: &mut Vec<u8>) {
        self.store.data_mut().state.take_changes(into);
    }

    /// CPU time that helper threads have used for all guests of the lane since its start. The lane's own thread
    /// is not included.
    #[must_use]
    pub fn helpers_cpu_time(&self) -> Duration {
        self.store.data().io.clock().cpu_time()
    }

    /// Returns the log bytes dropped since the last call of this method.
    pub fn take_log_bytes_dropped(&mut self) -> u64 {
        self.store.data_mut().log.take_dropped()
    }

    pub(super) fn answer(&mut self) -> Result<&mut Answer, Failure> {
        let answer = self.store.data_mut().answer.as_deref_mut();
        answer.ok_or_else(|| Failure::new(FailureCode::Trap, "the answer was lost (a fault of the host)"))
    }

    pub(super) fn call_export<P, R>(
        &mut self,
        export: &ComponentExportIndex,
        call: Call,
        params: P,
    ) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let func = self.find(export)?;
        self.invoke(func, call, params)
    }

    /// The function behind an export that was found when the component was loaded.
    pub(super) fn find(&mut self, export: &ComponentExportIndex) -> Result<Func, Failure> {
        find(&mut self.store, &self.instance, export).map_err(|error| Failure::of(&error, &Printed::default()))
    }

    /// Makes one call: sets the limits, empties the answer, and commits or rolls back the keyed state. `func`
    /// must be a function that `load` checked against the contract, with the parameters `P` and the results
    /// `R`.
    pub(super) fn invoke<P, R>(&mut self, func: Func, call: Call, params: P) -> Result<R, Failure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let value = self.invoke_open(func, call, params)?;
        self.store.data_mut().state.commit();
        Ok(value)
    }

    /// As [`Guest::invoke`], but a successful call does not commit the keyed state.
    pub(super) fn invoke_open<P, R>(&mut self, func: Func, call: Call, params: P) -> Result<R, Failure>
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
        // SAFETY: `load` compared the function's type with `P` and `R` (except for their lifetimes, which types
        // of the component model do not have). The safe `Func::typed` compares the types again at every call,
        // since a `TypedFunc` that borrows its parameters cannot be stored.
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
        data.edge = None;
        match result {
            Ok(value) => {
                data.say_what_was_written();
                Ok(value)
            }
            Err(error) => {
                data.state.roll_back();
                let printed = data.take_printed();
                Err(Failure::of(&error, &printed))
            }
        }
    }
}

/// Bound of the lists that the host copies out of the guest in one call (in wasmtime's measure, 128 MiB by
/// default).
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
