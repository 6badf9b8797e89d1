use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimensionValue;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::Framework as _;

use super::row_analysis::analyse;
use super::{DType, Dimension, InferenceError, ModelFacts, TensorSpec};
use sage_plan::GraphRows;

/// A parsed ONNX file. No part of it is computed.
#[derive(Debug)]
pub(super) struct OnnxFile {
    proto: ModelProto,
}

impl OnnxFile {
    /// Parses the bytes of a file. Uses about as much memory as the file has bytes. Messages that are nested
    /// deeper than 100 levels are refused.
    ///
    /// # Errors
    /// The bytes are not an ONNX model, or its weights are in other files, which are never read.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InferenceError> {
        let mut reader = bytes;
        let proto = tract_onnx::onnx()
            .proto_model_for_read(&mut reader)
            .map_err(|error| unsupported(format!("the file is no ONNX model: {error:#}")))?;
        let file = Self { proto };
        let graph = file.graph().ok_or_else(|| unsupported("the file is no ONNX model: it has no graph".to_owned()))?;
        let mut outside = None;
        each_tensor(graph, &mut |tensor| {
            if tensor.data_location == Some(DataLocation::External as i32) {
                outside.get_or_insert_with(|| tensor.name.clone());
            }
        });
        match outside {
            Some(name) => Err(unsupported(format!("tensor \"{name}\" lies in another file: a model must be one file"))),
            None => Ok(file),
        }
    }

    pub(super) fn proto(&self) -> &ModelProto {
        &self.proto
    }

    fn graph(&self) -> Option<&GraphProto> {
        self.proto.graph.as_ref()
    }

    /// The inputs and outputs.
    ///
    /// # Errors
    /// An input or output is not a tensor, has no shape, or has an unsupported type.
    pub(super) fn facts(&self) -> Result<ModelFacts, InferenceError> {
        let Some(graph) = self.graph() else { return Err(unsupported("the model has no graph".to_owned())) };
        let is_weight = |input: &&ValueInfoProto| graph.initializer.iter().any(|tensor| tensor.name == input.name);
        let inputs = graph.input.iter().filter(|input| !is_weight(input)).map(|input| spec("input", input));
        let outputs = graph.output.iter().map(|output| spec("output", output));
        let facts = ModelFacts {
            inputs: inputs.collect::<Result<_, _>>()?,
            outputs: outputs.collect::<Result<_, _>>()?,
            weight_bytes: self.weight_bytes(),
            rows: GraphRows::default(),
        };
        Ok(ModelFacts { rows: self.rows(&facts), ..facts })
    }

    /// The independence of rows that the operators show, for a model with these inputs and outputs.
    pub(super) fn rows(&self, facts: &ModelFacts) -> GraphRows {
        analyse(&self.proto, facts)
    }

    /// Bytes of all constants.
    pub(super) fn weight_bytes(&self) -> u64 {
        let mut bytes = 0_u64;
        if let Some(graph) = self.graph() {
            each_tensor(graph, &mut |tensor| bytes = bytes.saturating_add(bytes_of(tensor)));
        }
        bytes
    }

    /// The names of all operators that the file uses, sorted, each once.
    pub(super) fn operators(&self) -> Vec<&str> {
        let mut names = Vec::new();
        if let Some(graph) = self.graph() {
            each_graph(graph, &mut |graph| names.extend(graph.node.iter().map(|node| node.op_type.as_str())));
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn spec(side: &str, value: &ValueInfoProto) -> Result<TensorSpec, InferenceError> {
    let name = &value.name;
    let TypeValue::TensorType(tensor) = value
        .r#type
        .as_ref()
        .and_then(|of| of.value.as_ref())
        .ok_or_else(|| unsupported(format!("{side} \"{name}\" is no tensor")))?;
    let dtype = dtype(tensor.elem_type).ok_or_else(|| {
        let what = DataType::try_from(tensor.elem_type)
            .map_or_else(|_| format!("type {}", tensor.elem_type), |known| format!("{known:?}").to_lowercase());
        unsupported(format!("{side} \"{name}\" is {what}, which cannot be passed to models"))
    })?;
    let shape =
        tensor.shape.as_ref().ok_or_else(|| unsupported(format!("{side} \"{name}\" has no shape in the file")))?;
    let shape = shape.dim.iter().map(|dimension| match &dimension.value {
        Some(DimensionValue::DimValue(size)) => {
            usize::try_from(*size).map_or_else(|_| Dimension::Free(String::new()), Dimension::Fixed)
        }
        Some(DimensionValue::DimParam(name)) => Dimension::free(name),
        None => Dimension::Free(String::new()),
    });
    Ok(TensorSpec { name: name.clone(), dtype, shape: shape.collect() })
}

fn dtype(elem_type: i32) -> Option<DType> {
    Some(match DataType::try_from(elem_type).ok()? {
        DataType::Bool => DType::Bool,
        DataType::Uint8 => DType::U8,
        DataType::Int32 => DType::I32,
        DataType::Int64 => DType::I64,
        DataType::Float16 => DType::F16,
        DataType::Bfloat16 => DType::Bf16,
        DataType::Float => DType::F32,
        DataType::Double => DType::F64,
        _ => return None,
    })
}

/// Bytes of the elements that are really present. The dimensions are not trusted.
fn bytes_of(tensor: &TensorProto) -> u64 {
    let size = |count: usize, bytes: usize| (count as u64).saturating_mul(bytes as u64);
    size(tensor.raw_data.len(), 1)
        + size(tensor.float_data.len() + tensor.int32_data.len(), 4)
        + size(tensor.int64_data.len() + tensor.double_data.len() + tensor.uint64_data.len(), 8)
}

/// Calls `see` for this graph and for every graph inside its nodes. The parser bounds the depth.
fn each_graph<'a>(graph: &'a GraphProto, see: &mut dyn FnMut(&'a GraphProto)) {
    see(graph);
    for attribute in graph.node.iter().flat_map(|node| &node.attribute) {
        for inner in attribute.g.iter().chain(&attribute.graphs) {
            each_graph(inner, see);
        }
    }
}

/// Calls `see` for every constant.
fn each_tensor(graph: &GraphProto, see: &mut dyn FnMut(&TensorProto)) {
    each_graph(graph, &mut |graph| {
        let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        let attributes = graph.node.iter().flat_map(|node| &node.attribute);
        let in_nodes = attributes.flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors));
        for tensor in graph.initializer.iter().chain(sparse).chain(in_nodes) {
            see(tensor);
        }
    });
}

fn unsupported(reason: String) -> InferenceError {
    InferenceError::Unsupported(reason)
}
