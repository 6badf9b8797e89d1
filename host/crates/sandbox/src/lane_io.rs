use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::time::timeout;

use super::deadline::Deadline;
use super::helper_clock::HelperClock;
use sage_plan::Capabilities;

/// Most threads that a lane has beside its own, if its guests were granted folders or addresses.
pub const MOST_THREADS_OF_A_LANE: u32 = 4;

/// Runs the asynchronous imports of one lane's guests. File operations run on a thread of the lane. Their CPU
/// time therefore counts as the guest's, and a file that does not answer blocks that thread and not the lane.
///
/// **Waiting.** The lane waits for the thread in short pieces and checks its deadline between them. When the
/// deadline is over, the lane leaves the thread behind, and the next guest of the lane gets another thread. The
/// old thread ends when the file answers, or with the process.
///
/// **Bounds.** A lane has at most [`MOST_THREADS_OF_A_LANE`] threads, including the ones that were left behind.
/// A guest that would need one more does not start.
///
/// A guest without folders and addresses waits only for clocks and its own output. Such waits need no other
/// thread. The runtime and its threads are created on first use.
#[derive(Debug)]
pub(super) struct LaneIo {
    runtime: OnceLock<Runtime>,
    clock: Arc<HelperClock>,
    needs: Needs,
    /// A thread was left behind.
    is_stuck: AtomicBool,
}

/// The resources that the guests were granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Clocks,
    Files,
    /// Sockets. The runtime drives them between calls too.
    Sockets,
}

impl Needs {
    fn threads(self) -> usize {
        match self {
            Self::Clocks => 0,
            Self::Files => 1,
            Self::Sockets => 2,
        }
    }
}

impl LaneIo {
    const MOST_THREADS: usize = MOST_THREADS_OF_A_LANE as usize;

    /// Returns the runtime of a lane's first guest, or of the guest that follows one. Threads that were left
    /// behind keep counting.
    ///
    /// # Errors
    /// Too many threads were left behind.
    pub(super) fn after(before: Option<Arc<Self>>, granted: &Capabilities) -> Result<Arc<Self>, String> {
        let clock: Arc<HelperClock> = match before {
            Some(before) if !before.is_stuck.load(Ordering::Relaxed) => return Ok(before),
            Some(before) => Arc::clone(&before.clock),
            None => Arc::default(),
        };
        let needs = match (granted.folders.is_empty(), granted.connect.is_empty()) {
            (true, true) => Needs::Clocks,
            (false, true) => Needs::Files,
            (_, false) => Needs::Sockets,
        };
        if needs.threads() > 0 && clock.threads() + needs.threads() > Self::MOST_THREADS {
            return Err(format!(
                "{} threads of the lane wait for files in its folders that do not answer, at most {} may be",
                clock.threads(),
                Self::MOST_THREADS
            ));
        }
        Ok(Arc::new(Self { runtime: OnceLock::new(), clock, needs, is_stuck: AtomicBool::new(false) }))
    }

    /// The CPU time of the lane's other threads.
    pub(super) fn clock(&self) -> &Arc<HelperClock> {
        &self.clock
    }

    /// A clone of this runtime if a call must [enter](LaneIo::enter) it. A clone costs a tenth of a call.
    pub(super) fn with_sockets(self: &Arc<Self>) -> Option<Arc<Self>> {
        (self.needs == Needs::Sockets).then(|| Arc::clone(self))
    }

