//! Authentication and authorisation: roles, tokens, sessions of browsers, and limits on the rate of requests.
//!
//! | file | one idea |
//! |---|---|
//! | `role` | what a principal may do |
//! | `principal` | who asks, and on whose things |
//! | `token` | the form of a token |
//! | `token_store` | the tokens of a state folder |
//! | `sessions` | sessions of browsers |
//! | `rates` | requests per second of peers and tenants |
//!
//! Invariants:
//!
//! - The secret of a token is shown once, when the token is made. Only its SHA-256 is stored.
//! - A token that is removed or has expired opens nothing from that moment on, and neither does a session that it
//!   opened.
//! - No principal makes a token with a higher role than its own.

mod peer;
mod principal;
mod rates;
mod role;
mod sessions;
mod token;
mod token_store;

pub use peer::Peer;
pub use principal::{Credential, Principal, Scope};
pub use rates::{Rate, Rates};
pub use role::Role;
pub use sessions::{Session, Sessions};
pub use token::{TokenId, TokenText};
pub use token_store::{NewToken, Token, TokenError, TokenStore};
