use half::{bf16, f16};
use thiserror::Error;

use super::DType;

/// A multi-dimensional array of numbers in row-major order: the last dimension varies fastest. A scalar has
/// no dimensions and one element.
///
/// If a model accepts several rows, the first dimension is the rows. The tensor owns its elements, typed and
/// aligned, so a backend can take them over without a copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is what its name says, see `DType`")]
pub enum TensorData {
    /// Each byte is 0 or 1.
    Bool(Vec<u8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A tensor with the name of a model's input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The input or output.
    pub name: String,
    /// The value of the input or output.
    pub tensor: Tensor,
}

/// The reason why bytes are not a valid tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TensorError {
    /// The number of bytes does not match the shape.
    #[error(
        "{dtype} of shape {shape:?} has {} bytes, {got} came",
        .expected.map_or_else(|| "more than a machine's".to_owned(), |bytes| bytes.to_string())
    )]
    Length {
        /// The element type.
        dtype: DType,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes by the shape. `None` if the product overflows.
        expected: Option<usize>,
        /// Actual number of bytes.
        got: usize,
    },
    /// A boolean is neither 0 nor 1.
    #[error("element {at} of a bool tensor is {value}, not 0 or 1")]
    NoBool {
        /// The index of the element.
        at: usize,
        /// The value of the element.
        value: u8,
    },
}

/// Expands to the same arm for every element type.
macro_rules! each {
    ($data:expr, $elements:ident => $then:expr) => {
        match $data {
            TensorData::Bool($elements) | TensorData::U8($elements) => $then,
            TensorData::I32($elements) => $then,
            TensorData::I64($elements) => $then,
            TensorData::F16($elements) => $then,
            TensorData::Bf16($elements) => $then,
            TensorData::F32($elements) => $then,
            TensorData::F64($elements) => $then,
        }
    };
}

impl Tensor {
    /// Copies elements from little-endian bytes, which need not be aligned.
    ///
    /// # Errors
    /// The shape requires another length, or a boolean is neither 0 nor 1. Nothing is allocated in these
    /// cases.
    pub fn read(dtype: DType, shape: Vec<usize>, bytes: &[u8]) -> Result<Self, TensorError> {
        let expected = elements(&shape).and_then(|count| count.checked_mul(dtype.size()));
        if expected != Some(bytes.len()) {
            return Err(TensorError::Length { dtype, shape, expected, got: bytes.len() });
        }
        let data = match dtype {
            DType::Bool => {
                if let Some((at, &value)) = bytes.iter().enumerate().find(|(_, value)| **value > 1) {
                    return Err(TensorError::NoBool { at, value });
                }
                TensorData::Bool(bytes.to_vec())
            }
            DType::U8 => TensorData::U8(bytes.to_vec()),
            DType::I32 => TensorData::I32(bytemuck::pod_collect_to_vec(bytes)),
            DType::I64 => TensorData::I64(bytemuck::pod_collect_to_vec(bytes)),
            DType::F16 => TensorData::F16(bytemuck::pod_collect_to_vec(bytes)),
            DType::Bf16 => TensorData::Bf16(bytemuck::pod_collect_to_vec(bytes)),
            DType::F32 => TensorData::F32(bytemuck::pod_collect_to_vec(bytes)),
            DType::F64 => TensorData::F64(bytemuck::pod_collect_to_vec(bytes)),
        };
        Ok(Self { shape, data })
    }

    /// A tensor of these elements and this shape.
    ///
    /// # Errors
    /// The errors of [`Tensor::read`].
    pub fn new(shape: Vec<usize>, data: TensorData) -> Result<Self, TensorError> {
        let (dtype, got) = (data.dtype(), data.bytes().len());
        let expected = elements(&shape).and_then(|count| count.checked_mul(dtype.size()));
        if expected != Some(got) {
            return Err(TensorError::Length { dtype, shape, expected, got });
        }
        if let TensorData::Bool(bits) = &data
            && let Some((at, &value)) = bits.iter().enumerate().find(|(_, value)| **value > 1)
        {
            return Err(TensorError::NoBool { at, value });
        }
        Ok(Self { shape, data })
    }

    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// The dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    #[must_use]
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// Moves the dimensions and the elements out of the tensor.
    #[must_use]
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }

    /// The elements as little-endian bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.data.bytes()
    }

    /// The first dimension, or 1 for a scalar.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// A copy of `count` rows from row `from` on. `None` if the tensor has fewer rows, and for a scalar.
    #[must_use]
    pub fn slice_rows(&self, from: usize, count: usize) -> Option<Self> {
        let to = from.checked_add(count).filter(|to| self.shape.first().is_some_and(|rows| to <= rows))?;
        let width = elements(self.shape.get(1..).unwrap_or_default()).unwrap_or(0);
        fn part<T: Clone>(all: &[T], from: usize, to: usize) -> Option<Vec<T>> {
            all.get(from..to).map(<[T]>::to_vec)
        }
        let (start, end) = (from.saturating_mul(width), to.saturating_mul(width));
        let data = match &self.data {
            TensorData::Bool(all) => TensorData::Bool(part(all, start, end)?),
            TensorData::U8(all) => TensorData::U8(part(all, start, end)?),
            TensorData::I32(all) => TensorData::I32(part(all, start, end)?),
            TensorData::I64(all) => TensorData::I64(part(all, start, end)?),
            TensorData::F16(all) => TensorData::F16(part(all, start, end)?),
            TensorData::Bf16(all) => TensorData::Bf16(part(all, start, end)?),
            TensorData::F32(all) => TensorData::F32(part(all, start, end)?),
            TensorData::F64(all) => TensorData::F64(part(all, start, end)?),
        };
        let mut shape = self.shape.clone();
        if let Some(rows) = shape.first_mut() {
            *rows = count;
        }
        Some(Self { shape, data })
    }

    /// Concatenates the rows of all parts. `None` if they differ in type or in any dimension except the
    /// first, for scalars, and without parts.
    #[must_use]
    pub fn concatenate(parts: &[&Self]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let mut shape = first.shape.clone();
        let inner = shape.get(1..)?.to_vec();
        let mut data = first.data.clone();
        for part in rest {
            if part.shape.get(1..)? != inner {
                return None;
            }
            *shape.first_mut()? += part.shape.first()?;
            match (&mut data, &part.data) {
                (TensorData::Bool(all), TensorData::Bool(more)) | (TensorData::U8(all), TensorData::U8(more)) => {
                    all.extend_from_slice(more);
                }
                (TensorData::I32(all), TensorData::I32(more)) => all.extend_from_slice(more),
                (TensorData::I64(all), TensorData::I64(more)) => all.extend_from_slice(more),
                (TensorData::F16(all), TensorData::F16(more)) => all.extend_from_slice(more),
                (TensorData::Bf16(all), TensorData::Bf16(more)) => all.extend_from_slice(more),
                (TensorData::F32(all), TensorData::F32(more)) => all.extend_from_slice(more),
                (TensorData::F64(all), TensorData::F64(more)) => all.extend_from_slice(more),
                _ => return None,
            }
        }
        Some(Self { shape, data })
    }
}

