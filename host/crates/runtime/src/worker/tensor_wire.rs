//! The byte format of tensors, model facts and inference errors, for links between processes.
//!
//! A tensor is its element type, its dimensions and its bytes, each preceded by a number. The reader trusts
//! nothing. It compares counts with a limit and lengths with the shape before it reserves memory, and the
//! reserved memory is only used when bytes arrive.

use bytemuck::{Pod, Zeroable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use sage_batch::wire::{
    WireError, WireReader, WireWriter, get_bytes, get_small, get_text, get_u64, put_bytes, put_u64,
};
use sage_models::{DType, InferenceError, ModelFacts, NamedTensor, Tensor, TensorData};
use sage_text::plain_text;

/// Maximum bytes of all tensors of one direction of a call. A larger call is refused, because both processes
/// hold it at the same time. Calls are cut by rows before that, and a guest holds at most 4 GiB in all.
pub(super) const LARGEST_CALL: u64 = 256 << 20;
/// Maximum tensors of one direction of a call. A language model whose cache is passed in and out has two for
/// each of some dozen layers.
const MOST_TENSORS: u64 = 1024;
/// Maximum dimensions of a tensor: the limit of NumPy.
const MOST_DIMENSIONS: u64 = 64;
/// Maximum bytes of the name of a model or tensor. Exporters build names from paths through the layers, of some
/// hundred bytes.
pub(super) const LONGEST_NAME: u64 = 4 << 10;
/// Maximum bytes of an error in JSON: at most four texts of 8 KiB, each byte of which may take six.
const LONGEST_ERROR: u64 = 256 << 10;
/// Maximum bytes of the inputs and outputs of a model in JSON: [`MOST_TENSORS`] of each with a usual name and
/// shape.
pub(super) const LONGEST_FACTS: u64 = 1 << 20;

/// Checks the size of all tensors. The error gives the numbers if they are too large for one message.
pub(super) fn measure<'a>(
    tensors: impl ExactSizeIterator<Item = &'a Tensor>,
    direction: &str,
) -> Result<(), InferenceError> {
    measure_within(tensors, direction, LARGEST_CALL)
}

fn measure_within<'a>(
    tensors: impl ExactSizeIterator<Item = &'a Tensor>,
    direction: &str,
    limit: u64,
) -> Result<(), InferenceError> {
    let too_large = |what: String, size, limit| InferenceError::TooLarge { what, size, limit };
    if tensors.len() as u64 > MOST_TENSORS {
        return Err(too_large(format!("tensors of {direction} are"), tensors.len() as u64, MOST_TENSORS));
    }
    let mut bytes = 0_u64;
    for tensor in tensors {
        bytes = bytes.saturating_add(tensor.bytes().len() as u64);
        let dimensions = tensor.shape().len() as u64;
        if dimensions > MOST_DIMENSIONS {
            return Err(too_large(format!("dimensions of a tensor of {direction} are"), dimensions, MOST_DIMENSIONS));
        }
    }
    if bytes > limit {
        return Err(too_large(format!("bytes of {direction} are"), bytes, limit));
    }
    Ok(())
}

/// The same check for named tensors, whose names are limited as well, with a limit of `limit` bytes.
pub(super) fn measure_named(tensors: &[NamedTensor], direction: &str, limit: u64) -> Result<(), InferenceError> {
    for NamedTensor { name, .. } in tensors {
        measure_name(name, &format!("bytes of a name of {direction} are"))?;
    }
    measure_within(tensors.iter().map(|named| &named.tensor), direction, limit)
}

pub(super) fn measure_name(name: &str, what: &str) -> Result<(), InferenceError> {
    let size = name.len() as u64;
    if size > LONGEST_NAME {
        return Err(InferenceError::TooLarge { what: what.to_owned(), size, limit: LONGEST_NAME });
    }
    Ok(())
}

