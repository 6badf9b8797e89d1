use std::time::{Duration, Instant};

use super::thread_cpu_time;

/// A share of one CPU for one lane, enforced by sleeping. The lane calls [`CpuShare::pace`] every millisecond
/// or two and sleeps for the duration that the call returns.
///
/// The method is a token bucket over the CPU clock of the lane's thread. The bucket is filled at the share's
/// rate and emptied by the CPU time that the thread uses. When the level falls below zero, the thread sleeps
/// until the bucket holds enough for its part of a period (20 ms), so work and sleep alternate about fifty
/// times a second. Idle time saves up at most 40 ms of filling. A long stretch without a call (a bulk memory
/// operation) becomes a debt that the thread sleeps off in full.
///
/// **Precision.** In any second the thread uses at most its share, the saved-up amount (4 % of the share),
/// and the time used between two calls of `pace` at the end. A thread that is always busy gets its share,
/// less its oversleeping beyond the 20 ms that the saved-up amount covers. With one or two milliseconds
/// between calls, the result is within 10 % of the share from 0.05 CPUs up. Below 0.05 CPUs, the rate is
/// lowered by up to 10 % so that the upper bound holds down to [`CpuShare::SMALLEST_EXACT`].
///
/// **Not bounded.** A single stretch between two calls is not bounded: code that cannot be interrupted uses
/// its time first and pays later. `CpuShare` does not decide on which CPU the thread runs and does not make
/// sure that a CPU is free for it; admission adds up the shares.
///
/// The value belongs to the lane's thread. Call it from the same thread always, because it reads the calling
/// thread's clock.
#[derive(Debug)]
pub struct CpuShare {
    /// The requested share, in CPU seconds per second.
    share: f64,
    /// The level of the bucket, in CPU seconds; below zero is debt.
    level: f64,
    /// The longest recent use between two calls, in CPU seconds.
    stride: f64,
    last: Option<Reading>,
}

/// The values of both clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Instant,
    cpu: Duration,
}

impl CpuShare {
    /// The smallest share, in 1/10,000, that is enforced to within 10 %. For a smaller share, the use between
    /// two ticks of the calling clock (2 ms at worst) is more than the tolerance.
    pub const SMALLEST_EXACT: u32 = 200;
    /// One round of work and sleep. Long enough that waking costs little (60 µs on the development machine),
    /// short enough that a lane never seems to stall.
    const PERIOD: Duration = Duration::from_millis(20);
    /// The wall time over which the share can be saved up: the loss of oversleeping by a whole period, and 4
    /// % of a second.
    const SAVED_UP: Duration = Duration::from_millis(40);
    /// The allowed relative deviation from the share in a second.
    const TOLERANCE: f64 = 0.1;
    /// The factor by which the longest stride decays from one call to the next: one half after about 70
    /// calls.
    const MEMORY_OF_STRIDES: f64 = 0.99;

    /// Creates a share in 1/10,000 of a CPU. A share of 10,000 or more never sleeps.
    #[must_use]
    pub fn new(ten_thousandths: u32) -> Self {
        let share = f64::from(ten_thousandths.max(1)) / 10_000.0;
        Self { share, level: 0.0, stride: 0.0, last: None }
    }

    /// The time that the calling thread must sleep now; `None` if the thread may continue. A call reads two
    /// clocks and takes about 300 ns.
    pub fn pace(&mut self) -> Option<Duration> {
        self.pace_with(Duration::ZERO)
    }

    /// Like [`CpuShare::pace`], for work that also uses CPU time on other threads. `elsewhere` is the CPU
    /// time of all those threads since the beginning.
    pub fn pace_with(&mut self, elsewhere: Duration) -> Option<Duration> {
        self.pace_at(Reading { wall: Instant::now(), cpu: thread_cpu_time() + elsewhere })
    }

