//! Metrics that the host publishes beside its own, labelled with operator and instance.
//!
//! A name matches `[a-zA-Z_][a-zA-Z0-9_]*` and has at most 64 bytes. An instance has at most 64 names. The host
//! drops and counts the others.
//!
//! Counters and gauges are collected during a call and sent to the host once, when the call returns, so
//! counting every record is cheap. A histogram sends each observation, which costs a call to the host (about
//! 0.1 µs).
//!
//! ```
//! use sage_guest::metrics;
//!
//! metrics::counter("flights_cancelled", 1);
//! metrics::gauge("open_windows", 12.0);
//! metrics::histogram("delay_minutes", 17.5);
//! ```

use std::cell::RefCell;

use crate::host;

thread_local! {
    static GATHERED: RefCell<Gathered> = const {
        RefCell::new(Gathered { counters: Vec::new(), gauges: Vec::new(), dirty: false })
    };
}

/// Values of this call that have not yet gone to the host. The names stay in the lists, so that their slots can
/// be found again.
struct Gathered {
    counters: Vec<(&'static str, u64)>,
    gauges: Vec<(&'static str, Option<f64>)>,
    dirty: bool,
}

/// Adds to a counter. Counters start at 0.
#[inline]
pub fn counter(name: &'static str, add: u64) {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.dirty = true;
        match gathered.counters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(add),
            None => gathered.counters.push((name, add)),
        }
    });
}

/// Sets a gauge. If a call sets a gauge several times, the last value counts.
#[inline]
pub fn gauge(name: &'static str, value: f64) {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.dirty = true;
        match gathered.gauges.iter_mut().find(|(known, _)| *known == name) {
            Some((_, last)) => *last = Some(value),
            None => gathered.gauges.push((name, Some(value))),
        }
    });
}

/// Records one observation.
#[inline]
pub fn histogram(name: &'static str, value: f64) {
    host::histogram(name, value);
}

/// Sends the collected values to the host. Every call ends with this function.
#[inline]
pub(crate) fn flush() {
    crate::edge::forget();
    GATHERED.with_borrow_mut(|gathered| {
        if gathered.dirty {
            gathered.dirty = false;
            gathered.tell();
        }
    });
}

impl Gathered {
    fn tell(&mut self) {
        for (name, sum) in &mut self.counters {
            if *sum > 0 {
                host::counter(name, *sum);
                *sum = 0;
            }
        }
        for (name, last) in &mut self.gauges {
            if let Some(value) = last.take() {
                host::gauge(name, value);
            }
        }
    }
}
