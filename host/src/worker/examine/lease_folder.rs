use super::examination::{Examination, in_full};
use crate::config::HostSettings;
use crate::engine::JobOptions;
use crate::resources::{Amounts, Claim, CpuSet, LeaseFolder, LeaseScope, ResourceError, Tier, counted};

/// What the examination claims by: nothing of anything.
const NAME: &str = "doctor";

/// The machine's ledger is taken, an empty claim written into it, read back and given back.
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
    match folder.scope() {
        LeaseScope::Machine => {
            examined(Tier::Hard, mechanism, format!("seen by all users of the machine; {others}"), None)
        }
        LeaseScope::Given => {
            examined(Tier::Hard, mechanism, format!("seen by whoever is told to use the same folder; {others}"), None)
        }
        LeaseScope::User => examined(
            Tier::Cooperative,
            mechanism,
            format!("seen by this user only: other users' runs may lease the same CPUs; {others}"),
            Some("once, as root: install -d -m 1777 /run/lock/sage-host"),
        ),
    }
}

/// How many other runs have a claim there.
fn claim(folder: &LeaseFolder) -> Result<u32, ResourceError> {
    let choosing = folder.choose()?;
    let claim = choosing.claim(Claim::here(NAME, NAME, Amounts::default(), CpuSet::default()))?;
    let taken = choosing.taken()?;
    // Giving back waits for the ledger.
    drop(choosing);
    drop(claim);
    let others = taken.claims.iter().filter(|claim| claim.pid != std::process::id()).count();
    Ok(u32::try_from(others).unwrap_or(u32::MAX))
}
