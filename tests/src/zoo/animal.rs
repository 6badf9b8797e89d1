use sage_models::{DType, NamedTensor, Tensor, TensorData};

/// A graph of the zoo.
#[derive(Debug)]
pub struct Animal {
    /// Short description of the graph.
    pub name: &'static str,
    /// Bytes of the ONNX file.
    pub file: Vec<u8>,
    /// Whether the graph shows that rows are independent.
    pub is_shown: bool,
    /// Inputs of a call.
    pub inputs: Vec<Passed>,
}

/// An input of a call.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// Name of the input.
    pub name: &'static str,
    /// Type of its elements.
    pub dtype: DType,
    /// Its dimensions.
    pub shape: &'static [Length],
}

/// Length of a dimension in a call.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// The number of rows of the call.
    Rows,
    /// A number that changes from call to call and does not depend on the rows.
    Other,
    /// A fixed length.
    Is(usize),
}

use Length::{Is, Other, Rows};

/// A random number generator (xorshift, Marsaglia 2003).
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A random number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as usize) % end
    }
}

impl Animal {
    /// The inputs of a call with `rows` rows.
    pub fn call(&self, rows: usize, chance: &mut Chance) -> Vec<NamedTensor> {
        let passed = self
            .inputs
            .iter()
            .map(|input| NamedTensor { name: input.name.to_owned(), tensor: input.tensor(rows, chance) });
        passed.collect()
    }
}

impl Passed {
    fn tensor(&self, rows: usize, chance: &mut Chance) -> Tensor {
        let size = |length: &Length| match length {
            Rows => rows,
            Is(size) => *size,
            Other => 2 + chance.below(5),
        };
        let shape: Vec<usize> = self.shape.iter().map(size).collect();
        let count = shape.iter().product();
        let data = match self.dtype {
            DType::I64 => TensorData::I64((0..count).map(|_| chance.below(2) as i64).collect()),
            _ => TensorData::F32((0..count).map(|_| chance.below(2000) as f32 / 1000.0 - 1.0).collect()),
        };
        Tensor::new(shape, data).unwrap()
    }
}
