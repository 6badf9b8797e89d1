//! Numbers that the host publishes beside its own, labelled with operator and instance.
//!
//! Names are `[a-zA-Z_][a-zA-Z0-9_]*`, at most 64 bytes, at most 64 of them an instance; the host drops others and counts
//! the drops. Counters and gauges are gathered during a call and told once when it returns, so counting every record is cheap; a
//! histogram is told each observation, which costs a call to the host (about 0.1 µs).
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

/// What was said in this call and not yet told to the host. Names stay, so that their slots are found again.
struct Gathered {
    counters: Vec<(&'static str, u64)>,
    gauges: Vec<(&'static str, Option<f64>)>,
    dirty: bool,
}

/// Add to a counter, which starts at 0.
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

/// Set a gauge. Of several values in one call the last stands.
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

/// Record one observation.
#[inline]
pub fn histogram(name: &'static str, value: f64) {
    host::histogram(name, value);
}

/// Tell the host what this call gathered; every call ends with it.
#[inline]
pub(crate) fn flush() {
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