impl TensorData {
    /// The element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Self::Bool(_) => DType::Bool,
            Self::U8(_) => DType::U8,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::F16(_) => DType::F16,
            Self::Bf16(_) => DType::Bf16,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// The elements as little-endian bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        each!(self, elements => bytemuck::cast_slice(elements))
    }
}

/// Number of elements of a shape. `None` if it overflows.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
}

#[cfg(target_endian = "big")]
compile_error!("tensors cross the boundary in little-endian order, which is read here as it lies");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_and_gives_its_bytes_back() {
        for dtype in DType::ALL {
            let bytes: Vec<u8> = (0..6 * dtype.size()).map(|i| u8::from(i % 3 == 1)).collect();
            let tensor = Tensor::read(dtype, vec![2, 3], &bytes).unwrap();
            assert_eq!((tensor.dtype(), tensor.rows(), tensor.bytes()), (dtype, 2, bytes.as_slice()), "{dtype}");
        }
    }

    #[test]
    fn bytes_that_lie_askew_are_read() {
        let bytes: Vec<u8> = std::iter::once(9).chain(7_i64.to_le_bytes()).collect();
        let tensor = Tensor::read(DType::I64, vec![], &bytes[1..]).unwrap();
        assert_eq!((tensor.data(), tensor.rows()), (&TensorData::I64(vec![7]), 1));
    }

    #[test]
    fn a_shape_that_says_another_length_is_an_error() {
        for shape in [vec![2], vec![1, 3], vec![usize::MAX, 2], vec![usize::MAX / 2]] {
            let error = Tensor::read(DType::F32, shape.clone(), &[0; 4]).unwrap_err();
            assert!(matches!(error, TensorError::Length { got: 4, .. }), "{shape:?}: {error}");
        }
        assert!(Tensor::read(DType::F32, vec![0, 5], &[]).is_ok(), "no rows are a shape too");
    }

    #[test]
    fn a_boolean_is_0_or_1() {
        let error = Tensor::read(DType::Bool, vec![3], &[0, 1, 2]).unwrap_err();
        assert_eq!(error, TensorError::NoBool { at: 2, value: 2 });
    }

    #[test]
    fn rows_are_put_together_and_taken_apart_again() {
        let tensor = |rows: usize, from: i32| {
            let data = (from..).take(rows * 2).collect();
            Tensor::new(vec![rows, 2], TensorData::I32(data)).unwrap()
        };
        let (a, b, c) = (tensor(1, 0), tensor(3, 2), tensor(2, 8));
        let all = Tensor::concatenate(&[&a, &b, &c]).unwrap();
        assert_eq!((all.shape(), all.data()), (&[6, 2][..], &TensorData::I32((0..12).collect())));
        let parts = [all.slice_rows(0, 1), all.slice_rows(1, 3), all.slice_rows(4, 2)];
        assert_eq!(parts, [a, b, c].map(Some));
        for (from, count) in [(5, 9), (6, 1), (7, 0), (usize::MAX, 1), (1, usize::MAX)] {
            assert_eq!(all.slice_rows(from, count), None, "{count} rows from {from} of 6");
        }
        let scalar = Tensor::new(vec![], TensorData::I32(vec![1])).unwrap();
        assert_eq!(scalar.slice_rows(0, 1), None, "it has no rows");
    }

    #[test]
    fn what_does_not_fit_together_is_not_put_together() {
        let i32s = |shape: Vec<usize>| {
            let count = shape.iter().product();
            Tensor::new(shape, TensorData::I32(vec![0; count])).unwrap()
        };
        let u8s = Tensor::new(vec![1, 2], TensorData::U8(vec![0, 0])).unwrap();
        assert_eq!(Tensor::concatenate(&[&i32s(vec![1, 2]), &i32s(vec![1, 3])]), None);
        assert_eq!(Tensor::concatenate(&[&i32s(vec![1, 2]), &u8s]), None);
        assert_eq!(Tensor::concatenate(&[&i32s(vec![])]), None, "a scalar has no rows");
        assert_eq!(Tensor::concatenate(&[]), None);
    }
}
