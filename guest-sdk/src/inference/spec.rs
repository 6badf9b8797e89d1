use std::fmt;

use super::DType;

/// Declaration of an input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name of the input or output.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Size of each dimension; `None` is a dimension of any size. If the model takes several rows, the first
    /// dimension is the rows.
    pub shape: Vec<Option<usize>>,
}

/// Formats element type and shape, without the name: `f32[?, 3, 48, 192]`.
impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, dimension) in self.shape.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            match dimension {
                Some(size) => write!(f, "{separator}{size}")?,
                None => write!(f, "{separator}?")?,
            }
        }
        f.write_str("]")
    }
}