/// The facts about a model's inputs and outputs as text, if the text fits into a message.
pub(super) fn facts_text(facts: &ModelFacts) -> Result<Vec<u8>, InferenceError> {
    let text = serde_json::to_vec(facts).map_err(|error| InferenceError::Backend(error.to_string()))?;
    let size = text.len() as u64;
    if size > LONGEST_FACTS {
        let what = "bytes of the facts about a model's inputs and outputs are".to_owned();
        return Err(InferenceError::TooLarge { what, size, limit: LONGEST_FACTS });
    }
    Ok(text)
}

pub(super) fn put_tensors(to: &mut impl WireWriter, tensors: &[Tensor]) -> Result<(), WireError> {
    put_u64(to, tensors.len() as u64)?;
    tensors.iter().try_for_each(|tensor| put_tensor(to, tensor))
}

pub(super) fn put_named(to: &mut impl WireWriter, tensors: &[NamedTensor]) -> Result<(), WireError> {
    put_u64(to, tensors.len() as u64)?;
    tensors.iter().try_for_each(|NamedTensor { name, tensor }| {
        put_bytes(to, name.as_bytes())?;
        put_tensor(to, tensor)
    })
}

pub(super) fn get_tensors(from: &mut impl WireReader) -> Result<Vec<Tensor>, WireError> {
    get_each(from, LARGEST_CALL, |from, left| get_tensor(from, left, LARGEST_CALL))
}

/// Reads named tensors of at most `limit` bytes together.
pub(super) fn get_named(from: &mut impl WireReader, limit: u64) -> Result<Vec<NamedTensor>, WireError> {
    get_each(from, limit, |from, left| {
        Ok(NamedTensor { name: get_text(from, LONGEST_NAME)?, tensor: get_tensor(from, left, limit)? })
    })
}

fn get_each<R: WireReader, T>(
    from: &mut R,
    limit: u64,
    read: impl Fn(&mut R, &mut u64) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let count = get_u64(from)?;
    if count > MOST_TENSORS {
        return Err(WireError::broken(format!("{count} tensors, at most {MOST_TENSORS} were expected")));
    }
    let mut left = limit;
    (0..count).map(|_| read(from, &mut left)).collect()
}

fn put_tensor(to: &mut impl WireWriter, tensor: &Tensor) -> Result<(), WireError> {
    let dtype = DType::ALL.iter().position(|dtype| *dtype == tensor.dtype()).unwrap_or(DType::ALL.len());
    put_u64(to, dtype as u64)?;
    put_u64(to, tensor.shape().len() as u64)?;
    tensor.shape().iter().try_for_each(|&size| put_u64(to, size as u64))?;
    put_bytes(to, tensor.bytes())
}

/// Reads the next tensor, of at most `left` bytes, and subtracts its bytes from `left`. `limit` is the limit of
/// the whole call.
fn get_tensor(from: &mut impl WireReader, left: &mut u64, limit: u64) -> Result<Tensor, WireError> {
    let number = get_u64(from)?;
    let dtype = usize::try_from(number).ok().and_then(|number| DType::ALL.get(number).copied());
    let dtype = dtype.ok_or_else(|| WireError::broken(format!("a tensor whose elements are of type {number}")))?;
    let dimensions = get_u64(from)?;
    if dimensions > MOST_DIMENSIONS {
        return Err(WireError::broken(format!("{dimensions} dimensions, at most {MOST_DIMENSIONS} were expected")));
    }
    let shape = (0..dimensions).map(|_| get_small::<usize>(from)).collect::<Result<Vec<_>, _>>()?;
    let elements = shape.iter().try_fold(1_usize, |elements, &size| elements.checked_mul(size));
    let expected = elements.and_then(|elements| elements.checked_mul(dtype.size())).map(|bytes| bytes as u64);
    let bytes = get_u64(from)?;
    if expected != Some(bytes) {
        return Err(WireError::broken(format!("{dtype} of shape {shape:?} in {bytes} bytes")));
    }
    *left = left.checked_sub(bytes).ok_or_else(|| {
        WireError::broken(format!("a tensor of {bytes} bytes, at most {limit} were expected with all of a call"))
    })?;
    let count = elements.unwrap_or(0);
    let data = match dtype {
        DType::Bool => TensorData::Bool(get_elements(from, count)?),
        DType::U8 => TensorData::U8(get_elements(from, count)?),
        DType::I32 => TensorData::I32(get_elements(from, count)?),
        DType::I64 => TensorData::I64(get_elements(from, count)?),
        DType::F16 => TensorData::F16(get_elements(from, count)?),
        DType::Bf16 => TensorData::Bf16(get_elements(from, count)?),
        DType::F32 => TensorData::F32(get_elements(from, count)?),
        DType::F64 => TensorData::F64(get_elements(from, count)?),
    };
    let filling = usize::try_from(bytes.wrapping_neg() & 7).unwrap_or(0);
    from.get([0; 8].get_mut(..filling).unwrap_or_default())?;
    Tensor::new(shape, data).map_err(|error| WireError::broken(error.to_string()))
}

