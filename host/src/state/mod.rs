//! The commands on folders of checkpoints: `state inspect`, `state verify`, `state savepoint` and
//! `state rm`.

mod args;
mod counted;
mod inspect;
mod perform;
mod remove;
mod savepoint;
mod store_failure;
mod verify;

pub(super) use args::StateArguments;
pub(super) use perform::perform;
