use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat, openat, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;

use super::{DeviceShare, LeaseFolder, ResourceError};

/// The outcome of revoking a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// The lease's share is free.
    Free,
    /// The share is not free yet. The device's process may use it as long as the process lives.
    NotFree(DeviceShare),
}

/// Prefix and suffix of the file of a revocation request: `revoke-7.request`, with the grace period in it.
/// The holder looks for requests by the tokens of its leases. Tokens are never used again, so a request that
/// is left behind does no harm.
const PREFIX: &str = "revoke-";
const SUFFIX: &str = ".request";
/// Interval at which the requester checks whether the share is free.
const AGAIN: Duration = Duration::from_millis(20);

impl LeaseFolder {
    /// Asks the holder of a lease to give the lease up, and waits until its share is free: at most for
    /// `grace`, which running work may use, plus `timeout`. Only the holder's user and root can revoke a
    /// lease. A holder does not see requests of other users; for them, the result is [`Revoked::NotFree`].
    ///
    /// # Errors
    /// [`ResourceError::UnknownLease`] if no such lease exists; the folder's errors.
    pub fn revoke(&self, token: u64, grace: Duration, timeout: Duration) -> Result<Revoked, ResourceError> {
        let started = Instant::now();
        if self.share(token)?.is_none() {
            let held = self.taken()?.devices.iter().map(|share| share.claim.token).collect();
            return Err(ResourceError::UnknownLease { token, held });
        }
        self.request(token, grace)?;
        let outcome = loop {
            match self.share(token)? {
                None => break Revoked::Free,
                Some(share) if started.elapsed() > grace.saturating_add(timeout) => break Revoked::NotFree(share),
                Some(_) => thread::sleep(AGAIN),
            }
        };
        if outcome == Revoked::Free {
            self.forget_request(token);
        }
        Ok(outcome)
    }

    /// The grace period of a request to give this lease up; `None` if there is no request of this process's
    /// user or of root.
    #[must_use]
    pub fn requested(&self, token: u64) -> Option<Duration> {
        let file = self.foreign(&name_of(token))?;
        let user = fstat(&file).ok()?.st_uid;
        if user != 0 && user != geteuid().as_raw() {
            return None;
        }
        let mut text = [0; 32];
        let length = pread(&file, &mut text, 0).ok()?;
        let digits = std::str::from_utf8(text.get(..length)?).ok()?;
        // A request is written in one write. A text of another form is not a request.
        Some(Duration::from_millis(digits.strip_suffix("ms")?.parse().ok()?))
    }

    /// Removes a request. In a folder for all users, a request of another user stays until that user removes
    /// it.
    pub fn forget_request(&self, token: u64) {
        let _ = unlinkat(self.directory(), name_of(token), AtFlags::empty());
    }

    /// Removes requests for leases that no longer exist.
    pub(super) fn sweep_requests(&self, living: &[DeviceShare]) {
        for name in self.names().unwrap_or_default() {
            if let Some(token) = token_of(&name)
                && !living.iter().any(|share| share.claim.token == token)
            {
                self.forget_request(token);
            }
        }
    }

    /// The lease with this token, if it counts.
    fn share(&self, token: u64) -> Result<Option<DeviceShare>, ResourceError> {
        Ok(self.taken()?.devices.into_iter().find(|share| share.claim.token == token && share.counts()))
    }

    fn request(&self, token: u64, grace: Duration) -> Result<(), ResourceError> {
        let name = name_of(token);
        let failed = |cause| self.failed(&name, cause);
        let mode = Mode::from_raw_mode(if self.is_for_all()? { 0o644 } else { 0o600 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: OwnedFd = match openat(self.directory(), name.as_str(), flags, mode) {
            Err(Errno::EXIST) => match statat(self.directory(), name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
                // The existing request is equivalent, or this process may not replace it.
                Ok(found) if found.st_uid == 0 || found.st_uid == geteuid().as_raw() => return Ok(()),
                // A request of another user, which only a holder of that user would obey. Root may remove it.
                _ => {
                    unlinkat(self.directory(), name.as_str(), AtFlags::empty()).map_err(failed)?;
                    openat(self.directory(), name.as_str(), flags, mode).map_err(failed)?
                }
            },
            opened => opened.map_err(failed)?,
        };
        fchmod(&file, mode).map_err(failed)?;
        let text = format!("{}ms", grace.as_millis());
        match pwrite(&file, text.as_bytes(), 0).map_err(failed)? {
            written if written == text.len() => Ok(()),
            _ => Err(failed(Errno::NOSPC)),
        }
    }
}

fn name_of(token: u64) -> String {
    format!("{PREFIX}{token}{SUFFIX}")
}

fn token_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}