/// Copies the elements once, from the ring to their final place. The kernel provides the zeroed pages only on
/// first write.
fn get_elements<T: Pod + Zeroable>(from: &mut impl WireReader, count: usize) -> Result<Vec<T>, WireError> {
    let room = bytemuck::allocation::try_zeroed_slice_box::<T>(count);
    let mut elements = room.map_err(|()| WireError::broken(format!("no memory for {count} elements of a tensor")))?;
    from.get(bytemuck::cast_slice_mut(&mut elements))?;
    Ok(elements.into_vec())
}

pub(super) fn put_json(to: &mut impl WireWriter, what: &impl Serialize) -> Result<(), WireError> {
    let text = serde_json::to_vec(what).map_err(|error| WireError::broken(error.to_string()))?;
    put_bytes(to, &text)
}

pub(super) fn get_json<T: DeserializeOwned>(from: &mut impl WireReader, limit: u64) -> Result<T, WireError> {
    let mut text = Vec::new();
    get_bytes(from, limit, &mut text)?;
    serde_json::from_slice(&text).map_err(|error| WireError::broken(format!("invalid JSON: {error}")))
}

/// Writes the outcome of a request. If it is successful, its answer follows.
pub(super) fn put_outcome<T>(to: &mut impl WireWriter, outcome: &Result<T, InferenceError>) -> Result<(), WireError> {
    match outcome {
        Ok(_) => put_u64(to, 0),
        Err(error) => {
            put_u64(to, 1)?;
            put_json(to, &plain(error.clone()))
        }
    }
}

/// Reads the outcome of a request. The inner error is the other side's answer, in plain text.
pub(super) fn get_outcome(from: &mut impl WireReader) -> Result<Result<(), InferenceError>, WireError> {
    match get_u64(from)? {
        0 => Ok(Ok(())),
        1 => Ok(Err(plain(get_json(from, LONGEST_ERROR)?))),
        other => Err(WireError::broken(format!("an outcome of {other}"))),
    }
}

