use tract_onnx::pb::tensor_proto::DataType;

/// The element type of a tensor within a graph, as ONNX's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element(pub(super) i32);

impl Element {
    pub(super) const BOOL: Self = Self(DataType::Bool as i32);
    pub(super) const I64: Self = Self(DataType::Int64 as i32);
    pub(super) const I32: Self = Self(DataType::Int32 as i32);
    pub(super) const U8: Self = Self(DataType::Uint8 as i32);
    pub(super) const F32: Self = Self(DataType::Float as i32);

    /// The name of the type in the tables and in this program's messages.
    pub(super) fn name(self) -> String {
        let known = match DataType::try_from(self.0) {
            Ok(DataType::Bool) => "bool",
            Ok(DataType::Uint8) => "u8",
            Ok(DataType::Int32) => "i32",
            Ok(DataType::Int64) => "i64",
            Ok(DataType::Float16) => "f16",
            Ok(DataType::Bfloat16) => "bf16",
            Ok(DataType::Float) => "f32",
            Ok(DataType::Double) => "f64",
            Ok(other) => return format!("{other:?}").to_lowercase(),
            Err(_) => return format!("type {}", self.0),
        };
        known.to_owned()
    }
}
