use super::attempt::{listed, went_through};
use super::canary::Heard;
use super::examination::Examination;
use sage_machine::Tier;

const BOOT: &str = "boot Linux 5.13 or newer with landlock among its security modules (lsm=landlock,… on the \
                    kernel's command line; /sys/kernel/security/lsm lists them)";

/// Tries to open devices and files from a worker. No cgroup is used for this, because a worker can open nothing
/// that was not granted.
pub(super) fn examine(heard: Result<&Heard, &str>) -> Examination {
    let examined = |found, mechanism: String, detail, hint: Option<String>| Examination {
        name: "device access",
        found,
        needed: Tier::Hard,
        mechanism,
        detail,
        hint,
    };
    let report = match heard {
        Ok(heard) => &heard.report,
        Err(error) => return examined(Tier::None, "nothing".to_owned(), error.to_owned(), None),
    };
    if let Some(through) = went_through(&report.devices) {
        return examined(Tier::None, "syscall filter".to_owned(), format!("a worker could open {through}"), None);
    }
    if !report.files_fenced {
        let detail = format!(
            "a worker could open none of {}; {}: if folders are granted, only the sandbox limits access to them",
            listed(&report.devices),
            report.missing.join("; ")
        );
        return examined(Tier::Cooperative, "syscall filter".to_owned(), detail, Some(BOOT.to_owned()));
    }
    let mechanism = format!("landlock {}, syscall filter", report.landlock);
    if let Some(through) = went_through(&report.fence) {
        let detail = format!("after the first step of its lockdown a process could open {through}");
        return examined(Tier::Cooperative, mechanism, detail, Some(BOOT.to_owned()));
    }
    let mut detail = format!("a worker could open none of {}", listed(&report.devices));
    for missing in &report.missing {
        detail.push_str("; where folders or addresses are granted: ");
        detail.push_str(missing);
    }
    let hint =
        (!report.missing.is_empty()).then(|| "a newer kernel fences off more (Linux 6.12: all of it)".to_owned());
    examined(Tier::Hard, mechanism, detail, hint)
}
