use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest request or answer, with its line end.
pub const LONGEST_MESSAGE: usize = 8 << 20;

/// A request to a job: one line of JSON. The answer is one line: `{"ok": …}` or `{"error": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum ControlRequest {
    /// The present [`crate::JobStatus`], without waiting for its file.
    Status,
    /// The enforcement report, as `run --explain --output json` prints it.
    Explain,
    /// The metrics in the text format of Prometheus.
    Metrics,
    /// The plan's graph: stages, edges and the schema of each edge.
    Graph,
    /// Stop the sources and finish what was read, within the timeout of the order or within this one.
    Drain {
        /// Milliseconds after which the job aborts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<u64>,
    },
    /// Take a savepoint. The answer comes when it is there.
    Savepoint {
        /// Its name: 1 to 64 letters, digits, - and _.
        name: String,
        /// Whether the run stops behind it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stop: bool,
    },
    /// Stop at once.
    Abort,
}

/// The answer to a [`ControlRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlAnswer {
    /// What was asked for; `null` for a drain and an abort, which have begun but not ended.
    Ok(Value),
    /// Why there is none, for a person.
    Error(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_lines_of_json_with_their_verb_in_do() {
        let cases = [
            (ControlRequest::Status, r#"{"do":"status"}"#),
            (ControlRequest::Drain { timeout: None }, r#"{"do":"drain"}"#),
            (ControlRequest::Savepoint { name: "a".to_owned(), stop: false }, r#"{"do":"savepoint","name":"a"}"#),
            (
                ControlRequest::Savepoint { name: "a".to_owned(), stop: true },
                r#"{"do":"savepoint","name":"a","stop":true}"#,
            ),
            (ControlRequest::Drain { timeout: Some(500) }, r#"{"do":"drain","timeout":500}"#),
        ];
        for (request, text) in cases {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<ControlRequest>(text).unwrap(), request);
        }
    }

    #[test]
    fn answers_are_objects_with_one_key() {
        let cases = [
            (ControlAnswer::Ok(Value::Null), r#"{"ok":null}"#),
            (ControlAnswer::Error("no".to_owned()), r#"{"error":"no"}"#),
        ];
        for (answer, text) in cases {
            assert_eq!(serde_json::to_string(&answer).unwrap(), text);
            assert_eq!(serde_json::from_str::<ControlAnswer>(text).unwrap(), answer);
        }
    }
}
