use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq as _;

use super::token::{TokenId, random_secret};
use crate::store::Digest;

/// The sessions of browsers. They are in memory, so a restart of the server ends them.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Mutex<VecDeque<Known>>>);

#[derive(Debug)]
struct Known {
    hash: Digest,
    token: TokenId,
    until: u64,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct Session {
    /// The secret of its cookie.
    pub secret: String,
    /// When it ends, in milliseconds since the Unix epoch.
    pub until: u64,
}

impl Sessions {
    /// Milliseconds that a session lasts.
    pub const LIFE: u64 = 12 * 60 * 60 * 1000;
    /// Most sessions of all tokens. The oldest ends for a new one.
    const MOST: usize = 1000;
    /// Most sessions of one token.
    const MOST_OF_TOKEN: usize = 20;

    /// Begins a session for the owner of a token.
    ///
    /// # Errors
    /// The system's random numbers cannot be read.
    pub fn begin(&self, token: TokenId, now: u64) -> std::io::Result<Session> {
        let secret = random_secret()?;
        let until = now.saturating_add(Self::LIFE);
        let mut sessions = self.locked();
        sessions.retain(|session| session.until > now);
        let own = sessions.iter().filter(|session| session.token == token).count();
        let oldest = match own {
            own if own >= Self::MOST_OF_TOKEN => sessions.iter().position(|session| session.token == token),
            _ if sessions.len() >= Self::MOST => Some(0),
            _ => None,
        };
        if let Some(oldest) = oldest {
            sessions.remove(oldest);
        }
        sessions.push_back(Known { hash: Digest::of(secret.as_bytes()), token, until });
        Ok(Session { secret, until })
    }

    /// The token that opened a session. The token may have been removed since.
    #[must_use]
    pub fn token(&self, secret: &str, now: u64) -> Option<TokenId> {
        let hash = Digest::of(secret.as_bytes());
        let mut found = None;
        for session in self.locked().iter().filter(|session| session.until > now) {
            if bool::from(session.hash.bytes().ct_eq(hash.bytes())) {
                found = Some(session.token);
            }
        }
        found
    }

    /// Ends a session.
    pub fn end(&self, secret: &str) {
        let hash = Digest::of(secret.as_bytes());
        self.locked().retain(|session| session.hash != hash);
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::TokenText;

    #[test]
    fn a_session_ends_by_itself_by_its_user_or_for_newer_ones_of_its_token() {
        let sessions = Sessions::default();
        let [one, other] = [0; 2].map(|_| TokenText::random().unwrap().id);
        let first = sessions.begin(one, 0).unwrap();
        assert_eq!(sessions.token(&first.secret, 1), Some(one));
        assert_eq!(sessions.token(&first.secret, Sessions::LIFE), None);
        assert_eq!(sessions.token("", 1), None);
        let kept = sessions.begin(other, 0).unwrap();
        for _ in 0..Sessions::MOST_OF_TOKEN {
            sessions.begin(one, 0).unwrap();
        }
        assert_eq!(sessions.token(&first.secret, 1), None);
        assert_eq!(sessions.token(&kept.secret, 1), Some(other));
        sessions.end(&kept.secret);
        assert_eq!(sessions.token(&kept.secret, 1), None);
        for _ in 0..2 * Sessions::MOST {
            sessions.begin(TokenText::random().unwrap().id, 0).unwrap();
        }
        assert_eq!(sessions.locked().len(), Sessions::MOST);
    }
}
