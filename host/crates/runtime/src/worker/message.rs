//! The messages between a lane and its guest in another process. A request is a number for its kind, followed
//! by its content. An answer begins with a [`Report`] of the result and the measurements.

use std::time::Duration;

use sage_batch::wire::{WireError, WireReader, WireWriter, get_text, get_u64, put_bytes, put_u64};
use sage_observe::{GuestMetrics, Observations, Series};
use sage_sandbox::{Failure, FailureCode, KeptLines, LogLine, Progress};

/// The kinds of requests. They are answered in order.
pub(super) mod ask {
    /// Start a guest and replace any earlier one. The answer of a source has its position.
    pub(in crate::worker) const START: u64 = 1;
    /// Process the batch that follows the number of its edge. After a failure of the guest there is no answer, because
    /// the failure was the answer.
    pub(in crate::worker) const CALL: u64 = 2;
    /// A source: make more records. The limits on records and bytes follow.
    pub(in crate::worker) const NEXT: u64 = 3;
    /// The input has ended.
    pub(in crate::worker) const END: u64 = 4;
    /// A source: continue from the position that follows.
    pub(in crate::worker) const SEEK: u64 = 5;
    /// Close the guest.
    pub(in crate::worker) const CLOSE: u64 = 6;
    /// A part of the keyed state of an earlier worker follows. Sent before START.
    pub(in crate::worker) const STATE: u64 = 7;
    /// window: raise the watermark to the time that follows, and finish as many windows as the number behind it.
    pub(in crate::worker) const ADVANCE: u64 = 8;
}

/// Maximum bytes of a message, panic text or log line that is accepted. The worker itself cuts them at 8 KiB.
const LONGEST_TEXT: u64 = 64 << 10;
/// Maximum bytes of the position of a source.
pub(super) const LONGEST_POSITION: u64 = 16 << 20;

/// The result of a request, and the measurements since the last one.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    pub(super) failure: Option<Failure>,
    /// Current and peak bytes of the instance's memory.
    pub(super) memory: (u64, u64),
    pub(super) cpu: Duration,
    pub(super) throttled: Duration,
    pub(super) log_bytes_dropped: u64,
    pub(super) lines: Vec<LogLine>,
    pub(super) numbers: Vec<(String, Series)>,
    /// Updates of these metrics that were dropped.
    pub(super) numbers_dropped: u64,
}

impl Report {
    pub(super) fn write(&self, to: &mut impl WireWriter) -> Result<(), WireError> {
        put_u64(to, self.memory.0)?;
        put_u64(to, self.memory.1)?;
        put_time(to, self.cpu)?;
        put_time(to, self.throttled)?;
        put_u64(to, self.log_bytes_dropped)?;
        put_u64(to, self.numbers_dropped)?;
        put_count(to, self.lines.len(), KeptLines::MOST)?;
        for (level, line) in self.lines.iter().take(KeptLines::MOST) {
            put_u64(to, level_number(*level))?;
            put_bytes(to, line.as_bytes())?;
        }
        put_count(to, self.numbers.len(), GuestMetrics::MOST)?;
        for (name, series) in self.numbers.iter().take(GuestMetrics::MOST) {
            put_bytes(to, name.as_bytes())?;
            put_series(to, series)?;
        }
        match &self.failure {
            None => put_u64(to, 0),
            Some(Failure { code, message, backtrace, .. }) => {
                put_u64(to, 1)?;
                put_bytes(to, code.name().as_bytes())?;
                put_bytes(to, cut(message).as_bytes())?;
                put_bytes(to, cut(backtrace.as_deref().unwrap_or_default()).as_bytes())
            }
        }
    }

