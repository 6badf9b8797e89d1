use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, fchmod, fstat, openat, statat, unlinkat};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;

use super::{DeviceShare, LeaseFolder, ResourceError};

/// What came of taking a lease away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// Its share is free.
    Free,
    /// It is not free yet, and may never be while the device's process lives.
    NotFree(DeviceShare),
}

/// A request for a lease to be given up: `revoke-7.request`, with the grace in it. Its holder looks for one by its leases' tokens, which are never
/// given out again, so that a request that nobody took away harms nobody.
const PREFIX: &str = "revoke-";
const SUFFIX: &str = ".request";
/// How often whoever asked looks whether it is so.
const AGAIN: Duration = Duration::from_millis(20);

impl LeaseFolder {
    /// Asks the holder of a lease to give it up, and waits until its share is free: at most for `grace`, which what runs may take, and
    /// `timeout` on top. Only the holder's user and root may do so: a holder does not see anybody else's request, which is told as a share that is not
    /// free.
    ///
    /// # Errors
    /// [`ResourceError::UnknownLease`]; the folder's errors.
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

    /// The grace with which somebody asked for this lease to be given up; `None` where nobody did, or another user than this process's own and root.
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
        // Written in one go; what is not ours is no request.
        Some(Duration::from_millis(digits.strip_suffix("ms")?.parse().ok()?))
    }

    /// Takes a request away. Where it is another user's in a folder for all, it stays until they do.
    pub fn forget_request(&self, token: u64) {
        let _ = unlinkat(self.directory(), name_of(token), AtFlags::empty());
    }

    /// Takes away requests for leases that are gone.
    pub(super) fn sweep_requests(&self, living: &[DeviceShare]) {
        for name in self.names().unwrap_or_default() {
            if let Some(token) = token_of(&name)
                && !living.iter().any(|share| share.claim.token == token)
            {
                self.forget_request(token);
            }
        }
    }

    /// A lease that counts.
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
                // One like ours, or one that we may not replace.
                Ok(found) if found.st_uid == 0 || found.st_uid == geteuid().as_raw() => return Ok(()),
                // Another user's, which no holder heeds but theirs: root may take it away.
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
