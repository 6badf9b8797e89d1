use std::path::{Path, PathBuf};
use std::time::Duration;

use super::table::Table;
use super::{Diagnostic, Diagnostics, Spanned, resolve};

/// What `sage-host serve` does besides running pipelines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeSettings {
    /// As whom jobs of tenants run.
    pub users: JobUsers,
    /// The users and groups that the server gives to tenants.
    pub uids: UidRange,
    /// Whether running jobs are drained when the server is stopped. If not, they go on.
    pub drains_jobs: bool,
    /// Most jobs that have ended, of each tenant, which stay listed. `None`: all.
    pub keep_ended: Option<u64>,
    /// Time for which jobs that have ended stay listed. `None`: for ever.
    pub keep_ended_for: Option<Duration>,
    /// The file of the certificate for TCP.
    pub tls_cert: Option<PathBuf>,
    /// The file of its private key.
    pub tls_key: Option<PathBuf>,
}

/// As whom the jobs of tenants run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobUsers {
    /// Each tenant's as a user of its own, where the server is root.
    #[default]
    Own,
    /// As the user of the server.
    Server,
}

/// A range of numbers that are users and groups. The first one is the group of all jobs, which opens the lease folder;
/// the others are given to tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    /// The first number.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

impl UidRange {
    /// Users below are of the system and of people.
    const LOWEST: u32 = 1000;
    /// Numbers at the end mean "no user" and "nobody" to the kernel and its tools.
    const HIGHEST: u32 = 0x7fff_ffff;

    /// The group of all jobs.
    #[must_use]
    pub fn group_of_jobs(&self) -> u32 {
        self.first
    }

    /// The numbers for tenants.
    pub fn of_tenants(&self) -> impl Iterator<Item = u32> {
        (1..self.count).map(|number| self.first + number)
    }
}

/// 1,900,000,000 and up: no distribution, container engine or directory service is known to use these numbers
/// (systemd's list of ranges has 1,879,048,192 to 2,147,352,575 as unused).
impl Default for UidRange {
    fn default() -> Self {
        Self { first: 1_900_000_000, count: 4096 }
    }
}

/// Reads the table `[serve]`.
pub(super) fn read_serve(table: &mut Table<'_, '_>, base: &Path, errors: &mut Diagnostics) -> ServeSettings {
    let mut settings = ServeSettings::default();
    let Some(mut table) = table.table("serve", errors) else { return settings };
    if let Some(users) = table.string("users", errors) {
        settings.users = match users.value.as_str() {
            "own" => JobUsers::Own,
            "server" => JobUsers::Server,
            other => {
                let message = format!("users of [serve] is \"{other}\", it is \"own\" or \"server\"");
                errors.push(Diagnostic::new(message).on(&users));
                JobUsers::Own
            }
        };
    }
    if let Some(mut inner) = table.table("uids", errors).map(|inner| inner.called("uids of [serve]")) {
        let [first, count] = ["first", "count"].map(|key| inner.count(key, errors));
        let default = UidRange::default();
        if first.is_none() && inner.key_span("first").is_none() {
            inner.missing("first", "for example: { first = 600000, count = 4096 }", errors);
        }
        let number = |written: &Option<Spanned<u64>>, default: u32| {
            written.as_ref().map_or(u64::from(default), |written| written.value)
        };
        let range = (number(&first, default.first), number(&count, default.count));
        match uid_range(range) {
            Some(range) => settings.uids = range,
            None => {
                let message = format!("uids of [serve] are {} from {}", range.1, range.0);
                let hint = format!(
                    "first is at least {}, count at least 2, and the last one at most {}",
                    UidRange::LOWEST,
                    UidRange::HIGHEST
                );
                let place = first.as_ref().or(count.as_ref());
                let error = Diagnostic::new(message).hint(hint);
                errors.push(match place {
                    Some(place) => error.on(place),
                    None => error,
                });
            }
        }
        inner.finish(errors);
    }
    settings.keep_ended = table.count("keep_ended", errors).map(|count| count.value);
    settings.keep_ended_for = table.duration("keep_ended_for", errors).map(|time| time.value);
    if let Some(jobs) = table.string("stop_jobs", errors) {
        match jobs.value.as_str() {
            "leave" => {}
            "drain" => settings.drains_jobs = true,
            other => {
                let message = format!("stop_jobs of [serve] is \"{other}\", it is \"leave\" or \"drain\"");
                errors.push(Diagnostic::new(message).on(&jobs));
            }
        }
    }
    let [certificate, key] = ["tls_cert", "tls_key"].map(|name| table.string(name, errors));
    for (given, other) in [(&certificate, "tls_key"), (&key, "tls_cert")] {
        if let Some(given) = given.as_ref().filter(|_| table.key_span(other).is_none()) {
            let message = format!("[serve] has no {other}");
            errors.push(Diagnostic::new(message).on(given).hint("a certificate and its key belong together"));
        }
    }
    settings.tls_cert = certificate.map(|file| resolve(base, &file.value));
    settings.tls_key = key.map(|file| resolve(base, &file.value));
    table.finish(errors);
    settings
}

