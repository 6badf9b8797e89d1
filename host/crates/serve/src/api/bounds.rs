use std::time::Duration;

/// Most connections at a time. The oldest is closed for a new one, so silent ones cannot keep others out.
pub(super) const CONNECTIONS: usize = 512;
/// Most connections of one peer over TCP. Its oldest is closed for a new one.
pub(super) const OF_PEER: usize = 32;
/// Longest time to receive the head of a request, and longest idle time of a connection.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(5);
/// Most headers of a request, and most bytes of its head.
pub(super) const HEADERS: usize = 64;
/// See [`HEADERS`].
pub(super) const HEAD_BYTES: usize = 16 << 10;
/// Longest pause between two pieces of a body, and longest time for a whole body of JSON.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);
/// Most bytes of a body of JSON. A pipeline file is a few KiB.
pub(super) const BODY_BYTES: usize = 4 << 20;
/// Uploads at a time.
pub(super) const UPLOADS: usize = 8;
/// Longest time for an upload.
pub(super) const UPLOAD_TIME: Duration = Duration::from_secs(10 * 60);
/// Streams at a time.
pub(super) const FOLLOWERS: usize = 128;
/// Pause between two looks for something new on a stream.
pub(super) const FOLLOW: Duration = Duration::from_millis(200);
/// Longest time without a byte on a stream.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest wait for the server's thread.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Longest wait for each step of a question to a job's process.
pub(super) const JOB_TIME: Duration = Duration::from_secs(5);
/// Longest wait for a savepoint. A job itself waits a little less for it.
pub(super) const SAVEPOINT_TIME: Duration = Duration::from_secs(25);
/// Jobs of a page, by default and at most.
pub(super) const PAGE: usize = 50;
/// See [`PAGE`].
pub(super) const LONGEST_PAGE: usize = 200;
/// Pause of accepting after the system had no descriptor or memory for a connection.
pub(super) const REST: Duration = Duration::from_millis(100);
/// Longest wait at the end for a reader in the middle of an answer.
pub(super) const PARTING: Duration = Duration::from_secs(1);
/// Pause between two looks at a job that someone watches.
pub(super) const LIVE_EVERY: Duration = Duration::from_secs(1);
/// Longest wait for the answer to a look, and most bytes of it.
pub(super) const LIVE_TIME: Duration = Duration::from_secs(2);
/// See [`LIVE_TIME`]. A history of looks has 120 of them.
pub(super) const LIVE_BYTES: usize = 256 << 10;
/// How long a job is looked at after its last reader has gone, so that the next one finds a history.
pub(super) const LINGER: Duration = Duration::from_secs(10);
/// Longest wait for one job, and for all jobs, in a scrape. Prometheus waits for 10 s.
pub(super) const SCRAPE_JOB_TIME: Duration = Duration::from_secs(1);
/// See [`SCRAPE_JOB_TIME`].
pub(super) const SCRAPE_TIME: Duration = Duration::from_secs(4);
/// Jobs that are asked at a time.
pub(super) const ASKED_AT_ONCE: usize = 64;
/// Most live jobs with series of their own. Of more, each tenant has the sums.
pub(super) const JOBS_WITH_SERIES: usize = 1000;
/// Most samples of a job. An instance has about 40.
pub(super) const SCRAPE_SAMPLES: usize = 20_000;