    fn pace_at(&mut self, now: Reading) -> Option<Duration> {
        if self.share >= 1.0 {
            return None;
        }
        let Some(last) = self.last.replace(now) else {
            self.level = self.enough();
            return None;
        };
        let passed = now.wall.saturating_duration_since(last.wall).as_secs_f64();
        let used = now.cpu.saturating_sub(last.cpu).as_secs_f64();
        self.stride = used.max(self.stride * Self::MEMORY_OF_STRIDES);
        // The inflow of idle time is capped, and is added first: idle time must not pay for more than the
        // saved-up amount. The inflow of running time is less than the outflow.
        let rate = self.rate();
        let idle = (passed - used).max(0.0);
        self.level = (self.level + idle * rate).min(self.share * Self::SAVED_UP.as_secs_f64()) - used * (1.0 - rate);
        if self.level > 0.0 {
            return None;
        }
        let missing = self.enough() - self.level;
        Some(Duration::from_secs_f64((missing / rate).min(Self::LONGEST_SLEEP.as_secs_f64())))
    }

    /// The longest single sleep. A debt is slept off in pieces so that the lane notices a drain; the next
    /// call returns the rest.
    const LONGEST_SLEEP: Duration = Duration::from_millis(250);

    /// The level at which the thread continues: the work part of a period.
    fn enough(&self) -> f64 {
        self.share * (1.0 - self.share) * Self::PERIOD.as_secs_f64()
    }