    pub(super) fn read(from: &mut impl WireReader) -> Result<Self, WireError> {
        let memory = (get_u64(from)?, get_u64(from)?);
        let (cpu, throttled) = (get_time(from)?, get_time(from)?);
        let (log_bytes_dropped, numbers_dropped) = (get_u64(from)?, get_u64(from)?);
        let mut report = Self { memory, cpu, throttled, log_bytes_dropped, numbers_dropped, ..Self::default() };
        let mut left = KeptLines::MOST_BYTES as u64;
        for _ in 0..get_count(from, "log lines", KeptLines::MOST)? {
            let line = (level(get_u64(from)?)?, get_text(from, LONGEST_TEXT.min(left))?);
            left = left.saturating_sub(line.1.len() as u64);
            report.lines.push(line);
        }
        for _ in 0..get_count(from, "numbers", GuestMetrics::MOST)? {
            report.numbers.push((get_text(from, GuestMetrics::LONGEST as u64)?, get_series(from)?));
        }
        if get_u64(from)? != 0 {
            let name = get_text(from, LONGEST_TEXT)?;
            let code = FailureCode::named(&name)
                .ok_or_else(|| WireError::broken(format!("no failure has the code {:?}", cut(&name))))?;
            let message = get_text(from, LONGEST_TEXT)?;
            let backtrace = Some(get_text(from, LONGEST_TEXT)?).filter(|text| !text.is_empty());
            report.failure = Some(Failure { backtrace, ..Failure::new(code, message) });
        }
        Ok(report)
    }
}

pub(super) fn put_progress(to: &mut impl WireWriter, progress: Progress) -> Result<(), WireError> {
    let (what, rest) = match progress {
        Progress::More => (0, 0),
        Progress::Idle(time) => (1, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        Progress::End => (2, 0),
    };
    put_u64(to, what)?;
    put_u64(to, rest)
}

pub(super) fn get_progress(from: &mut impl WireReader) -> Result<Progress, WireError> {
    let (what, rest) = (get_u64(from)?, get_u64(from)?);
    match what {
        0 => Ok(Progress::More),
        // The sandbox limits the rest that a source may ask for to one second.
        1 => Ok(Progress::Idle(Duration::from_millis(rest.min(1000)))),
        2 => Ok(Progress::End),
        other => Err(WireError::broken(format!("a progress of {other}"))),
    }
}

fn put_series(to: &mut impl WireWriter, series: &Series) -> Result<(), WireError> {
    match series {
        Series::Counter(sum) => {
            put_u64(to, 0)?;
            put_u64(to, *sum)
        }
        Series::Gauge(value) => {
            put_u64(to, 1)?;
            put_u64(to, value.to_bits())
        }
        Series::Histogram(observations) => {
            put_u64(to, 2)?;
            observations.buckets.iter().try_for_each(|bucket| put_u64(to, *bucket))?;
            put_u64(to, observations.count)?;
            put_u64(to, observations.sum.to_bits())
        }
    }
}

fn get_series(from: &mut impl WireReader) -> Result<Series, WireError> {
    match get_u64(from)? {
        0 => Ok(Series::Counter(get_u64(from)?)),
        1 => Ok(Series::Gauge(f64::from_bits(get_u64(from)?))),
        2 => {
            let mut observations = Box::<Observations>::default();
            for bucket in &mut observations.buckets {
                *bucket = get_u64(from)?;
            }
            observations.count = get_u64(from)?;
            observations.sum = f64::from_bits(get_u64(from)?);
            Ok(Series::Histogram(observations))
        }
        other => Err(WireError::broken(format!("a number of kind {other}"))),
    }
}

fn put_time(to: &mut impl WireWriter, time: Duration) -> Result<(), WireError> {
    put_u64(to, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn get_time(from: &mut impl WireReader) -> Result<Duration, WireError> {
    get_u64(from).map(Duration::from_nanos)
}

fn put_count(to: &mut impl WireWriter, len: usize, most: usize) -> Result<(), WireError> {
    put_u64(to, len.min(most) as u64)
}

fn get_count(from: &mut impl WireReader, what: &str, most: usize) -> Result<u64, WireError> {
    let count = get_u64(from)?;
    if count <= most as u64 {
        return Ok(count);
    }
    Err(WireError::broken(format!("{count} {what} with one answer, at most {most} were expected")))
}

fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(LONGEST_TEXT as usize);
    text.get(..end).unwrap_or_default()
}

fn level_number(level: tracing::Level) -> u64 {
    match level {
        tracing::Level::TRACE => 0,
        tracing::Level::DEBUG => 1,
        tracing::Level::INFO => 2,
        tracing::Level::WARN => 3,
        tracing::Level::ERROR => 4,
    }
}

fn level(number: u64) -> Result<tracing::Level, WireError> {
    Ok(match number {
        0 => tracing::Level::TRACE,
        1 => tracing::Level::DEBUG,
        2 => tracing::Level::INFO,
        3 => tracing::Level::WARN,
        4 => tracing::Level::ERROR,
        other => return Err(WireError::broken(format!("a log level of {other}"))),
    })
}
