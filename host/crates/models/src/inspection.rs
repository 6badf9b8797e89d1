use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{InferenceError, ModelFacts};

/// What an ONNX file says of itself. Nothing of it was computed, and whoever wrote it is a stranger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInspection {
    /// What it takes and gives.
    pub facts: ModelFacts,
    /// The version of the file's format.
    pub ir_version: i64,
    /// The versions of the operator sets that it uses, by their domain; ONNX's own is `ai.onnx`.
    pub operator_sets: BTreeMap<String, i64>,
    /// The names of the operators that it uses, each once.
    pub operators: Vec<String>,
    /// What wrote it, with its version.
    pub producer: Option<String>,
    /// What else it says.
    pub metadata: BTreeMap<String, String>,
}

impl ModelInspection {
    /// Reads it. Takes about as much memory as the file has bytes.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`]: it is no ONNX model, its weights lie in other files, or an input or output is of a type that is not
    /// passed; always so in a build without tract, which has the parser.
    #[cfg(feature = "tract")]
    pub fn of(model: &[u8]) -> Result<Self, InferenceError> {
        let file = super::onnx_file::OnnxFile::parse(model)?;
        let facts = file.facts()?;
        let operators = file.operators().into_iter().map(str::to_owned).collect();
        let proto = file.proto();
        let producer = format!("{} {}", proto.producer_name, proto.producer_version).trim().to_owned();
        let domain = |domain: &str| if domain.is_empty() { "ai.onnx" } else { domain }.to_owned();
        Ok(Self {
            facts,
            ir_version: proto.ir_version,
            operator_sets: proto.opset_import.iter().map(|set| (domain(&set.domain), set.version)).collect(),
            operators,
            producer: Some(producer).filter(|producer| !producer.is_empty()),
            metadata: proto.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect(),
        })
    }

    /// Reads it, where a parser is built in, which is not so here.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "tract"))]
    pub fn of(_model: &[u8]) -> Result<Self, InferenceError> {
        Err(InferenceError::Unsupported("reading ONNX files: this sage-host was built without tract".to_owned()))
    }
}
