use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sage_jobs::{read_json, replace_json, write_json};
use sage_plan::config::TenantName;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::role::Role;
use super::token::{TokenId, TokenText};
use crate::store::{Digest, StateFolder, StoreError};

/// A token that the server knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public part.
    pub id: TokenId,
    /// The tenant to which it belongs. `None`: the machine.
    pub tenant: Option<TenantName>,
    /// What its owner may do.
    pub role: Role,
    /// Words about it.
    #[serde(default)]
    pub note: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created: u64,
    /// When it stops to open anything. `None`: never.
    pub expires: Option<u64>,
    /// When it was last used, give or take a minute.
    pub last_used: Option<u64>,
}

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// See [`Token::tenant`].
    pub tenant: Option<TenantName>,
    /// See [`Token::role`].
    pub role: Role,
    /// See [`Token::note`].
    pub note: String,
    /// See [`Token::expires`].
    pub expires: Option<u64>,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No such token was made, or it was removed, or its secret is another one.
    #[error("the token is not valid")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// The tenant is not declared any more.
    #[error("the token belongs to a tenant that host.toml does not declare")]
    TenantGone,
}

/// A token on the disk, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    token: Token,
    hash: Digest,
}

/// The tokens of a state folder, a file for each.
#[derive(Debug, Clone)]
pub struct TokenStore {
    folder: PathBuf,
    tokens: Arc<Mutex<BTreeMap<TokenId, Stored>>>,
}

/// Milliseconds between two writes of the time of a token's last use.
const USE: u64 = 60_000;
/// Most tokens of a server.
const MOST: usize = 10_000;

impl TokenStore {
    /// The tokens of a state folder. If it never had tokens, one for the administrator is made, whose text is in the
    /// file `admin.token`.
    ///
    /// # Errors
    /// The folder cannot be read or written. A file that is no token is left alone, with a warning.
    pub fn open(state: &StateFolder) -> Result<Self, StoreError> {
        let folder = state.tokens();
        if !folder.exists() {
            make_first(state, &folder)?;
        }
        let mut tokens = BTreeMap::new();
        let unread = |source| StoreError::Io { action: "read", path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read_json::<Stored>(&path) {
                Ok(stored) if path.file_stem().is_some_and(|stem| *stem == *stored.token.id.to_string()) => {
                    tokens.insert(stored.token.id, stored);
                }
                Ok(_) => tracing::warn!(path = %path.display(), "this token has the name of another and opens nothing"),
                Err(error) => tracing::warn!(%error, "this is no token and opens nothing"),
            }
        }
        Ok(Self { folder, tokens: Arc::new(Mutex::new(tokens)) })
    }

    /// Makes a token. Its text is not kept.
    ///
    /// # Errors
    /// There are 10,000 tokens; the state folder cannot be written.
    pub fn make(&self, new: NewToken, now: u64) -> Result<(Token, TokenText), StoreError> {
        let mut tokens = self.locked();
        // Those that have expired make room.
        if tokens.len() >= MOST {
            let expired = tokens.values().filter(|stored| is_over(&stored.token, now));
            let expired: Vec<TokenId> = expired.map(|stored| stored.token.id).collect();
            for id in expired {
                let _ = fs::remove_file(self.path(id));
                tokens.remove(&id);
            }
        }
        if tokens.len() >= MOST {
            let source = std::io::Error::other(format!("there are {MOST} tokens"));
            return Err(StoreError::Io { action: "add to", path: self.folder.clone(), source });
        }
        let (stored, text) = stored(new, now)?;
        write_json(&self.path(stored.token.id), &stored)?;
        let token = stored.token.clone();
        tokens.insert(token.id, stored);
        Ok((token, text))
    }

    /// The token with this text.
    ///
    /// # Errors
    /// See [`TokenError`]. The time that the answer takes does not depend on the secret.
    pub fn check(&self, text: &str, now: u64) -> Result<Token, TokenError> {
        let text = TokenText::parse(text).ok_or(TokenError::Unknown)?;
        let hash = text.hash();
        let mut tokens = self.locked();
        let found = tokens.get_mut(&text.id);
        // An unknown identifier is compared too.
        let expected = found.as_ref().map_or_else(|| Digest::of(b""), |stored| stored.hash);
        let same = bool::from(hash.bytes().ct_eq(expected.bytes()));
        let stored = found.filter(|_| same).ok_or(TokenError::Unknown)?;
        if is_over(&stored.token, now) {
            return Err(TokenError::Expired);
        }
        let before = stored.token.last_used.replace(now);
        if before.is_none_or(|before| before.saturating_add(USE) <= now) {
            // On a full disk the time is lost, and the token still opens.
            let _ = replace_json(&self.path(text.id), &stored);
        } else {
            stored.token.last_used = before;
        }
        Ok(stored.token.clone())
    }

    /// A token that was checked before, if it is still valid.
    #[must_use]
    pub fn get(&self, id: TokenId, now: u64) -> Option<Token> {
        self.locked().get(&id).map(|stored| stored.token.clone()).filter(|token| !is_over(token, now))
    }

    /// The tokens of a tenant, or all, the oldest first.
    #[must_use]
    pub fn list(&self, tenant: Option<&TenantName>) -> Vec<Token> {
        let of = |token: &Token| tenant.is_none_or(|tenant| token.tenant.as_ref() == Some(tenant));
        let mut list: Vec<Token> = self.locked().values().map(|stored| stored.token.clone()).filter(of).collect();
        list.sort_by_key(|token| (token.created, token.id));
        list
    }

