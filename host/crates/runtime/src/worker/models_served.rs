use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::grace::GRACE;
use super::models_link::{LeaseWords, ask};
use super::tensor_wire::{
    LARGEST_CALL, LONGEST_NAME, facts_text, get_named, measure_named, put_json, put_named, put_outcome,
};
use sage_batch::wire::{WireError, get_text, get_u64, put_bytes};
use sage_models::{InferenceError, LeaseView, ModelAccess};
use sage_process::Link;

/// The host's end of a lane's models: carries out the worker's requests with the rights of the worker's
/// instance.
///
/// **Trust.** A worker may send anything. Its requests are limited and checked as if its guest had made them. A
/// broken rule ends the worker.
#[derive(Debug)]
pub(super) struct ModelsServed {
    /// The link watches the worker's process, whose end stops the service.
    pub(super) link: Link,
    pub(super) access: Arc<dyn ModelAccess>,
    /// Maximum wait of one call, even if the worker asks for more.
    pub(super) timeout: Duration,
    /// Maximum bytes of the inputs of one call, and of its outputs: `output_bytes_per_call`, as for a guest in
    /// the host.
    pub(super) bytes: u64,
}

impl ModelsServed {
    /// Serves on a separate thread until the worker is gone. If the worker breaks the rules of the link,
    /// `broken` is called and must end it.
    ///
    /// A call in flight keeps the access alive after the end of the worker, for at most the timeout of the
    /// call.
    ///
    /// # Errors
    /// No further thread can be made.
    pub(super) fn start(self, broken: impl FnOnce(WireError) + Send + 'static) -> io::Result<()> {
        let named = thread::Builder::new().name("sage-models".to_owned());
        named.spawn(move || match self.serve() {
            WireError::Gone => {}
            error => broken(error),
        })?;
        Ok(())
    }

    /// Serves until an error, and returns it.
    fn serve(mut self) -> WireError {
        loop {
            if let Err(error) = self.one() {
                return error;
            }
        }
    }

    fn one(&mut self) -> Result<(), WireError> {
        let link = &mut self.link;
        link.set_deadline(None);
        let asked = get_u64(link)?;
        // A message that has begun must continue.
        link.begin();
        link.set_deadline(Instant::now().checked_add(GRACE));
        match asked {
            ask::ACQUIRE => self.acquire()?,
            ask::OPEN => self.open()?,
            ask::RUN => self.run()?,
            ask::VIEW => {
                self.link.taken();
                let view = self.access.view();
                self.answer();
                self.put_lease(&Ok(view))?;
            }
            other => return Err(WireError::broken(format!("a request of kind {other}"))),
        }
        self.link.send();
        Ok(())
    }

    fn acquire(&mut self) -> Result<(), WireError> {
        let timeout = self.get_timeout()?;
        self.link.taken();
        let lease = self.access.acquire(timeout);
        self.answer();
        self.put_lease(&lease)
    }