/// The same error with texts that are limited in length and contain no control characters for terminals.
fn plain(error: InferenceError) -> InferenceError {
    let plain = |text: String| plain_text(&text).into_owned();
    match error {
        InferenceError::DeviceLost(text) => InferenceError::DeviceLost(plain(text)),
        InferenceError::UnknownModel(text) => InferenceError::UnknownModel(plain(text)),
        InferenceError::DeniedModel(text) => InferenceError::DeniedModel(plain(text)),
        InferenceError::BadInput { input, expected, got } => {
            InferenceError::BadInput { input: plain(input), expected: plain(expected), got: plain(got) }
        }
        InferenceError::TooLarge { what, size, limit } => InferenceError::TooLarge { what: plain(what), size, limit },
        InferenceError::OutOfMemory(text) => InferenceError::OutOfMemory(plain(text)),
        InferenceError::Unsupported(text) => InferenceError::Unsupported(plain(text)),
        InferenceError::Backend(text) => InferenceError::Backend(plain(text)),
        InferenceError::NoLease | InferenceError::LeaseLost(_) | InferenceError::Busy | InferenceError::Deadline => {
            error
        }
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use proptest::prelude::*;

    use super::*;
    use sage_models::{Dimension, LeaseEnd, TensorSpec};
    use sage_plan::GraphRows;

    /// A message in memory, with its current read position.
    #[derive(Default)]
    struct Message(Vec<u8>, usize);

    impl WireWriter for Message {
        fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }

    impl WireReader for Message {
        fn get(&mut self, into: &mut [u8]) -> Result<(), WireError> {
            into.copy_from_slice(self.0.get(self.1..self.1 + into.len()).ok_or(WireError::Gone)?);
            self.1 += into.len();
            Ok(())
        }

        fn append(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
            let at = into.len();
            into.resize(at + bytes, 0);
            self.get(&mut into[at..])
        }
    }

    fn words(words: &[u64]) -> Message {
        Message(words.iter().flat_map(|word| word.to_le_bytes()).collect(), 0)
    }

    #[test]
    fn tensors_of_every_type_come_out_as_they_went_in() {
        let data = [
            TensorData::Bool(vec![1, 0, 1]),
            TensorData::U8(vec![1, 2, 255]),
            TensorData::I32(vec![-1, 0, i32::MAX]),
            TensorData::I64(vec![i64::MIN, 0, 5]),
            TensorData::F16(vec![f16::ONE, f16::ZERO, f16::MAX]),
            TensorData::Bf16(vec![bf16::ONE, bf16::ZERO, bf16::MAX]),
            TensorData::F32(vec![1.5, -0.0, f32::MAX]),
            TensorData::F64(vec![1.5, -0.0, f64::MIN_POSITIVE]),
        ];
        let mut tensors: Vec<Tensor> = data.map(|data| Tensor::new(vec![3, 1], data).unwrap()).into();
        tensors.push(Tensor::new(vec![], TensorData::F32(vec![7.0])).unwrap());
        tensors.push(Tensor::new(vec![0, 4], TensorData::I64(vec![])).unwrap());
        let mut message = Message::default();
        put_tensors(&mut message, &tensors).unwrap();
        assert_eq!(get_tensors(&mut message).unwrap(), tensors);
        assert_eq!(message.1, message.0.len());
        let named = vec![NamedTensor { name: "a/b".to_owned(), tensor: tensors.swap_remove(6) }];
        let mut message = Message::default();
        put_named(&mut message, &named).unwrap();
        assert_eq!(get_named(&mut message, LARGEST_CALL).unwrap(), named);
    }

    #[test]
    fn numbers_that_cannot_be_are_errors_before_room_is_made() {
        const F32: u64 = 6;
        let cases: [(&[u64], &str); 8] = [
            (&[1 << 40], "1099511627776 tensors, at most 1024 were expected"),
            (&[1, 8, 0], "elements are of type 8"),
            (&[1, u64::MAX, 0], "elements are of type 18446744073709551615"),
            (&[1, F32, 65], "65 dimensions, at most 64 were expected"),
            (&[1, F32, 2, 1 << 40, 1 << 40, 0], "f32 of shape [1099511627776, 1099511627776] in 0 bytes"),
            (&[1, F32, 1, 2, 4], "f32 of shape [2] in 4 bytes"),
            (&[1, F32, 1, 1 << 40, 1 << 42], "a tensor of 4398046511104 bytes, at most 268435456 were expected"),
            (&[1, 0, 1, 1, 1, 2], "element 0 of a bool tensor is 2, not 0 or 1"),
        ];
        for (message, told) in cases {
            let error = get_tensors(&mut words(message)).unwrap_err().to_string();
            assert!(error.contains(told), "{message:?}: {error}");
        }
        assert_eq!(get_tensors(&mut words(&[1, F32, 1, 3])).unwrap_err(), WireError::Gone);
    }

    #[test]
    fn more_than_goes_through_at_once_is_refused_with_the_numbers() {
        let tensor = |shape: Vec<usize>| {
            let count = shape.iter().product();
            Tensor::new(shape, TensorData::U8(vec![0; count])).unwrap()
        };
        let half = tensor(vec![(LARGEST_CALL / 2) as usize]);
        assert_eq!(measure([&half, &half].into_iter(), "input"), Ok(()));
        let one = tensor(vec![1]);
        for (tensors, told) in [
            (vec![&half, &half, &one], "bytes of input are 268435457, at most 268435456 may be"),
            (vec![&one; 1025], "tensors of input are 1025, at most 1024 may be"),
            (vec![&tensor(vec![1; 65])], "dimensions of a tensor of input are 65, at most 64 may be"),
        ] {
            assert_eq!(measure(tensors.into_iter(), "input").unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn names_and_facts_that_are_too_long_are_refused_with_the_numbers() {
        let tensor = Tensor::new(vec![], TensorData::U8(vec![0])).unwrap();
        let named = [NamedTensor { name: "n".repeat(5000), tensor }];
        let told = "bytes of a name of output are 5000, at most 4096 may be";
        assert_eq!(measure_named(&named, "output", LARGEST_CALL).unwrap_err().to_string(), told);
        let shape = vec![Dimension::Free("d".repeat(2 << 20))];
        let inputs = vec![TensorSpec { name: "x".to_owned(), dtype: DType::F32, shape }];
        let facts = ModelFacts { inputs, outputs: Vec::new(), weight_bytes: 0, rows: GraphRows::default() };
        assert!(matches!(facts_text(&facts), Err(InferenceError::TooLarge { limit: LONGEST_FACTS, .. })));
    }

    #[test]
    fn every_error_arrives_as_what_it_is() {
        let text = || "was not there".to_owned();
        for error in [
            InferenceError::NoLease,
            InferenceError::LeaseLost(LeaseEnd::Draining),
            InferenceError::DeviceLost(text()),
            InferenceError::UnknownModel(text()),
            InferenceError::DeniedModel(text()),
            InferenceError::BadInput { input: text(), expected: text(), got: text() },
            InferenceError::TooLarge { what: text(), size: u64::MAX, limit: 1 },
            InferenceError::OutOfMemory(text()),
            InferenceError::Busy,
            InferenceError::Deadline,
            InferenceError::Unsupported(text()),
            InferenceError::Backend(text()),
        ] {
            let mut message = Message::default();
            put_outcome::<()>(&mut message, &Err(error.clone())).unwrap();
            assert_eq!(get_outcome(&mut message).unwrap(), Err(error));
        }
        let mut message = Message::default();
        put_outcome(&mut message, &Ok(())).unwrap();
        assert_eq!(get_outcome(&mut message).unwrap(), Ok(()));
    }

    #[test]
    fn the_texts_of_an_error_are_bounded_and_plain() {
        let mut message = Message::default();
        put_u64(&mut message, 1).unwrap();
        put_json(&mut message, &InferenceError::Backend(format!("\u{1b}[2J{}", "a".repeat(100_000)))).unwrap();
        let error = get_outcome(&mut message).unwrap().unwrap_err().to_string();
        assert!(!error.contains('\u{1b}') && error.len() < 10_000, "{}", error.len());
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_sound(bytes in prop::collection::vec(prop_oneof![6 => 0u64..4, 1 => any::<u64>()], 0..40)) {
            let _ = get_tensors(&mut words(&bytes));
            let _ = get_named(&mut words(&bytes), LARGEST_CALL);
            let _ = get_outcome(&mut words(&bytes));
        }
    }
}