    /// Removes a token. It opens nothing any more when this function has returned, whatever it returned.
    ///
    /// # Errors
    /// Its file cannot be removed: it would open again after a restart of the server.
    pub fn remove(&self, id: TokenId) -> Result<(), StoreError> {
        self.locked().remove(&id);
        let path = self.path(id);
        let removed = fs::remove_file(&path).and_then(|()| fs::File::open(&self.folder)?.sync_all());
        removed.map_err(|source| StoreError::Io { action: "remove", path, source })
    }

    fn path(&self, id: TokenId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<TokenId, Stored>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_over(token: &Token, now: u64) -> bool {
    token.expires.is_some_and(|expires| expires <= now)
}

fn stored(new: NewToken, now: u64) -> Result<(Stored, TokenText), StoreError> {
    let unread = |source| StoreError::Io { action: "read", path: PathBuf::from("/dev/urandom"), source };
    let text = TokenText::random().map_err(unread)?;
    let token = Token {
        id: text.id,
        tenant: new.tenant,
        role: new.role,
        note: new.note,
        created: now,
        expires: new.expires,
        last_used: None,
    };
    Ok((Stored { token, hash: text.hash() }, text))
}

/// Makes the folder of tokens with the first one in it, whole or not at all.
fn make_first(state: &StateFolder, folder: &Path) -> Result<(), StoreError> {
    let new =
        NewToken { tenant: None, role: Role::Admin, note: "made with the state folder".to_owned(), expires: None };
    let (stored, text) = stored(new, sage_jobs::now())?;
    let making = folder.with_extension("new");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { action: "make", path, source }
    };
    if making.exists() {
        fs::remove_dir_all(&making).map_err(failed(&making))?;
    }
    state.make_private(&making)?;
    write_json(&making.join(format!("{}.json", stored.token.id)), &stored)?;
    let path = state.admin_token();
    // A file of a server that was killed here has another token.
    let _ = fs::remove_file(&path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| {
        file.write_all(format!("{}\n", text.reveal()).as_bytes())?;
        file.sync_all()
    });
    written.map_err(failed(&path))?;
    fs::rename(&making, folder).map_err(failed(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(tenant: Option<&str>, expires: Option<u64>) -> NewToken {
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        NewToken { tenant, role: Role::Deploy, note: String::new(), expires }
    }

    #[test]
    fn a_fresh_state_folder_has_a_token_of_the_administrator_and_no_other_gets_one() {
        let root = tempfile::tempdir().unwrap();
        let state = StateFolder::open(root.path()).unwrap();
        let store = TokenStore::open(&state).unwrap();
        let path = state.admin_token();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let token = store.check(text.trim(), 1).unwrap();
        assert_eq!((token.role, token.tenant, token.expires), (Role::Admin, None, None));
        store.remove(token.id).unwrap();
        let again = TokenStore::open(&state).unwrap();
        assert_eq!(again.list(None), []);
        assert_eq!(again.check(text.trim(), 1), Err(TokenError::Unknown));
    }

    #[test]
    fn a_token_opens_until_it_expires_or_is_removed_and_its_secret_is_on_no_disk() {
        let root = tempfile::tempdir().unwrap();
        let state = StateFolder::open(root.path()).unwrap();
        let store = TokenStore::open(&state).unwrap();
        let (token, text) = store.make(new(Some("blue"), Some(100)), 10).unwrap();
        let text = text.reveal();
        let path = state.tokens().join(format!("{}.json", token.id));
        let secret = text.rsplit_once('_').unwrap().1;
        assert!(!fs::read_to_string(&path).unwrap().contains(secret));
        let store = TokenStore::open(&state).unwrap();
        let known = store.check(&text, 50).unwrap();
        assert_eq!((known.id, known.last_used), (token.id, Some(50)));
        // Another secret of the same length, and the identifier of nobody.
        let last = if text.ends_with('a') { "b" } else { "a" };
        let other = format!("{}{last}", &text[..text.len() - 1]);
        let nobody = text.replace(&token.id.to_string(), "aaaaaaaaaaaa");
        for wrong in [other, nobody, String::new()] {
            assert_eq!(store.check(&wrong, 50), Err(TokenError::Unknown));
        }
        assert_eq!(store.check(&text, 100), Err(TokenError::Expired));
        assert_eq!(store.get(token.id, 100), None);
        assert_eq!(store.list(Some(&"blue".parse().unwrap())).len(), 1);
        assert_eq!(store.list(Some(&"green".parse().unwrap())).len(), 0);
        store.remove(token.id).unwrap();
        assert_eq!(store.check(&text, 50), Err(TokenError::Unknown));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_no_token_or_has_the_name_of_another_opens_nothing() {
        let root = tempfile::tempdir().unwrap();
        let state = StateFolder::open(root.path()).unwrap();
        let store = TokenStore::open(&state).unwrap();
        let (token, text) = store.make(new(None, None), 10).unwrap();
        let own = state.tokens().join(format!("{}.json", token.id));
        fs::write(state.tokens().join("aaaaaaaaaaaa.json"), fs::read(&own).unwrap()).unwrap();
        fs::write(state.tokens().join("bbbbbbbbbbbb.json"), "{").unwrap();
        fs::remove_file(own).unwrap();
        let store = TokenStore::open(&state).unwrap();
        assert_eq!(store.check(&text.reveal(), 20), Err(TokenError::Unknown));
        assert_eq!(store.list(None).len(), 1, "the administrator's");
    }
}
