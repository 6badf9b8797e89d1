use super::tensor::other_type;
use super::{DType, Element};
use crate::Error;

/// The answer of a model: one tensor for each of its outputs, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs(Vec<Output>);

/// An output of a run: a row-major array. If the model takes several rows, the first dimension is the rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    bytes: Aligned,
}

/// Bytes with an alignment that suits elements of every type.
#[derive(Debug, Clone)]
enum Aligned {
    /// The host's bytes themselves. The allocators that we know align every allocation to 8 bytes, though
    /// nothing requires this.
    AsTheyCame(Vec<u8>),
    /// A copy of the host's bytes, because they were not aligned; the second field is the length in bytes.
    Copied(Vec<u64>, usize),
}

impl Outputs {
    pub(crate) fn of(outputs: Vec<Output>) -> Self {
        Self(outputs)
    }

    /// Returns the output of this name.
    ///
    /// # Errors
    /// The model has no output of this name.
    pub fn get(&self, name: &str) -> Result<&Output, Error> {
        self.0.iter().find(|output| output.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.0.iter().map(Output::name).collect();
            Error::new(format_args!("the model has no output {name:?}; it has {known:?}"))
        })
    }

    /// Iterates over all outputs, in the model's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Output> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a Output;
    type IntoIter = std::slice::Iter<'a, Output>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Output {
    pub(crate) fn new(name: String, dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self { name, dtype, shape, bytes: Aligned::of(bytes) }
    }

    /// Name of the output.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Size of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns all elements, without a copy.
    ///
    /// # Errors
    /// The elements have another type.
    pub fn to_slice<T: Element>(&self) -> Result<&[T], Error> {
        let elements = if T::DTYPE == self.dtype { T::view(self.bytes.all()) } else { None };
        elements.ok_or_else(|| other_type(&self.name, self.dtype, T::DTYPE))
    }

    /// Returns the elements of each row, in order: one slice for each index of the first dimension. An output
    /// without dimensions has one row of one element.
    ///
    /// # Errors
    /// The elements have another type.
    pub fn rows<T: Element>(&self) -> Result<impl ExactSizeIterator<Item = &[T]>, Error> {
        let all = self.to_slice::<T>()?;
        let rows = self.shape.first().copied().unwrap_or(1);
        let width = all.len().checked_div(rows).unwrap_or_default();
        Ok((0..rows).map(move |row| all.get(row * width..(row + 1) * width).unwrap_or_default()))
    }
}

impl Aligned {
    fn of(bytes: Vec<u8>) -> Self {
        if bytes.as_ptr().addr().is_multiple_of(align_of::<u64>()) {
            return Self::AsTheyCame(bytes);
        }
        let mut words = vec![0_u64; bytes.len().div_ceil(size_of::<u64>())];
        for (word, bytes) in bytemuck::cast_slice_mut(&mut words).iter_mut().zip(&bytes) {
            *word = *bytes;
        }
        Self::Copied(words, bytes.len())
    }

    fn all(&self) -> &[u8] {
        match self {
            Self::AsTheyCame(bytes) => bytes,
            Self::Copied(words, length) => bytemuck::cast_slice(words).get(..*length).unwrap_or_default(),
        }
    }
}

impl PartialEq for Aligned {
    fn eq(&self, other: &Self) -> bool {
        self.all() == other.all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Bf16, F16};

    fn output<T: Element>(shape: &[usize], elements: &[T]) -> Output {
        Output::new("y".to_owned(), T::DTYPE, shape.to_vec(), T::bytes(elements).to_vec())
    }

    #[test]
    fn every_type_comes_out_as_it_went_in() {
        fn same<T: Element + PartialEq + std::fmt::Debug>(elements: &[T]) {
            assert_eq!(output(&[elements.len()], elements).to_slice::<T>().unwrap(), elements);
            assert_eq!(output(&[0], &elements[..0]).to_slice::<T>().unwrap(), []);
        }
        same(&[true, false, true]);
        same(&[1_u8, 2, 255]);
        same(&[1, -2, i32::MAX]);
        same(&[1, -2, i64::MAX]);
        same(&[F16::from_f32(1.5), F16::from_f32(-2.0), F16::default()]);
        same(&[Bf16::from_f32(1.5), Bf16::from_f32(-2.0), Bf16::default()]);
        same(&[1.5_f32, -2.0, f32::MAX]);
        same(&[1.5_f64, -2.0, f64::MAX]);
    }

    #[test]
    fn rows_are_cut_by_the_first_dimension() {
        let rows = |output: &Output| output.rows::<i32>().unwrap().map(<[i32]>::to_vec).collect::<Vec<_>>();
        assert_eq!(rows(&output(&[2, 3], &[1, 2, 3, 4, 5, 6])), [[1, 2, 3], [4, 5, 6]]);
        assert_eq!(rows(&output(&[2, 1, 2], &[1, 2, 3, 4])), [[1, 2], [3, 4]]);
        assert_eq!(rows(&output(&[], &[7])), [[7]]);
        assert_eq!(rows(&output::<i32>(&[3, 0], &[])), vec![Vec::<i32>::new(); 3]);
        assert_eq!(rows(&output::<i32>(&[0, 3], &[])).len(), 0);
    }

    #[test]
    fn what_is_asked_for_wrongly_says_what_there_is() {
        let outputs = Outputs::of(vec![output(&[1], &[1.0_f32])]);
        let message = outputs.get("z").unwrap_err().message().to_owned();
        assert_eq!(message, r#"the model has no output "z"; it has ["y"]"#);
        let message = outputs.get("y").unwrap().to_slice::<i32>().unwrap_err().message().to_owned();
        assert_eq!(message, r#"tensor "y" is of f32, not of i32"#);
        let bools = Output::new("b".to_owned(), DType::Bool, vec![2], vec![1, 2]);
        assert_eq!(bools.to_slice::<bool>().unwrap_err().message(), r#"tensor "b": its bytes are not bool"#);
    }

    #[test]
    fn bytes_that_lie_askew_are_copied() {
        let copied = Aligned::Copied(vec![u64::from_le_bytes([1, 2, 3, 4, 5, 6, 7, 8]), 9], 9);
        assert_eq!(copied.all(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
