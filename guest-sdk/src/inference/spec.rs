use std::fmt;

use super::DType;

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// What its elements are.
    pub dtype: DType,
    /// Its dimensions; `None` is one that takes any size. The first is the rows, where the model takes several.
    pub shape: Vec<Option<usize>>,
}

/// `f32[?, 3, 48, 192]`, without its name.
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
