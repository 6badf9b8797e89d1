//! ONNX files that tests write byte by byte, including files that no tool would write.

use sage_models::DType;

/// Builder of an ONNX file. All parts are protobuf messages, see
/// <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
#[derive(Debug, Clone, Default)]
pub struct Onnx {
    graph: Message,
}

/// A protobuf message: fields with their numbers.
#[derive(Debug, Clone, Default)]
pub struct Message(Vec<u8>);

/// A dimension of an input or output.
#[derive(Debug, Clone, Copy)]
pub enum Dim<'a> {
    /// A fixed length.
    Is(i64),
    /// A free length with a name.
    Free(&'a str),
}

impl Onnx {
    /// Adds an input with a type, by ONNX's number for it, and a shape.
    #[must_use]
    pub fn input(mut self, name: &str, element: u64, shape: &[Dim<'_>]) -> Self {
        self.graph.message(11, &value_info(name, element, shape));
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, name: &str, element: u64, shape: &[Dim<'_>]) -> Self {
        self.graph.message(12, &value_info(name, element, shape));
        self
    }

    /// Adds a node: an operator of the default domain, its inputs and outputs, and attributes from
    /// [`attribute`] and similar functions.
    #[must_use]
    pub fn node(mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Self {
        self.graph.message(1, &node(operator, inputs, outputs, attributes));
        self
    }

    /// Adds a node with an operator of another domain.
    #[must_use]
    pub fn node_of(mut self, domain: &str, operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let mut node = node(operator, inputs, outputs, &[]);
        node.text(7, domain);
        self.graph.message(1, &node);
        self
    }

    /// Adds a weight.
    #[must_use]
    pub fn weight(mut self, weight: &Message) -> Self {
        self.graph.message(5, weight);
        self
    }

    /// The graph alone, to be nested in an attribute.
    #[must_use]
    pub fn graph(mut self) -> Message {
        self.graph.text(2, "graph");
        self.graph
    }

    /// The file with IR version 8 and operator set 17.
    #[must_use]
    pub fn file(self) -> Vec<u8> {
        self.file_of_set(17)
    }

    /// The file with another version of the operator set.
    #[must_use]
    pub fn file_of_set(self, set: u64) -> Vec<u8> {
        let mut operators = Message::default();
        operators.number(2, set);
        let mut model = Message::default();
        model.number(1, 8);
        model.text(2, "sage-tests");
        model.message(7, &self.graph());
        model.message(8, &operators);
        model.0
    }
}

impl Message {
    /// Adds a varint.
    pub fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    /// Adds a string.
    pub fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Adds a nested message.
    pub fn message(&mut self, field: u64, inner: &Self) {
        self.bytes(field, &inner.0);
    }

    /// Adds bytes.
    pub fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// ONNX's number for a [`DType`].
#[must_use]
pub fn element(dtype: DType) -> u64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::Bf16 => 16,
    }
}

/// A tensor with the declared type and dimensions, and with the given bytes, which may not fit them.
#[must_use]
pub fn tensor(name: &str, element: u64, dims: &[i64], raw: &[u8]) -> Message {
    let mut tensor = Message::default();
    for dim in dims {
        tensor.number(1, dim.cast_unsigned());
    }
    tensor.number(2, element);
    tensor.text(8, name);
    tensor.bytes(9, raw);
    tensor
}

/// A tensor with its bytes in another file.
#[must_use]
pub fn tensor_elsewhere(name: &str, element: u64, dims: &[i64], file: &str) -> Message {
    let mut tensor = Message::default();
    for dim in dims {
        tensor.number(1, dim.cast_unsigned());
    }
    let mut location = Message::default();
    location.text(1, "location");
    location.text(2, file);
    tensor.number(2, element);
    tensor.text(8, name);
    tensor.message(13, &location);
    tensor.number(14, 1);
    tensor
}

/// An attribute with a whole number.
#[must_use]
pub fn attribute(name: &str, value: i64) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    attribute.number(3, value.cast_unsigned());
    attribute.number(20, 2);
    attribute
}

/// An attribute with a string.
#[must_use]
pub fn word_attribute(name: &str, value: &str) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    attribute.text(4, value);
    attribute.number(20, 3);
    attribute
}

/// An attribute with whole numbers.
#[must_use]
pub fn numbers_attribute(name: &str, values: &[i64]) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    values.iter().for_each(|value| attribute.number(8, value.cast_unsigned()));
    attribute.number(20, 7);
    attribute
}

/// An attribute with a tensor.
#[must_use]
pub fn tensor_attribute(name: &str, tensor: &Message) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    attribute.message(5, tensor);
    attribute.number(20, 4);
    attribute
}

/// An attribute with a graph.
#[must_use]
pub fn graph_attribute(name: &str, graph: &Message) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    attribute.message(6, graph);
    attribute.number(20, 5);
    attribute
}

fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let mut node = Message::default();
    inputs.iter().for_each(|input| node.text(1, input));
    outputs.iter().for_each(|output| node.text(2, output));
    node.text(4, operator);
    attributes.iter().for_each(|attribute| node.message(5, attribute));
    node
}

fn value_info(name: &str, element: u64, shape: &[Dim<'_>]) -> Message {
    let mut dimensions = Message::default();
    for dim in shape {
        let mut dimension = Message::default();
        match dim {
            Dim::Is(size) => dimension.number(1, size.cast_unsigned()),
            Dim::Free(name) => dimension.text(2, name),
        }
        dimensions.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.number(1, element);
    tensor.message(2, &dimensions);
    let mut of = Message::default();
    of.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, &of);
    info
}
