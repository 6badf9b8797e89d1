use std::collections::{BTreeMap, VecDeque};

/// Times that others may pass a job that found no room.
const PASSES: u32 = 16;
/// Milliseconds between two tries of jobs that found no room, if nothing has ended meanwhile. They double: a try starts
/// a process, and what runs beside the server ends unnoticed.
const RETRY: u64 = 1000;
/// Longest time between two tries.
const LONGEST_RETRY: u64 = 16 * RETRY;
/// The pass of a tenant of weight 1 grows by this with each start.
const STRIDE: u64 = 1 << 20;

/// The holder of the resources that a waiting job wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Others on the machine. After a number of smaller jobs that pass it, all wait for it.
    ByMachine,
    /// Other jobs of its tenant, whose ceiling leaves no more. Other tenants never wait for it.
    ByTenant,
}

/// Waiting jobs. `K` names a job, and `T` its tenant.
#[derive(Debug)]
pub struct FairQueue<T, K> {
    tenants: BTreeMap<T, Tenant<K>>,
    /// The pass of the last start, at which a tenant begins that had nothing to do.
    pass: u64,
    /// Ends so far. A job that found no room tries again after another one.
    ends: u64,
    retried: u64,
    pause: u64,
}

#[derive(Debug)]
struct Tenant<K> {
    weight: u32,
    pass: u64,
    jobs: VecDeque<Waiting<K>>,
}

#[derive(Debug)]
struct Waiting<K> {
    key: K,
    /// Who held what it asked for, and the number of ends then.
    blocked: Option<(Blocked, u64)>,
    passed: u32,
}

impl<T, K> Default for FairQueue<T, K> {
    fn default() -> Self {
        Self { tenants: BTreeMap::new(), pass: 0, ends: 0, retried: 0, pause: RETRY }
    }
}

impl<T: Ord + Clone, K: Clone + PartialEq> FairQueue<T, K> {
    /// Adds a job behind the others of its tenant. `blocked`: it found no room, and comes before the others instead.
    pub fn add(&mut self, tenant: &T, weight: u32, key: K, blocked: Option<Blocked>) {
        let (pass, ends) = (self.pass, self.ends);
        let entry =
            self.tenants.entry(tenant.clone()).or_insert_with(|| Tenant { weight, pass, jobs: VecDeque::new() });
        entry.weight = weight.max(1);
        if entry.jobs.is_empty() {
            // Time without jobs earns nothing.
            entry.pass = entry.pass.max(pass);
        }
        if entry.jobs.iter().any(|waiting| waiting.key == key) {
            return;
        }
        if let Some(by) = blocked {
            // What it was charged for its turn is given back.
            entry.pass = entry.pass.saturating_sub(STRIDE / u64::from(entry.weight));
            entry.jobs.push_front(Waiting { key, blocked: Some((by, ends)), passed: 0 });
        } else {
            entry.jobs.push_back(Waiting { key, blocked: None, passed: 0 });
        }
    }

    /// Removes a job.
    pub fn remove(&mut self, key: &K) {
        for tenant in self.tenants.values_mut() {
            tenant.jobs.retain(|waiting| waiting.key != *key);
        }
    }

    /// A job has ended, and what it held may be free.
    pub fn ended(&mut self) {
        self.ends += 1;
        self.pause = RETRY;
    }

    /// Number of waiting jobs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.jobs.len()).sum()
    }

    /// Whether no job waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Jobs of the same tenant in front of this one; `None` if it does not wait.
    #[must_use]
    pub fn ahead(&self, key: &K) -> Option<usize> {
        self.tenants.values().find_map(|tenant| tenant.jobs.iter().position(|waiting| waiting.key == *key))
    }

    /// Takes the job whose turn it is, if any may try now. Jobs of a tenant that may not start one now wait without a
    /// turn.
    pub fn choose(&mut self, now: u64, may_start: impl Fn(&T) -> bool) -> Option<K> {
        let mut order: Vec<(u64, T)> = self
            .tenants
            .iter()
            .filter(|(name, tenant)| !tenant.jobs.is_empty() && may_start(name))
            .map(|(name, tenant)| (tenant.pass, name.clone()))
            .collect();
        order.sort();
        let retry = now >= self.retried.saturating_add(self.pause);
        let mut passed: Vec<(T, usize)> = Vec::new();
        for (_, name) in order {
            let Some(tenant) = self.tenants.get_mut(&name) else { continue };
            for at in 0..tenant.jobs.len() {
                let Some(waiting) = tenant.jobs.get(at) else { break };
                let is_retry = waiting.blocked.is_some_and(|(_, ends)| ends == self.ends);
                if is_retry && !retry {
                    if waiting.passed >= PASSES {
                        match waiting.blocked {
                            Some((Blocked::ByTenant, _)) => break,
                            _ => return None,
                        }
                    }
                    passed.push((name.clone(), at));
                    continue;
                }
                if is_retry {
                    self.retried = now;
                    self.pause = (2 * self.pause).min(LONGEST_RETRY);
                }
                tenant.pass += STRIDE / u64::from(tenant.weight);
                self.pass = tenant.pass;
                let chosen = tenant.jobs.remove(at).map(|waiting| waiting.key);
                self.count_passes(&passed);
                return chosen;
            }
        }
        None
    }

    fn count_passes(&mut self, passed: &[(T, usize)]) {
        for (name, at) in passed {
            if let Some(waiting) = self.tenants.get_mut(name).and_then(|tenant| tenant.jobs.get_mut(*at)) {
                waiting.passed += 1;
            }
        }
    }
}
