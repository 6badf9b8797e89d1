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
/// Jobs of a page, by default and at most.
pub(super) const PAGE: usize = 50;
/// See [`PAGE`].
pub(super) const LONGEST_PAGE: usize = 200;
/// Pause of accepting after the system had no descriptor or memory for a connection.
pub(super) const REST: Duration = Duration::from_millis(100);
/// Longest wait at the end for a reader in the middle of an answer.
pub(super) const PARTING: Duration = Duration::from_secs(1);
