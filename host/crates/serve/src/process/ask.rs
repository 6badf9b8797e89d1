use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sage_jobs::ControlRequest;

use super::control::ask;
use crate::store::JobId;

/// Time limit of each step. A job answers within milliseconds, unless it is stopped.
const WITHIN: Duration = Duration::from_secs(2);
/// Threads. A job that does not answer keeps one for 4 s; others are asked meanwhile.
const THREADS: usize = 4;

/// Passes requests to jobs without making the server wait for their answers.
#[derive(Debug)]
pub struct Askers(Sender<Request>);

#[derive(Debug)]
struct Request {
    job: JobId,
    socket: PathBuf,
    request: ControlRequest,
}

impl Askers {
    /// Starts the threads. They call `answered` for each request that reached its job.
    ///
    /// # Errors
    /// The system has no threads for them.
    pub fn start(answered: impl Fn(JobId) + Send + Clone + 'static) -> io::Result<Self> {
        let (requests, received) = mpsc::channel();
        let received = Arc::new(Mutex::new(received));
        for _ in 0..THREADS {
            let (received, answered) = (Arc::clone(&received), answered.clone());
            std::thread::Builder::new().name("asking".to_owned()).spawn(move || serve(&received, &answered))?;
        }
        Ok(Self(requests))
    }

    /// Passes a request on.
    pub fn pass(&self, job: JobId, socket: PathBuf, request: ControlRequest) {
        // The threads last as long as this value.
        let _ = self.0.send(Request { job, socket, request });
    }
}

fn serve(received: &Mutex<Receiver<Request>>, answered: &impl Fn(JobId)) {
    loop {
        let next = received.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Request { job, socket, request }) = next else { return };
        match ask(&socket, &request, WITHIN) {
            Ok(_) => answered(job),
            // It is asked again, and its state has a deadline.
            Err(error) => tracing::debug!(%job, %error, "a job was not reached"),
        }
    }
}
