use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{InferenceError, ModelFacts};

/// The description in an ONNX file. No part of it is computed, and the file is untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInspection {
    /// The inputs and outputs.
    pub facts: ModelFacts,
    /// The version of the file's format.
    pub ir_version: i64,
    /// The versions of the operator sets that the file uses, by domain. ONNX's own domain is `ai.onnx`.
    pub operator_sets: BTreeMap<String, i64>,
    /// The names of the operators that the file uses, each once.
    pub operators: Vec<String>,
    /// The program that wrote the file, with its version.
    pub producer: Option<String>,
    /// Other metadata in the file.
    pub metadata: BTreeMap<String, String>,
}

impl ModelInspection {
    /// Parses the file. Uses about as much memory as the file has bytes.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`]: the file is not an ONNX model, its weights are in other files, or an
    /// input or output has an unsupported type. A build without tract always returns this error, because
    /// tract contains the parser.
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

    /// Always fails, because this build has no parser.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "tract"))]
    pub fn of(_model: &[u8]) -> Result<Self, InferenceError> {
        Err(InferenceError::Unsupported("reading ONNX files: this sage-host was built without tract".to_owned()))
    }
}
