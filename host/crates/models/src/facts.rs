use std::fmt;

use serde::{Deserialize, Serialize};

use super::short_name::short;
use super::{DType, InferenceError, NamedTensor, Tensor};
use sage_plan::GraphRows;

/// The inputs and outputs of a model, as its file describes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The inputs, in the order of the file.
    pub inputs: Vec<TensorSpec>,
    /// The outputs, in the order of the file.
    pub outputs: Vec<TensorSpec>,
    /// Bytes of the model's weights.
    pub weight_bytes: u64,
    /// The independence of rows, as far as the file shows it.
    #[serde(default)]
    pub rows: GraphRows,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// The name.
    pub name: String,
    /// The element type.
    pub dtype: DType,
    /// The dimensions.
    pub shape: Vec<Dimension>,
}

/// A dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// Always this size.
    Fixed(usize),
    /// Any size. Dimensions with the same name have the same size within a call. The name may be empty.
    Free(String),
}

/// Largest number of elements of an empty tensor, with 1 in place of each 0. The first call of a language
/// model has an empty cache of heads × width, some thousands. A shape without bytes must not make a model
/// return gigabytes.
const MOST_OF_NONE: usize = 1 << 20;

impl Dimension {
    /// A free dimension with the name from a file. Some exporters write `?` for an unknown name, or number
    /// the unknown names (`unk__214`), so equal names do not mean equal sizes. Such a name becomes empty.
    pub(super) fn free(name: &str) -> Self {
        let is_name = name != "?" && !name.starts_with("unk__");
        Self::Free(if is_name { name.to_owned() } else { String::new() })
    }
}

impl ModelFacts {
    /// Checks that each input and output has a free first dimension, because otherwise the model has no rows.
    /// The names of the first dimensions are not compared: two dimensions without a name may differ.
    ///
    /// # Errors
    /// The first input or output without a free first dimension.
    pub fn first_dimensions_are_free(&self) -> Result<(), String> {
        let sides =
            self.inputs.iter().map(|spec| ("input", spec)).chain(self.outputs.iter().map(|spec| ("output", spec)));
        for (side, spec) in sides {
            let name = || short(&spec.name);
            match spec.shape.first() {
                Some(Dimension::Free(_)) => {}
                Some(Dimension::Fixed(size)) => {
                    return Err(format!("the first dimension of {side} {} is {size}", name()));
                }
                None => return Err(format!("{side} {} has no dimensions", name())),
            }
        }
        if self.inputs.is_empty() { Err("it has no inputs".to_owned()) } else { Ok(()) }
    }

    /// The number of rows, if all inputs have the same number. `None` if they differ, or if some first
    /// dimension is not free.
    #[must_use]
    pub fn rows_of(&self, inputs: &[Tensor]) -> Option<usize> {
        self.first_dimensions_are_free().ok()?;
        let rows = inputs.first()?.rows();
        inputs.iter().all(|input| input.rows() == rows).then_some(rows)
    }

    /// The largest free first dimension of the inputs, with the name of the input. `None` if no input has a
    /// free first dimension.
    #[must_use]
    pub fn longest_of(&self, inputs: &[Tensor]) -> Option<(&str, usize)> {
        let free =
            self.inputs.iter().zip(inputs).filter(|(spec, _)| matches!(spec.shape.first(), Some(Dimension::Free(_))));
        free.map(|(spec, input)| (spec.name.as_str(), input.rows())).max_by_key(|(_, rows)| *rows)
    }

