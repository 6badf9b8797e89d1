//! Any bytes as the body of a request: the body is refused with a code, or is a submission whose names cannot be paths
//! and that a server can write down.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sage_serve::api::{JobRequest, RevisionRequest, RollbackRequest, TokenRequest};
use sage_serve::state::Timeouts;
use sage_serve::store::{JobId, JobName};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = serde_json::from_slice::<JobRequest>(bytes) {
        let written = serde_json::to_vec(&request).expect("it can be sent");
        serde_json::from_slice::<JobRequest>(&written).expect("it reads back");
        match request.checked(None, (None, None), None, "user:0".to_owned()) {
            Err(problem) => {
                assert!((400..500).contains(&problem.status), "{problem:?}");
                assert!(!problem.code.is_empty() && !problem.detail.is_empty(), "{problem:?}");
            }
            Ok(submission) => {
                assert!(submission.drain_timeout <= Timeouts::LONGEST_DRAIN);
                assert!(submission.data.is_absolute());
                let name = submission.name.unwrap_or_else(|| JobName::like(&submission.pipeline_name));
                let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!((1..=63).contains(&name.as_str().len()) && name.as_str().chars().all(plain), "{name}");
            }
        }
    }
    if let Ok(request) = serde_json::from_slice::<RevisionRequest>(bytes) {
        let written = serde_json::to_vec(&request).expect("it can be sent");
        serde_json::from_slice::<RevisionRequest>(&written).expect("it reads back");
    }
    let _ = serde_json::from_slice::<RollbackRequest>(bytes);
    let _ = serde_json::from_slice::<TokenRequest>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(id) = text.parse::<JobId>()
    {
        assert_eq!(id.to_string(), text);
    }
});
