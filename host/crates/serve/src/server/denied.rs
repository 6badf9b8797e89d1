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
    /// The tenant needs signatures, and a file has none.
    #[error("\"{path}\" has no signature, which the tenant requires")]
    Unsigned {
        /// The path in the pipeline file, or the digest.
        path: String,
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
    /// Someone else changed the revision meanwhile.
    #[error("the job \"{name}\" has revision {current} now")]
    RevisionChanged {
        /// The name.
        name: String,
        /// The revision that is in force.
        current: u32,
    },
    /// Another change of the revision is under way.
    #[error("the job \"{name}\" is being changed to revision {to}")]
    RolloutUnderWay {
        /// The name.
        name: String,
        /// The revision that comes.
        to: u32,
    },
    /// The first revision is being checked.
    #[error("the pipeline of the job \"{name}\" is still being checked")]
    StillChecking {
        /// The name.
        name: String,
    },
    /// There is no such revision.
    #[error("there is no revision {number}")]
    NoSuchRevision {
        /// Its number.
        number: u32,
    },
    /// No revision is older.
    #[error("no revision is older than {current}, which is in force")]
    NoEarlierRevision {
        /// The revision that is in force.
        current: u32,
    },
    /// The checkpoints are of a pipeline of another name.
    #[error("the pipeline is \"{is}\", and the checkpoints of the revision in force are of \"{was}\"")]
    OtherPipeline {
        /// The name of the new pipeline.
        is: String,
        /// The name of the one before.
        was: String,
    },
    /// The job runs, and would not go on from a checkpoint.
    #[error("the job \"{name}\" runs and would begin anew ({class}): {lost}")]
    BeginsAnew {
        /// The name.
        name: String,
        /// Cost of another attempt.
        class: &'static str,
        /// The same in words.
        lost: &'static str,
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
