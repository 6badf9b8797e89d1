use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use sage_jobs::now;
use sage_plan::config::TenantName;

use super::beat::{Beat, Pulse};
use super::denied::Denied;
use super::entry::Entry;
use super::feed::EventFeed;
use super::settings::{Settings, StopJobs};
use crate::access::TokenStore;
use crate::metrics::Waits;
use crate::process::{Askers, DeathWatch, JobProcess};
use crate::queue::FairQueue;
use crate::state::State;
use crate::store::{AuditLog, FileStore, JobFiles, JobId, JobName, SecretStore, StateFolder, StoreError, TenantUsers};

/// The server: all jobs, and the one thread that changes them.
#[derive(Debug)]
pub struct Server {
    pub(super) settings: Settings,
    pub(super) state: StateFolder,
    pub(super) files: FileStore,
    pub(super) secrets: SecretStore,
    tokens: TokenStore,
    audit: AuditLog,
    pub(super) job_files: JobFiles,
    /// All jobs, the oldest identifiers in no order: pages are sorted by age.
    pub(super) jobs: BTreeMap<JobId, Entry>,
    pub(super) names: HashMap<(Option<TenantName>, JobName), JobId>,
    pub(super) queue: FairQueue<Option<TenantName>, JobId>,
    /// Jobs whose check waits for another one to end.
    pub(super) to_check: VecDeque<JobId>,
    pub(super) feed: EventFeed,
    pub(super) deaths: DeathWatch,
    pub(super) askers: Askers,
    /// Processes that released their lock and have not ended yet.
    pub(super) lingering: Vec<Child>,
    /// When the state folder was last tried, while it takes no writes.
    pub(super) tried: u64,
    /// Why the state folder takes no writes.
    pub(super) read_only: Option<String>,
    /// When unused files were last removed.
    pub(super) collected: u64,
    /// Set when the server ends: what becomes of jobs.
    pub(super) ending: Option<StopJobs>,
    pub(super) unsaved: BTreeSet<JobId>,
    /// Waits in the queue that have ended, by tenant.
    pub(super) waits: BTreeMap<Option<TenantName>, Waits>,
    beat: Option<Beat>,
    /// Tenants whose control groups may be empty.
    pub(super) to_clear: BTreeSet<TenantName>,
    /// When ended jobs and logs were last looked at, and whether a job has ended since.
    pub(super) tidied: u64,
    pub(super) to_tidy: bool,
    mail: Receiver<Mail>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The state folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of sockets cannot be used.
    #[error("cannot use {path} for sockets: {source}", path = path.display())]
    Sockets {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The system has no threads or descriptors.
    #[error("cannot watch processes: {0}")]
    Watch(io::Error),
}

impl Server {
    /// Opens the state folder, and adopts the jobs that live.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn open(mut settings: Settings) -> Result<(Self, Mailbox), ServerError> {
        let state = StateFolder::open(&settings.state)?;
        settings.state = state.root().to_owned();
        if let Some(range) = settings.users.filter(|_| !settings.tenants.is_empty()) {
            state.let_users_pass()?;
            settings.users_of_tenants = TenantUsers::of(&state, range, &settings.tenants)?;
        }
        let files = FileStore::open(&state)?;
        let secrets = SecretStore::open(&state);
        let tokens = TokenStore::open(&state)?;
        let audit = AuditLog::open(&state)?;
        let job_files = JobFiles::new(&state, &files);
        let (sender, mail) = mpsc::channel();
        let died = sender.clone();
        let deaths = DeathWatch::start(move |job, process| died.send(Mail::Died(job, process)).is_ok())
            .map_err(ServerError::Watch)?;
        let answered = sender.clone();
        let answered = move |job| {
            // A server that has ended needs no answers.
            let _ = answered.send(Mail::Answered(job));
        };
        let askers = Askers::start(answered).map_err(ServerError::Watch)?;
        let mut server = Self {
            settings,
            state,
            files,
            secrets,
            tokens,
            audit,
            job_files,
            jobs: BTreeMap::new(),
            names: HashMap::new(),
            queue: FairQueue::default(),
            to_check: VecDeque::new(),
            feed: EventFeed::default(),
            deaths,
            askers,
            lingering: Vec::new(),
            tried: 0,
            read_only: None,
            collected: 0,
            ending: None,
            unsaved: BTreeSet::new(),
            waits: BTreeMap::new(),
            beat: None,
            to_clear: BTreeSet::new(),
            tidied: 0,
            to_tidy: false,
            mail,
        };
        server.adopt()?;
        Ok((server, Mailbox(sender)))
    }