    fn put_lease(&mut self, lease: &Result<LeaseView, InferenceError>) -> Result<(), WireError> {
        put_outcome(&mut self.link, lease)?;
        match *lease {
            Ok(LeaseView { state, share }) => put_json(&mut self.link, &LeaseWords { state, share }),
            Err(_) => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), WireError> {
        let model = get_text(&mut self.link, LONGEST_NAME)?;
        self.link.taken();
        let facts = self.access.open(&model).and_then(|facts| facts_text(&facts));
        self.answer();
        put_outcome(&mut self.link, &facts)?;
        facts.map_or(Ok(()), |facts| put_bytes(&mut self.link, &facts))
    }

    fn run(&mut self) -> Result<(), WireError> {
        let model = get_text(&mut self.link, LONGEST_NAME)?;
        let timeout = self.get_timeout()?;
        let bytes = self.bytes.min(LARGEST_CALL);
        let inputs = get_named(&mut self.link, bytes)?;
        self.link.taken();
        let outputs = self.access.run(&model, inputs, timeout).and_then(|outputs| {
            measure_named(&outputs, "output", bytes)?;
            Ok(outputs)
        });
        self.answer();
        put_outcome(&mut self.link, &outputs)?;
        outputs.map_or(Ok(()), |outputs| put_named(&mut self.link, &outputs))
    }

    fn get_timeout(&mut self) -> Result<Duration, WireError> {
        Ok(Duration::from_nanos(get_u64(&mut self.link)?).min(self.timeout))
    }

    /// Starts the answer. The duration of the call no longer counts: from now on the worker has a short time to
    /// take the answer.
    fn answer(&mut self) {
        self.link.begin();
        self.link.set_deadline(Instant::now().checked_add(GRACE));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::super::models_link::ModelsLink;
    use super::*;
    use sage_batch::wire::put_u64;
    use sage_models::{DType, Dimension, LeaseState, ModelFacts, NamedTensor, Tensor, TensorData, TensorSpec};
    use sage_plan::GraphRows;

    /// Answers with the request itself, and with the given timeout.
    #[derive(Debug)]
    struct Echo;

    fn facts() -> ModelFacts {
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: vec![Dimension::Free("batch".to_owned()), Dimension::Fixed(3)],
        };
        ModelFacts { inputs: vec![spec("x")], outputs: vec![spec("y")], weight_bytes: 12, rows: GraphRows::MadeUp }
    }

    impl ModelAccess for Echo {
        fn acquire(&self, timeout: Duration) -> Result<LeaseView, InferenceError> {
            if timeout.is_zero() {
                return Err(InferenceError::Deadline);
            }
            Ok(LeaseView { state: LeaseState::Held, share: u32::try_from(timeout.as_millis()).unwrap() })
        }

        fn view(&self) -> LeaseView {
            LeaseView { state: LeaseState::Draining, share: 2500 }
        }

        fn open(&self, model: &str) -> Result<Arc<ModelFacts>, InferenceError> {
            match model {
                "echo" => Ok(Arc::new(facts())),
                other => Err(InferenceError::UnknownModel(other.to_owned())),
            }
        }

        fn run(&self, model: &str, inputs: Vec<NamedTensor>, _: Duration) -> Result<Vec<NamedTensor>, InferenceError> {
            match model {
                "echo" => Ok(inputs),
                "doubles" => Ok([inputs.clone(), inputs].concat()),
                "grows" => Ok(inputs.iter().cycle().take(2000).cloned().collect()),
                other => Err(InferenceError::DeniedModel(other.to_owned())),
            }
        }
    }

    /// Maximum bytes of the inputs and of the outputs of a call.
    const BYTES: u64 = 4 << 20;

    fn far() -> (Link, Receiver<WireError>) {
        let (link, end) = Link::pair().unwrap();
        let (broken, told) = channel();
        let served = ModelsServed { link, access: Arc::new(Echo), timeout: Duration::from_millis(500), bytes: BYTES };
        served.start(move |error| broken.send(error).unwrap()).unwrap();
        (Link::far(end, Duration::ZERO).unwrap(), told)
    }

    fn tensor(count: usize) -> NamedTensor {
        let tensor = Tensor::new(vec![count], TensorData::F32(vec![1.25; count])).unwrap();
        NamedTensor { name: "x".to_owned(), tensor }
    }

    #[test]
    fn every_call_gives_what_it_gives_in_the_host() {
        let (link, _told) = far();
        let models = ModelsLink::new(link);
        let timeout = Duration::from_millis(40);
        assert_eq!(models.acquire(timeout), Ok(LeaseView { state: LeaseState::Held, share: 40 }));
        assert_eq!(models.acquire(Duration::ZERO), Err(InferenceError::Deadline));
        assert_eq!(models.acquire(Duration::MAX).unwrap().share, 500, "no longer than the instance's own timeout");
        assert_eq!(models.view(), LeaseView { state: LeaseState::Draining, share: 2500 });
        assert_eq!(models.open("echo"), Ok(Arc::new(facts())));
        assert_eq!(models.open("other"), Err(InferenceError::UnknownModel("other".to_owned())));
        for count in [0, 1, 1 << 20] {
            assert_eq!(models.run("echo", vec![tensor(count)], timeout), Ok(vec![tensor(count)]), "{count}");
        }
        assert_eq!(models.run("no", vec![], timeout), Err(InferenceError::DeniedModel("no".to_owned())));
    }

    #[test]
    fn what_is_too_large_is_refused_either_way_and_the_next_call_works() {
        let (link, _told) = far();
        let models = ModelsLink::new(link);
        let timeout = Duration::from_secs(1);
        let many = models.run("echo", vec![tensor(1); 2000], timeout).unwrap_err().to_string();
        assert_eq!(many, "tensors of input are 2000, at most 1024 may be");
        let grown = models.run("grows", vec![tensor(1)], timeout).unwrap_err().to_string();
        assert_eq!(grown, "tensors of output are 2000, at most 1024 may be");
        let most = tensor(1 << 20);
        assert!(models.run("echo", vec![most.clone()], timeout).is_ok());
        let doubled = models.run("doubles", vec![most], timeout).unwrap_err().to_string();
        assert_eq!(doubled, "bytes of output are 8388608, at most 4194304 may be");
        let named = models.open(&"n".repeat(5000)).unwrap_err().to_string();
        assert_eq!(named, "bytes of a model's name are 5000, at most 4096 may be");
        assert!(models.open("echo").is_ok());
    }

    #[test]
    fn a_worker_that_breaks_the_rules_is_told_with_what_it_did() {
        let cases: [(&[u64], &str); 5] = [
            (&[9], "a request of kind 9"),
            (&[ask::OPEN, 1 << 40], "a length of 1099511627776, at most 4096 was expected"),
            (&[ask::RUN, 0, 0, 1 << 40], "1099511627776 tensors, at most 1024 were expected"),
            (&[ask::RUN, 0, 0, 1, 0, 6, 1, 1 << 40, 1 << 42], "a tensor of 4398046511104 bytes"),
            (
                &[ask::RUN, 0, 0, 1, 0, 6, 1, (1 << 20) + 1, (4 << 20) + 4],
                "a tensor of 4194308 bytes, at most 4194304 were expected with all of a call",
            ),
        ];
        for (words, told) in cases {
            let (mut link, broken) = far();
            words.iter().for_each(|word| put_u64(&mut link, *word).unwrap());
            link.send();
            let error = broken.recv_timeout(Duration::from_secs(20)).unwrap().to_string();
            assert!(error.contains(told), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_host_that_does_not_answer_is_a_deadline_and_then_a_lost_device() {
        let (_near, end) = Link::pair().unwrap();
        let mut link = Link::far(end, Duration::ZERO).unwrap();
        link.set_timeout(Some(Duration::from_millis(10)));
        let models = ModelsLink::new(link);
        assert_eq!(models.acquire(Duration::from_millis(10)), Err(InferenceError::Deadline));
        assert!(matches!(models.open("echo"), Err(InferenceError::DeviceLost(_))));
        assert_eq!(models.view(), LeaseView { state: LeaseState::DeviceLost, share: 0 });
    }
}
