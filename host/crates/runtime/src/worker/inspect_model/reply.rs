use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use sage_models::{Examined, InferenceError};

/// The reply of the process, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
enum Reply {
    Examined { examined: Box<Examined> },
    Refused { reason: String },
}

/// Maximum bytes of a reply. Names and metadata of real models take some KiB.
pub(super) const LONGEST: usize = 1 << 20;

/// Writes the result of an examination.
pub(super) fn write(to: &mut impl Write, outcome: Result<Examined, InferenceError>) -> io::Result<()> {
    let reply = match outcome {
        Ok(examined) => Reply::Examined { examined: Box::new(examined) },
        Err(InferenceError::Unsupported(reason) | InferenceError::Backend(reason)) => Reply::Refused { reason },
        Err(error) => Reply::Refused { reason: error.to_string() },
    };
    to.write_all(&serde_json::to_vec(&reply)?)?;
    to.flush()
}

/// Reads a reply: the findings, or the reason of a refusal. `None` if it does not have the format of [`write`].
pub(super) fn read(reply: &[u8]) -> Option<Result<Examined, String>> {
    match serde_json::from_slice(reply).ok()? {
        Reply::Examined { examined } => Some(Ok(*examined)),
        Reply::Refused { reason } => Some(Err(reason)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use sage_models::{DType, Dimension, ModelFacts, ModelInspection, TensorSpec, Tried};
    use sage_plan::GraphRows;

    fn examined() -> Examined {
        let shape = vec![Dimension::Free("rows".to_owned()), Dimension::Fixed(3)];
        let facts = ModelFacts {
            inputs: vec![TensorSpec { name: "x".to_owned(), dtype: DType::Bf16, shape }],
            outputs: Vec::new(),
            weight_bytes: 7,
            rows: GraphRows::NotShown("a Softmax".to_owned()),
        };
        let operator_sets = [("ai.onnx".to_owned(), 17)].into();
        let inspection = ModelInspection {
            facts,
            ir_version: 8,
            operator_sets,
            operators: vec!["Add".to_owned()],
            producer: None,
            metadata: [("author".to_owned(), "\u{1b}[2J".to_owned())].into(),
        };
        let (load, run) = (Duration::from_millis(3), Some(Duration::from_micros(5)));
        Examined { inspection, tried: Some(Tried::Loaded { load, run, takes_rows: true, memory: Some(1 << 20) }) }
    }

    fn through(outcome: Result<Examined, InferenceError>) -> Option<Result<Examined, String>> {
        let mut wire = Vec::new();
        write(&mut wire, outcome).unwrap();
        read(&wire)
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(through(Ok(examined())), Some(Ok(examined())));
        for tried in [None, Some(Tried::Refused("no".to_owned()))] {
            let examined = Examined { tried, ..examined() };
            assert_eq!(through(Ok(examined.clone())), Some(Ok(examined)));
        }
        let refused = InferenceError::Unsupported("bad".to_owned());
        assert_eq!(through(Err(refused)), Some(Err("bad".to_owned())));
    }

    #[test]
    fn nonsense_is_no_reply() {
        let mut wire = Vec::new();
        write(&mut wire, Ok(examined())).unwrap();
        let longer = [wire.as_slice(), b"{}"].concat();
        for reply in [&[][..], &wire[..wire.len() - 1], &longer, b"{}", br#"{"outcome":"odd"}"#] {
            assert_eq!(read(reply), None, "{:?}", String::from_utf8_lossy(reply));
        }
    }
}