    /// Puts the tensors of a guest into the order of the model's inputs and checks each of them. Returns the
    /// tensors and the number of rows.
    ///
    /// # Errors
    /// [`InferenceError::BadInput`]:
    ///
    /// - an input is missing, unknown, passed twice, or has another type or shape
    /// - dimensions with the same name differ
    /// - there are rows, but no input has an element
    /// - the shape of an empty tensor is too large
    pub fn arrange(&self, passed: Vec<NamedTensor>) -> Result<(Vec<Tensor>, usize), InferenceError> {
        let mut places: Vec<Option<Tensor>> = self.inputs.iter().map(|_| None).collect();
        for NamedTensor { name, tensor } in passed {
            let found = self.inputs.iter().zip(&mut places).find(|(spec, _)| spec.name == name);
            let Some((spec, place)) = found else {
                let known: Vec<_> = self.inputs.iter().map(|spec| spec.name.as_str()).collect();
                return Err(bad(
                    &name,
                    format!("one of {}", known.join(", ")),
                    "an input that the model does not have",
                ));
            };
            spec.check(&tensor)?;
            if place.replace(tensor).is_some() {
                return Err(bad(&name, "one tensor".to_owned(), "two of the same name"));
            }
        }
        let mut arranged = Vec::with_capacity(places.len());
        for (spec, place) in self.inputs.iter().zip(places) {
            arranged.push(place.ok_or_else(|| bad(&spec.name, spec.to_string(), "nothing"))?);
        }
        self.check_alike(&arranged)?;
        let rows = arranged.first().map_or(1, Tensor::rows);
        // Rows without elements cost the caller nothing, however many there are.
        let are_empty = rows > 0 && arranged.iter().all(|tensor| tensor.bytes().is_empty());
        if let Some(spec) = self.inputs.first().filter(|_| are_empty) {
            return Err(bad(&spec.name, "at least one element".to_owned(), "no elements in any input"));
        }
        Ok((arranged, rows))
    }

    /// Checks that free dimensions with the same name have the same size.
    fn check_alike(&self, tensors: &[Tensor]) -> Result<(), InferenceError> {
        let mut known: Vec<(&str, usize, &str)> = Vec::new();
        for (spec, tensor) in self.inputs.iter().zip(tensors) {
            for (dimension, &size) in spec.shape.iter().zip(tensor.shape()) {
                let Dimension::Free(name) = dimension else { continue };
                match known.iter().find(|(other, ..)| !name.is_empty() && other == name) {
                    Some((_, expected, of)) if *expected != size => {
                        let expected = format!("{name} = {expected}, as in {of}");
                        return Err(bad(&spec.name, expected, &format!("{name} = {size}")));
                    }
                    Some(_) => {}
                    None => known.push((name, size, &spec.name)),
                }
            }
        }
        Ok(())
    }
}

impl TensorSpec {
    fn check(&self, tensor: &Tensor) -> Result<(), InferenceError> {
        let fits = self.dtype == tensor.dtype()
            && self.shape.len() == tensor.shape().len()
            && self.shape.iter().zip(tensor.shape()).all(|(dimension, &size)| match dimension {
                Dimension::Fixed(expected) => *expected == size,
                Dimension::Free(_) => true,
            });
        let got = || format!("{}{:?}", tensor.dtype(), tensor.shape());
        if !fits {
            return Err(bad(&self.name, self.to_string(), &got()));
        }
        let of_none = tensor.shape().iter().try_fold(1_usize, |elements, &size| elements.checked_mul(size.max(1)));
        if tensor.bytes().is_empty() && of_none.is_none_or(|elements| elements > MOST_OF_NONE) {
            let expected = format!("a shape whose sizes beside 0 come to at most {MOST_OF_NONE}");
            return Err(bad(&self.name, expected, &got()));
        }
        Ok(())
    }
}

fn bad(input: &str, expected: String, got: &str) -> InferenceError {
    InferenceError::BadInput { input: input.to_owned(), expected, got: got.to_owned() }
}