    /// Enters the runtime for the whole of a call: a socket must be created inside the runtime that drives it.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn enter(&self) -> wasmtime::Result<Option<EnterGuard<'_>>> {
        if self.needs == Needs::Sockets { self.runtime().map(|runtime| Some(runtime.enter())) } else { Ok(None) }
    }

    fn runtime(&self) -> wasmtime::Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let (joins, leaves) = (Arc::clone(&self.clock), Arc::clone(&self.clock));
        let mut builder = match self.needs {
            Needs::Clocks | Needs::Files => Builder::new_current_thread(),
            Needs::Sockets => Builder::new_multi_thread(),
        };
        if self.needs == Needs::Sockets {
            builder.worker_threads(1).enable_all();
        }
        let runtime = builder
            .max_blocking_threads(1)
            .enable_time()
            .thread_name("sage-files")
            .on_thread_start(move || joins.join())
            .on_thread_stop(move || leaves.leave())
            .build()?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    /// Runs `act`, which may pass work to the lane's thread and does not wait.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn beside<R>(&self, act: impl FnOnce() -> R) -> wasmtime::Result<R> {
        let _here = self.runtime()?.enter();
        Ok(act())
    }

    /// Waits for a future while the call has time left and the run goes on.
    ///
    /// # Errors
    /// The reason why the wait ended. The operation is left behind.
    pub(super) fn wait<T>(&self, deadline: &mut Deadline, what: impl Future<Output = T>) -> wasmtime::Result<T> {
        let waits = async {
            let mut what = pin!(what);
            loop {
                if let Ok(done) = timeout(deadline.waits()?, &mut what).await {
                    return Ok(done);
                }
                deadline.look()?;
            }
        };
        self.runtime()?.block_on(waits).inspect_err(|_| self.is_stuck.store(true, Ordering::Relaxed))
    }
}

impl Drop for LaneIo {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A normal shutdown would wait for a file that does not answer.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use wasmtime_wasi::runtime::spawn_blocking;

    use super::*;
    use crate::failure::{FailureCode, HostTrap};
    use crate::stop::Stop;
    use sage_machine::thread_cpu_time;
    use sage_plan::FolderGrant;

    fn granted() -> Capabilities {
        let folder = FolderGrant { host: "/".into(), guest: "/".to_owned(), write: false };
        Capabilities { folders: vec![folder], ..Capabilities::default() }
    }

    fn deadline(cpu: Duration, time: Duration, io: &LaneIo) -> Deadline {
        Deadline::new((cpu, time), None, Stop::default(), Arc::clone(io.clock()))
    }

    fn code(error: &wasmtime::Error) -> FailureCode {
        error.downcast_ref::<HostTrap>().unwrap().code
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_a_lanes_thread_uses_counts_as_the_calls() {
        let io = LaneIo::after(None, &granted()).unwrap();
        let mut deadline = deadline(Duration::from_millis(10), LONG, &io);
        deadline.begin_instance();
        let reads = async {
            spawn_blocking(|| {
                let before = thread_cpu_time();
                while thread_cpu_time() - before < Duration::from_millis(12) {
                    std::hint::spin_loop();
                }
            })
            .await;
        };
        // The limit is noticed during the wait, or by the check after it.
        let read = io.wait(&mut deadline, reads).and_then(|()| deadline.look().map(drop));
        assert_eq!(code(&read.unwrap_err()), FailureCode::CpuTime);
    }

    #[test]
    fn a_file_that_does_not_answer_holds_its_thread_and_not_the_lane() {
        let mut io = LaneIo::after(None, &granted()).unwrap();
        let mut held = Vec::new();
        for left in 1..=LaneIo::MOST_THREADS {
            let mut deadline = deadline(LONG, Duration::from_millis(20), &io);
            let (answer, answers) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            held.push(answer);
            let hangs = async {
                spawn_blocking(move || {
                    tell.send(()).unwrap();
                    answers.recv()
                })
                .await
            };
            deadline.begin();
            assert_eq!(code(&io.wait(&mut deadline, hangs).unwrap_err()), FailureCode::Timeout);
            told.recv().unwrap();
            match LaneIo::after(Some(Arc::clone(&io)), &granted()) {
                Ok(next) => io = next,
                Err(error) => {
                    assert_eq!(left, LaneIo::MOST_THREADS);
                    assert!(error.starts_with("4 threads of the lane wait for files"), "{error}");
                }
            }
        }
        drop(held);
        // The threads end when their files answer.
        while LaneIo::after(Some(Arc::clone(&io)), &granted()).is_err() {
            std::thread::yield_now();
        }
    }
}