    /// The inflow in CPU seconds per second. The inflow equals the share, or less if one stride is larger
    /// than the tolerance of a second, and is never lower than the tolerance allows.
    fn rate(&self) -> f64 {
        let saved_up = self.share * Self::SAVED_UP.as_secs_f64();
        let upper = self.share * (1.0 + Self::TOLERANCE) - self.stride - saved_up;
        upper.clamp(self.share * (1.0 - Self::TOLERANCE), self.share)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use sage_test_support::{Need, skip};

    use super::*;

    /// Points of (wall time, CPU time used until then).
    type Track = Vec<(Duration, Duration)>;

    /// Simulates a thread on artificial clocks: it works in strides of `stride`, oversleeps by `late`, and is
    /// idle in the range `idle`.
    fn simulated(ten_thousandths: u32, stride: Duration, late: Duration, idle: std::ops::Range<f64>) -> Track {
        let start = Instant::now();
        let mut share = CpuShare::new(ten_thousandths);
        let (mut wall, mut cpu) = (Duration::ZERO, Duration::ZERO);
        let mut track = vec![(wall, cpu)];
        while wall < Duration::from_secs(5) {
            match share.pace_at(Reading { wall: start + wall, cpu }) {
                Some(sleep) => wall += sleep + late,
                None if idle.contains(&wall.as_secs_f64()) => wall = Duration::from_secs_f64(idle.end),
                None => {
                    wall += stride;
                    cpu += stride;
                }
            }
            track.push((wall, cpu));
        }
        track
    }

    /// The most and the least CPU seconds in any second of a track; the least is taken outside `except`. The
    /// use is piecewise linear in time, so the extremes are at seconds that begin or end at a point of the
    /// track.
    fn any_second(track: &Track, except: &std::ops::Range<f64>) -> (f64, f64) {
        let points: Vec<_> = track.iter().map(|(wall, cpu)| (wall.as_secs_f64(), cpu.as_secs_f64())).collect();
        let used_by = |time: f64| {
            let next = points.partition_point(|point| point.0 <= time).clamp(1, points.len() - 1);
            let ((t0, c0), (t1, c1)) = (points[next - 1], points[next]);
            if t1 > t0 { c0 + (c1 - c0) * ((time - t0) / (t1 - t0)).min(1.0) } else { c1 }
        };
        let end = points[points.len() - 1].0;
        let (mut most, mut least) = (0.0_f64, f64::INFINITY);
        for from in points.iter().flat_map(|point| [point.0, point.0 - 1.0]) {
            if from < points[0].0 || from + 1.0 > end {
                continue;
            }
            let used = used_by(from + 1.0) - used_by(from);
            most = most.max(used);
            if from + 1.0 < except.start || from > except.end {
                least = least.min(used);
            }
        }
        (most, least)
    }

    #[test]
    fn any_second_holds_the_share_to_within_a_tenth() {
        let (millisecond, idle) = (Duration::from_millis(1), 1.5..3.0);
        for ten_thousandths in [500, 1_000, 2_500, 3_333, 5_000, 7_500, 9_000, 9_900] {
            let share = f64::from(ten_thousandths) / 10_000.0;
            for stride in [millisecond / 4, millisecond, 2 * millisecond] {
                for late in [Duration::ZERO, millisecond / 10, 5 * millisecond, 15 * millisecond] {
                    let track = simulated(ten_thousandths, stride, late, idle.clone());
                    let (most, least) = any_second(&track, &idle);
                    let case = format!("share {share}, strides of {stride:?}, {late:?} late: {least} to {most}");
                    assert!(most <= share * 1.1, "{case}");
                    assert!(least >= share * 0.9 - 0.002, "{case}");
                }
            }
        }
    }

    #[test]
    fn a_share_of_a_hundredth_is_not_passed_by_strides_of_a_millisecond() {
        let track = simulated(100, Duration::from_millis(1), Duration::from_micros(60), 1.5..3.0);
        let (most, least) = any_second(&track, &(1.5..3.0));
        assert!((0.008..=0.011).contains(&most) && least >= 0.008, "{least} to {most}");
    }

    #[test]
    fn a_long_stretch_is_paid_for_in_full() {
        let start = Instant::now();
        let mut share = CpuShare::new(2_500);
        assert_eq!(share.pace_at(Reading { wall: start, cpu: Duration::ZERO }), None);
        // 300 ms without a call, as in one huge memory copy. That is 225 ms too much, which needs 900 ms of
        // inflow, and up to a tenth more because a stride this long lowers the rate.
        let cpu = Duration::from_millis(300);
        let mut wall = cpu;
        let mut slept = Duration::ZERO;
        while let Some(sleep) = share.pace_at(Reading { wall: start + wall, cpu }) {
            assert!(sleep <= CpuShare::LONGEST_SLEEP);
            wall += sleep;
            slept += sleep;
        }
        let slept = slept.as_secs_f64();
        assert!((0.9..=1.05).contains(&slept), "slept {slept} s");
    }

    #[test]
    fn a_whole_cpu_never_sleeps() {
        let start = Instant::now();
        let mut share = CpuShare::new(10_000);
        for seconds in 0..10 {
            let at = Duration::from_secs(seconds);
            assert_eq!(share.pace_at(Reading { wall: start + at, cpu: at }), None);
        }
    }

    /// Uses the real clocks and a thread that never yields. The upper bound is strict under any load of the
    /// machine; the lower bound forgives the time that the thread waited for a free CPU.
    #[test]
    fn a_spinning_thread_is_held_to_its_share() {
        let length = Duration::from_millis(2_200);
        let threads = [500, 2_500, 5_000, 9_000].map(|share| (share, thread::spawn(move || spin(share, length))));
        for (ten_thousandths, thread) in threads {
            let share = f64::from(ten_thousandths) / 10_000.0;
            let (track, waited) = thread.join().unwrap();
            let (most, _) = any_second(&track, &(0.0..0.0));
            assert!(most <= share * 1.1, "a share of {share} used {most} s in one second");
            let (wall, used) = track[track.len() - 1];
            let (wall, used) = (wall.as_secs_f64(), used.as_secs_f64());
            match waited {
                Some(waited) => assert!(
                    used + waited.as_secs_f64() >= share * 0.9 * wall,
                    "a share of {share} got {used} s in {wall} s, and waited {waited:?}"
                ),
                None => skip(Need::Schedstat, "the lower bound needs the time that a thread waited for a CPU"),
            }
        }
    }

    /// Uses CPU time as far as the share allows. Returns the track, and the time that the thread waited for a
    /// CPU.
    fn spin(ten_thousandths: u32, length: Duration) -> (Track, Option<Duration>) {
        let mut share = CpuShare::new(ten_thousandths);
        let (started, cpu_before, waited_before) = (Instant::now(), thread_cpu_time(), waited_for_a_cpu());
        let mut track = vec![(Duration::ZERO, Duration::ZERO)];
        while started.elapsed() < length {
            let stride = thread_cpu_time();
            while thread_cpu_time() - stride < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            track.push((started.elapsed(), thread_cpu_time() - cpu_before));
            if let Some(sleep) = share.pace() {
                thread::sleep(sleep);
                track.push((started.elapsed(), thread_cpu_time() - cpu_before));
            }
        }
        (track, waited_for_a_cpu().zip(waited_before).map(|(after, before)| after - before))
    }

    /// The second number of schedstat: nanoseconds in which this thread was ready but had no CPU.
    fn waited_for_a_cpu() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').nth(1)?.parse().ok().map(Duration::from_nanos)
    }
}
