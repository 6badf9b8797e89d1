use crate::store::{Digest, StoreError};

/// Why a request is not carried out. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// There is no such job.
    #[error("there is no job \"{name}\"")]
    NoSuchJob {
        /// The name.
        name: String,
    },
    /// Another job has the name.
    #[error("a job \"{name}\" exists, it is {state}")]
    NameTaken {
        /// The name.
        name: String,
        /// The state of that job.
        state: &'static str,
    },
    /// The job must have ended first.
    #[error("the job \"{name}\" is {state}")]
    StillLive {
        /// The name.
        name: String,
        /// Its state.
        state: &'static str,
    },
    /// The job has no process to ask.
    #[error("the job \"{name}\" has no process: it is {state}")]
    NotLive {
        /// The name.
        name: String,
        /// Its state.
        state: &'static str,
    },
    /// Files of the pipeline were not uploaded.
    #[error("{} of the files that the pipeline names are not here", digests.len())]
    FilesMissing {
        /// Their digests.
        digests: Vec<Digest>,
    },
    /// The pipeline names a component or a model, and the request does not say which file it is.
    #[error("the request does not say which file \"{path}\" is")]
    FileUnnamed {
        /// The path in the pipeline file.
        path: String,
    },
    /// The key was used for another request.
    #[error("the Idempotency-Key \"{key}\" belongs to another request")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The tenant has as much as it may.
    #[error("the tenant {tenant} has {used} of {limit} {resource}, and the request asks for {requested}")]
    Quota {
        /// The tenant.
        tenant: String,
        /// What is bounded.
        resource: &'static str,
        /// What the request asks for.
        requested: u64,
        /// What the tenant has.
        used: u64,
        /// The most that it may have.
        limit: u64,
    },
    /// The server takes no new work at the moment.
    #[error("the server takes no new work: {why}")]
    ReadOnly {
        /// The reason.
        why: String,
    },
    /// The state folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server ends.
    #[error("the server ends")]
    Ending,
}
