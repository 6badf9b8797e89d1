use super::examination::{Examination, in_full};
use crate::engine::JobOptions;
use sage_machine::{Amounts, Claim, CpuSet, LeaseFolder, LeaseScope, ResourceError, Tier, counted};
use sage_plan::config::HostSettings;

/// The name in the claim of this test, which claims no resources.
const NAME: &str = "doctor";

const FOR_ALL: &str = "for a folder that all users share, once, as root: install -d -m 1777 /run/lock/sage-host";
/// The hint for the hard tier: other users can neither write to the folder, nor open it and hold its locks.
const FOR_ROOT: &str = "for leases that no other user can take away, run pipelines as root with a folder of root's \
                        own: install -d -m 0700 /run/sage-host, and lease_folder = \"/run/sage-host\" in host.toml; \
                        all runs of the machine must use it";

/// Locks the machine's ledger, writes an empty claim into it, reads the claim back and frees it.
pub(super) fn examine(options: &JobOptions, settings: &HostSettings) -> Examination {
    let examined = |found, mechanism: String, detail, hint: Option<&str>| Examination {
        name: "lease folder",
        found,
        needed: Tier::Cooperative,
        mechanism,
        detail,
        hint: hint.map(str::to_owned),
    };
    let folder = match options.lease_folder(settings) {
        Ok(folder) => folder,
        Err(error) => return examined(Tier::None, "flock".to_owned(), in_full(&error), error.hint()),
    };
    let mechanism = format!("flock in {}", folder.path().display());
    let runs = match claim(&folder) {
        Ok(runs) => runs,
        Err(error) => return examined(Tier::None, mechanism, in_full(&error), error.hint()),
    };
    let others = match runs {
        0 => "no run holds anything now".to_owned(),
        runs => format!("{} there now", counted(runs, "run")),
    };
    let place = match folder.place() {
        Ok(place) => place,
        Err(error) => return examined(Tier::None, mechanism, in_full(&error), error.hint()),
    };
    let why = place.why.map(|why| format!("; {why}")).unwrap_or_default();
    let hint = match (place.tier, place.scope) {
        (Tier::Hard, _) => None,
        (_, LeaseScope::User) => Some(FOR_ALL),
        (_, LeaseScope::Machine | LeaseScope::Folder) => Some(FOR_ROOT),
    };
    examined(place.tier, mechanism, format!("{}; {others}{why}", place.scope.meaning()), hint)
}

/// The number of other runs with a claim in the ledger.
fn claim(folder: &LeaseFolder) -> Result<u32, ResourceError> {
    let ledger_lock = folder.choose()?;
    let claim = ledger_lock.claim(Claim::here(NAME, NAME, Amounts::default(), CpuSet::default()))?;
    let taken = ledger_lock.taken()?;
    // The release of the claim needs the ledger lock.
    drop(ledger_lock);
    drop(claim);
    let others = taken.claims.iter().filter(|claim| claim.pid != std::process::id()).count();
    Ok(u32::try_from(others).unwrap_or(u32::MAX))
}