fn uid_range((first, count): (u64, u64)) -> Option<UidRange> {
    let last = first.checked_add(count)?.checked_sub(1)?;
    let fits = first >= u64::from(UidRange::LOWEST) && count >= 2 && last <= u64::from(UidRange::HIGHEST);
    Some(UidRange { first: u32::try_from(first).ok().filter(|_| fits)?, count: u32::try_from(count).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_host;

    #[test]
    fn users_of_tenants_come_from_a_range_that_no_person_has() {
        let read = |text: &str| {
            parse_host("host.toml", text.as_bytes(), Path::new("/etc"))
                .map(|settings| settings.serve)
                .map_err(|errors| errors.iter().map(|error| error.message.clone()).collect::<Vec<_>>())
        };
        assert_eq!(read("").unwrap(), ServeSettings::default());
        let settings = read("[serve]\nusers = 'server'\nuids = { first = 600000, count = 3 }\n").unwrap();
        assert_eq!(settings.users, JobUsers::Server);
        assert_eq!(
            (settings.uids.group_of_jobs(), settings.uids.of_tenants().collect()),
            (600_000, vec![600_001, 600_002])
        );
        let settings = read("[serve]\ntls_cert = 'cert.pem'\ntls_key = '/key.pem'\n").unwrap();
        assert_eq!(settings.tls_cert.as_deref(), Some(Path::new("/etc/cert.pem")));
        assert_eq!(settings.tls_key.as_deref(), Some(Path::new("/key.pem")));
        let kept = read("[serve]\nkeep_ended = 5\nkeep_ended_for = '24h'\n").unwrap();
        assert_eq!((kept.keep_ended, kept.keep_ended_for), (Some(5), Some(Duration::from_secs(24 * 60 * 60))));
        assert!(read("[serve]\nstop_jobs = 'drain'\n").unwrap().drains_jobs);
        assert!(!read("[serve]\nstop_jobs = 'leave'\n").unwrap().drains_jobs);
        for (text, error) in [
            ("users = 'root'", "users of [serve] is \"root\", it is \"own\" or \"server\""),
            ("uids = { first = 0, count = 10 }", "uids of [serve] are 10 from 0"),
            ("uids = { first = 600000, count = 1 }", "uids of [serve] are 1 from 600000"),
            ("uids = { first = 2147483647, count = 2 }", "uids of [serve] are 2 from 2147483647"),
            ("stop_jobs = 'kill'", "stop_jobs of [serve] is \"kill\", it is \"leave\" or \"drain\""),
            ("tls_cert = 'cert.pem'", "[serve] has no tls_key"),
            ("tls_key = 'key.pem'", "[serve] has no tls_cert"),
            ("uids = { first = 600000, last = 2 }", "unknown key \"last\" in uids of [serve]"),
        ] {
            let errors = read(&format!("[serve]\n{text}\n")).unwrap_err();
            assert!(errors.iter().any(|said| said.contains(error)), "{text}: {errors:?}");
        }
    }
}
