//! The commands on folders of checkpoints: `state inspect`, `state verify` and `state rm`.

mod args;
mod counted;
mod inspect;
mod perform;
mod remove;
mod store_failure;
mod verify;

pub(super) use args::StateArguments;
pub(super) use perform::perform;
