use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sage_plan::config::TenantName;

use super::peer::Peer;

/// Limits on the rate of requests over TCP, and of failures to show who one is.
#[derive(Debug)]
pub struct Rates {
    requests: Limits<IpAddr>,
    failures: Limits<IpAddr>,
    tenants: BTreeMap<TenantName, Limits<()>>,
}

/// A number of things per second, of which several may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Things per second.
    pub per_second: u32,
    /// Things at once.
    pub at_once: u32,
}

impl Rate {
    /// A rate that allows twice as many things at once.
    #[must_use]
    pub const fn of(per_second: u32) -> Self {
        Self { per_second, at_once: per_second.saturating_mul(2) }
    }
}

impl Rates {
    /// Requests of a peer.
    pub const OF_PEER: Rate = Rate::of(200);
    /// Failures of a peer to show who it is.
    pub const FAILURES: Rate = Rate { per_second: 10, at_once: 10 };
    /// Requests of a tenant for which host.toml has no other number.
    pub const OF_TENANT: Rate = Rate::of(50);

    /// The limits of these tenants.
    #[must_use]
    pub fn new(tenants: impl Iterator<Item = (TenantName, Rate)>) -> Self {
        Self {
            requests: Limits::new(Self::OF_PEER),
            failures: Limits::new(Self::FAILURES),
            tenants: tenants.map(|(name, rate)| (name, Limits::new(rate))).collect(),
        }
    }

    /// Counts a request of a peer. `false`: it comes too early. On the unix socket there is no limit.
    #[must_use]
    pub fn take_request(&self, peer: Peer) -> bool {
        peer.network().is_none_or(|network| self.requests.take(network, IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Counts a failure of a peer to show who it is. `false`: there are too many.
    #[must_use]
    pub fn take_failure(&self, peer: Peer) -> bool {
        peer.network().is_none_or(|network| self.failures.take(network, IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Counts a request of a tenant. `false`: it comes too early.
    #[must_use]
    pub fn take_of_tenant(&self, tenant: &TenantName) -> bool {
        self.tenants.get(tenant).is_none_or(|limits| limits.take((), ()))
    }
}

/// A limit for each key, by the generic cell rate algorithm: a key is remembered by the time at which it would have
/// used up what it may, and a key whose time has passed needs no memory.
#[derive(Debug)]
struct Limits<K> {
    /// Time between two things at the full rate.
    pause: Duration,
    /// How far ahead of the full rate a key may be.
    ahead: Duration,
    keys: Mutex<Keys<K>>,
}

#[derive(Debug)]
struct Keys<K> {
    used_up: HashMap<K, Instant>,
    cleaned: Instant,
}

/// Keys that are remembered. Those beyond it share one limit.
const KEYS: usize = 16_384;
/// Pause between two looks for keys that need no memory any more.
const CLEAN: Duration = Duration::from_secs(1);

impl<K: Eq + std::hash::Hash> Limits<K> {
    fn new(rate: Rate) -> Self {
        let pause = Duration::from_secs(1) / rate.per_second.max(1);
        let keys = Keys { used_up: HashMap::new(), cleaned: Instant::now() };
        Self { pause, ahead: pause * rate.at_once.max(1), keys: Mutex::new(keys) }
    }

    fn take(&self, key: K, beyond: K) -> bool {
        self.take_at(key, beyond, Instant::now())
    }

    fn take_at(&self, key: K, beyond: K, now: Instant) -> bool {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.used_up.len() >= KEYS && now.saturating_duration_since(keys.cleaned) >= CLEAN {
            keys.used_up.retain(|_, used_up| *used_up > now);
            keys.cleaned = now;
        }
        let is_full = keys.used_up.len() >= KEYS && !keys.used_up.contains_key(&key);
        let key = if is_full { beyond } else { key };
        let used_up = keys.used_up.get(&key).copied().unwrap_or(now).max(now) + self.pause;
        let taken = used_up.saturating_duration_since(now) <= self.ahead;
        if taken {
            keys.used_up.insert(key, used_up);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_ahead_of_its_rate_by_what_it_may_do_at_once() {
        let limits = Limits::new(Rate { per_second: 10, at_once: 5 });
        let begin = Instant::now();
        let taken = |key: u32, after: u64| {
            let now = begin + Duration::from_millis(after);
            (0..100).filter(|_| limits.take_at(key, 0, now)).count()
        };
        assert_eq!(taken(1, 0), 5);
        assert_eq!(taken(2, 0), 5, "another key has a limit of its own");
        for (after, expected) in [(50, 0), (100, 1), (350, 2), (10_000, 5), (20_000, 5)] {
            assert_eq!(taken(1, after), expected, "after {after} ms");
        }
    }

    #[test]
    fn any_number_of_keys_takes_bounded_memory() {
        let limits = Limits::new(Rate::of(1));
        let begin = Instant::now();
        for key in 1..100_000u32 {
            let _ = limits.take_at(key, 0, begin);
        }
        assert!(!limits.take_at(7_000_000, 0, begin), "keys beyond the bound share one limit");
        assert!(limits.keys.lock().unwrap().used_up.len() <= KEYS + 1);
        assert!(limits.take_at(7_000_000, 0, begin + Duration::from_secs(60)));
        assert_eq!(limits.keys.lock().unwrap().used_up.len(), 1, "a key that is whole again is forgotten");
    }
}
