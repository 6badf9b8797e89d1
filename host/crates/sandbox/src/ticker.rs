use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// The clock that stops running guests. Its thread raises the engine's epoch once a millisecond while at least
/// one guest is [`Awake`], and sleeps otherwise: ticking costs about 0.5 % of a CPU, too much for an idle
/// worker process.
///
/// **Waiting and waking.** The thread parks after [`GRACE`] ticks without an awake guest. The first guest that
/// wakes up unparks it. A wake-up between the thread's last check and its parking is not lost: if a thread is
/// unparked before it parks, its next park returns at once.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    awake: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Makes guests of the engine [`Awake`]. Does not keep the clock alive.
#[derive(Debug, Clone)]
pub(super) struct Alarm {
    shared: Weak<Shared>,
    thread: Option<Thread>,
}

/// The mark of a guest that runs, or will run within a moment. The clock ticks while this value exists.
#[derive(Debug)]
pub(super) struct Awake(Arc<Shared>);

/// Time between two checks of a running guest. With 1 ms, an endless loop was stopped 2 ms after its limit
/// (median).
const TICK: Duration = Duration::from_millis(1);
/// Number of ticks without an awake guest before the thread parks. Short waits for input then cost no wake-up. A longer
/// time would cost an idle guest more than it saves: with 20, a record each second cost 20 wake-ups.
const GRACE: u32 = 3;

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            awake: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let seen = Arc::clone(&shared);
        let thread = thread::Builder::new().name("sage-ticker".to_owned()).spawn(move || seen.tick(&engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn alarm(&self) -> Alarm {
        let thread = self.thread.as_ref().map(|thread| thread.thread().clone());
        Alarm { shared: Arc::downgrade(&self.shared), thread }
    }
}

impl Shared {
    fn tick(&self, engine: &Engine) {
        let mut quiet = 0;
        while !self.stop.load(Ordering::SeqCst) {
            if self.awake.load(Ordering::SeqCst) > 0 {
                quiet = 0;
            } else if quiet < GRACE {
                quiet += 1;
            } else {
                self.parked.store(true, Ordering::SeqCst);
                // The count is read again after `parked` is set: a guest that wakes up from here on sees that
                // it must unpark the thread.
                if self.awake.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst) {
                    thread::park();
                }
                self.parked.store(false, Ordering::SeqCst);
                continue;
            }
            thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}

impl Alarm {
    /// Keeps the clock ticking while the result exists; `None` if the engine is gone.
    pub(super) fn wake(&self) -> Option<Awake> {
        let shared = self.shared.upgrade()?;
        shared.awake.fetch_add(1, Ordering::SeqCst);
        if shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.unpark();
        }
        Some(Awake(shared))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.awake.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread cannot panic. It checks the flag every millisecond, or when it is unparked.
            let _ = thread.join();
        }
    }
}