    /// What the server was told, with the users of the tenants.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The events of all jobs.
    #[must_use]
    pub fn feed(&self) -> EventFeed {
        self.feed.clone()
    }

    /// The files that come with pipelines.
    #[must_use]
    pub fn files(&self) -> FileStore {
        self.files.clone()
    }

    /// The secrets of tenants.
    #[must_use]
    pub fn secrets(&self) -> SecretStore {
        self.secrets.clone()
    }

    /// The tokens that open the server.
    #[must_use]
    pub fn tokens(&self) -> TokenStore {
        self.tokens.clone()
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        self.audit.clone()
    }

    /// The file with the first token of the administrator.
    #[must_use]
    pub fn admin_token(&self) -> PathBuf {
        self.state.admin_token()
    }

    /// The state folder.
    #[must_use]
    pub fn state_folder(&self) -> &Path {
        self.state.root()
    }

    /// Number of jobs whose processes live.
    #[must_use]
    pub fn live(&self) -> usize {
        self.jobs.values().filter(|entry| entry.job.state.is_live()).count()
    }

    /// Number of jobs.
    #[must_use]
    pub fn known(&self) -> usize {
        self.jobs.len()
    }

    /// Has the server's thread do something this often, for as long as it works. The first time is at once.
    pub fn on_beat(&mut self, every: Duration, act: impl FnMut(&Pulse) + Send + 'static) {
        self.beat = Some(Beat::new(every, act));
    }

    fn pulse(&self) -> Pulse {
        let waits = |entry: &&Entry| matches!(entry.job.state, State::Checking | State::Queued | State::Backoff);
        Pulse {
            running: self.live(),
            waiting: self.jobs.values().filter(waits).count(),
            read_only: self.read_only.clone(),
        }
    }

    /// Tells whoever watches that the thread works. Returns the longest time until it wants to be told again.
    fn show_pulse(&mut self) -> Duration {
        let pulse = self.pulse();
        let Some(beat) = &mut self.beat else { return Duration::MAX };
        if beat.due_in().is_zero() {
            beat.act(&pulse);
        }
        beat.due_in()
    }

    /// Serves until [`Mailbox::end`]. With [`StopJobs::Drain`] it returns when no job lives any more. Returns the
    /// number of jobs that go on.
    pub fn run(mut self) -> usize {
        loop {
            self.work(now());
            if let Some(jobs) = self.ending
                && (jobs == StopJobs::Leave || self.live() == 0)
            {
                return self.live();
            }
            let pause = Duration::from_millis(self.next_look(now())).min(self.show_pulse());
            match self.mail.recv_timeout(pause) {
                Ok(Mail::Do(work)) => work(&mut self),
                Ok(Mail::Died(job, process)) => self.died(job, process),
                Ok(Mail::Answered(job)) => self.answered(job),
                Ok(Mail::End(jobs)) => self.end(jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.live(),
            }
        }
    }
}

/// What reaches the server's thread.
enum Mail {
    /// A request.
    Do(Box<dyn FnOnce(&mut Server) + Send>),
    /// A process of the job has ended: its attempt or its check.
    Died(JobId, JobProcess),
    /// The job took a request to end.
    Answered(JobId),
    /// The server ends.
    End(StopJobs),
}

/// Where mail for the server goes.
#[derive(Debug, Clone)]
pub struct Mailbox(Sender<Mail>);

impl Mailbox {
    /// Has the server's thread do something with its jobs.
    ///
    /// # Errors
    /// [`Denied::Ending`]: the server has ended.
    pub fn run(&self, work: impl FnOnce(&mut Server) + Send + 'static) -> Result<(), Denied> {
        self.0.send(Mail::Do(Box::new(work))).map_err(|_| Denied::Ending)
    }

    /// Ends the server.
    pub fn end(&self, jobs: StopJobs) {
        // A server that has ended needs no end.
        let _ = self.0.send(Mail::End(jobs));
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Do(_) => "Do",
            Self::Died(..) => "Died",
            Self::Answered(_) => "Answered",
            Self::End(_) => "End",
        })
    }
}