/// Writes `f32[batch, 3, 48, 192]`, without the name.
impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, dimension) in self.shape.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            match dimension {
                Dimension::Fixed(size) => write!(f, "{separator}{size}")?,
                Dimension::Free(name) if name.is_empty() => write!(f, "{separator}?")?,
                Dimension::Free(name) => write!(f, "{separator}{name}")?,
            }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorData;

    fn spec(name: &str, shape: Vec<Dimension>) -> TensorSpec {
        TensorSpec { name: name.to_owned(), dtype: DType::F32, shape }
    }

    fn facts() -> ModelFacts {
        let batch = || Dimension::Free("batch".to_owned());
        ModelFacts {
            inputs: vec![spec("a", vec![batch(), Dimension::Fixed(2)]), spec("b", vec![batch()])],
            outputs: vec![spec("y", vec![batch()])],
            weight_bytes: 0,
            rows: GraphRows::ByOperators,
        }
    }

    fn tensor(name: &str, shape: Vec<usize>) -> NamedTensor {
        let count = shape.iter().product();
        let tensor = Tensor::new(shape, TensorData::F32(vec![0.0; count])).unwrap();
        NamedTensor { name: name.to_owned(), tensor }
    }

    #[test]
    fn inputs_are_put_in_order() {
        let (arranged, rows) = facts().arrange(vec![tensor("b", vec![3]), tensor("a", vec![3, 2])]).unwrap();
        assert_eq!(rows, 3);
        assert_eq!(arranged.iter().map(|t| t.shape().to_vec()).collect::<Vec<_>>(), [vec![3, 2], vec![3]]);
    }

    #[test]
    fn what_does_not_fit_says_which_what_and_what_came() {
        let wrong_type =
            NamedTensor { name: "b".to_owned(), tensor: Tensor::new(vec![1], TensorData::I32(vec![0])).unwrap() };
        let cases: [(Vec<NamedTensor>, &str); 6] = [
            (vec![tensor("a", vec![1, 2])], "input \"b\": f32[batch] was expected, got nothing"),
            (
                vec![tensor("c", vec![1])],
                "input \"c\": one of a, b was expected, got an input that the model does not have",
            ),
            (vec![tensor("a", vec![1, 3])], "input \"a\": f32[batch, 2] was expected, got f32[1, 3]"),
            (vec![tensor("a", vec![1, 2]), wrong_type], "input \"b\": f32[batch] was expected, got i32[1]"),
            (
                vec![tensor("b", vec![1]), tensor("b", vec![1])],
                "input \"b\": one tensor was expected, got two of the same name",
            ),
            (
                vec![tensor("a", vec![2, 2]), tensor("b", vec![1])],
                "input \"b\": batch = 2, as in a was expected, got batch = 1",
            ),
        ];
        for (passed, message) in cases {
            assert_eq!(facts().arrange(passed).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_shape_without_elements_says_little_and_stands_beside_one_that_has_some() {
        let free = || Dimension::Free(String::new());
        let of = |inputs| ModelFacts { inputs, ..facts() };
        let (ids, cache) = (spec("a", vec![free(), free()]), spec("cache", vec![free(), free(), free()]));
        let alone = of(vec![ids.clone()]);
        let cases = [
            (vec![1_000_000, 0], "input \"a\": at least one element was expected, got no elements in any input"),
            (
                vec![4_294_967_295, 0],
                "input \"a\": a shape whose sizes beside 0 come to at most 1048576 was expected, \
                 got f32[4294967295, 0]",
            ),
        ];
        for (shape, message) in cases {
            assert_eq!(alone.arrange(vec![tensor("a", shape)]).unwrap_err().to_string(), message);
        }
        let both = of(vec![ids, cache]);
        let with = |cache| both.arrange(vec![tensor("a", vec![1, 3]), tensor("cache", cache)]);
        assert!(with(vec![12, 0, 64]).is_ok(), "a language model that remembers nothing yet");
        let cases = [vec![1 << 20, 0, 2], vec![usize::MAX, 0, usize::MAX]];
        assert!(cases.into_iter().all(|cache| with(cache).is_err()));
    }

    #[test]
    fn only_free_first_dimensions_are_rows() {
        assert_eq!(facts().first_dimensions_are_free(), Ok(()));
        let with = |output| ModelFacts { outputs: vec![output], ..facts() };
        let cases = [
            (with(spec("y", vec![Dimension::Fixed(1)])), "the first dimension of output y is 1"),
            (with(spec("y", Vec::new())), "output y has no dimensions"),
            (ModelFacts { inputs: Vec::new(), ..facts() }, "it has no inputs"),
        ];
        for (facts, why) in cases {
            assert_eq!(facts.first_dimensions_are_free(), Err(why.to_owned()));
        }
    }

    #[test]
    fn inputs_without_a_name_are_rows_only_where_they_are_as_many() {
        let free = || Dimension::Free(String::new());
        let inputs = vec![spec("a", vec![free(), Dimension::Fixed(2)]), spec("b", vec![free()])];
        let facts = ModelFacts { inputs, ..facts() };
        let arranged = |a, b| facts.arrange(vec![tensor("a", vec![a, 2]), tensor("b", vec![b])]).unwrap().0;
        for (a, b, rows, longest) in [(3, 3, Some(3), ("b", 3)), (40, 50, None, ("b", 50)), (50, 40, None, ("a", 50))] {
            assert_eq!(facts.rows_of(&arranged(a, b)), rows);
            assert_eq!(facts.longest_of(&arranged(a, b)), Some(longest));
        }
    }
}
