use super::{DType, Element};
use crate::Error;

/// A row-major array for one of a model's inputs. The tensor borrows its elements: nothing is copied.
///
/// The last dimension varies fastest. If the model takes several rows, the first dimension is the rows. A
/// tensor without dimensions has one element.
///
/// ```
/// use sage_guest::inference::Tensor;
///
/// let bytes = [0_i32; 3 * 2048];
/// let tensor = Tensor::new("bytes", [3, 2048], &bytes)?;
/// assert_eq!(tensor.rows(), 3);
///
/// let error = Tensor::new("bytes", [4, 2048], &bytes).unwrap_err();
/// assert_eq!(error.message(), r#"tensor "bytes": i32[4, 2048] has 8192 elements, 6144 were given"#);
/// # Ok::<(), sage_guest::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    name: &'a str,
    dtype: DType,
    shape: Vec<u32>,
    bytes: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// Creates a tensor of these elements in this shape, for the input `name`.
    ///
    /// # Errors
    /// The shape has another number of elements, or a dimension of 2³² or more.
    pub fn new<T: Element>(
        name: &'a str,
        shape: impl IntoIterator<Item = usize>,
        elements: &'a [T],
    ) -> Result<Self, Error> {
        let sizes: Vec<usize> = shape.into_iter().collect();
        let count = sizes.iter().try_fold(1_usize, |count, &size| count.checked_mul(size));
        if count != Some(elements.len()) {
            let has = count.map_or_else(|| "more than can be counted".to_owned(), |count| format!("{count}"));
            return Err(Error::new(format_args!(
                "tensor {name:?}: {}{sizes:?} has {has} elements, {} were given",
                T::DTYPE,
                elements.len()
            )));
        }
        let shape: Result<Vec<u32>, _> = sizes.iter().map(|&size| u32::try_from(size)).collect();
        let Ok(shape) = shape else {
            return Err(Error::new(format_args!("tensor {name:?}: a dimension of {sizes:?} is 2^32 or more")));
        };
        Ok(Self { name, dtype: T::DTYPE, shape, bytes: T::bytes(elements) })
    }

    /// Name of the input for which the tensor is meant.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Size of each dimension.
    pub fn shape(&self) -> &[u32] {
        &self.shape
    }

    /// The first dimension; 1 for a tensor without dimensions.
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(1, |rows| *rows as usize)
    }

    /// Returns the elements.
    ///
    /// # Errors
    /// The elements have another type.
    pub fn to_slice<T: Element>(&self) -> Result<&'a [T], Error> {
        let elements = if T::DTYPE == self.dtype { T::view(self.bytes) } else { None };
        elements.ok_or_else(|| other_type(self.name, self.dtype, T::DTYPE))
    }

    /// Returns the elements as little-endian bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

#[cold]
pub(super) fn other_type(name: &str, is: DType, asked: DType) -> Error {
    if is == asked {
        return Error::new(format_args!("tensor {name:?}: its bytes are not {asked}"));
    }
    Error::new(format_args!("tensor {name:?} is of {is}, not of {asked}"))
}
