use std::fmt;

use crate::inference::{DType, Element, InferenceError, Output, Outputs, Tensor, TensorSpec};

/// A test double of a model that the host would run: declarations of inputs and outputs, and a function that
/// computes the answer.
///
/// The operator's tensors are checked as the host checks them, so a wrong input is [`InferenceError::BadInput`]
/// here too. The function receives one tensor for each input, in the order of the declarations.
///
/// ```
/// use sage_guest::inference::{DType, Lease, Model, Tensor};
/// use sage_guest::testing::{self, Answer};
/// use sage_guest::{Context, Error, Records};
///
/// struct Longest { model: Model }
///
/// #[sage_guest::process]
/// impl Longest {
///     fn open(_: &Context) -> Result<Self, Error> {
///         Ok(Self { model: Lease::acquire()?.open("scores")? })
///     }
///
///     fn process_batch(&mut self, lines: Records<&str>) -> Result<(), Error> {
///         let lengths: Vec<i32> = lines.iter().map(|line| line.payload.len() as i32).collect();
///         let scores = self.model.run(&[Tensor::new("length", [lengths.len()], &lengths)?])?;
///         let scores = scores.get("score")?.to_slice::<f32>()?;
///         lines.each(scores, |line, score, out| out.emit(format!("{score} {}", line.payload)))
///     }
/// }
///
/// let scores = testing::Model::new("scores", |inputs| {
///     let lengths = inputs[0].to_slice::<i32>().unwrap();
///     let scores: Vec<f32> = lengths.iter().map(|length| *length as f32 / 2.0).collect();
///     Ok(Answer::new().with("score", [scores.len()], &scores))
/// })
/// .input("length", DType::I32, [None])
/// .output("score", DType::F32, [None]);
///
/// let mut lane = testing::Process::<Longest>::open_with_models(serde_json::json!({}), [scores])?;
/// assert_eq!(lane.run(["a", "abc"]).texts(), ["0.5 a", "1.5 abc"]);
/// # Ok::<(), String>(())
/// ```
pub struct Model {
    name: String,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    run: Box<Run>,
}

type Run = dyn Fn(&[Tensor<'_>]) -> Result<Answer, InferenceError>;

/// The answer of a test double.
#[derive(Debug, Default)]
pub struct Answer(Vec<Output>);

impl Answer {
    /// Creates an answer without outputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an output.
    ///
    /// # Panics
    /// The shape has another number of elements.
    #[must_use]
    pub fn with<T: Element>(mut self, name: &str, shape: impl IntoIterator<Item = usize>, elements: &[T]) -> Self {
        let shape: Vec<usize> = shape.into_iter().collect();
        assert_eq!(shape.iter().product::<usize>(), elements.len(), "output {name:?} has the shape {shape:?}");
        let bytes = match Tensor::new(name, shape.iter().copied(), elements) {
            Ok(tensor) => tensor.bytes().to_vec(),
            Err(_) => Vec::new(),
        };
        self.0.push(Output::new(name.to_owned(), T::DTYPE, shape, bytes));
        self
    }
}

impl Model {
    /// Creates a double of the model that the pipeline declares by this name.
    pub fn new(name: &str, run: impl Fn(&[Tensor<'_>]) -> Result<Answer, InferenceError> + 'static) -> Self {
        Self { name: name.to_owned(), inputs: Vec::new(), outputs: Vec::new(), run: Box::new(run) }
    }

    /// Declares an input; `None` is a dimension of any size.
    #[must_use]
    pub fn input(mut self, name: &str, dtype: DType, shape: impl IntoIterator<Item = Option<usize>>) -> Self {
        self.inputs.push(TensorSpec { name: name.to_owned(), dtype, shape: shape.into_iter().collect() });
        self
    }

    /// Declares an output; `None` is a dimension of any size.
    #[must_use]
    pub fn output(mut self, name: &str, dtype: DType, shape: impl IntoIterator<Item = Option<usize>>) -> Self {
        self.outputs.push(TensorSpec { name: name.to_owned(), dtype, shape: shape.into_iter().collect() });
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    pub(crate) fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// # Panics
    /// The answer of the double differs from its declarations. The error is then in the test, not in the
    /// operator.
    pub(crate) fn run(&self, passed: &[Tensor<'_>]) -> Result<Outputs, InferenceError> {
        let Answer(outputs) = (self.run)(&self.arrange(passed)?)?;
        for spec in &self.outputs {
            let fits = outputs
                .iter()
                .any(|output| output.name() == spec.name && fits(spec, output.dtype(), output.shape().iter().copied()));
            assert!(
                fits,
                "the double of {:?} has to answer {:?} as {spec}, it answered {outputs:?}",
                self.name, spec.name
            );
        }
        Ok(Outputs::of(outputs))
    }

    /// Returns the tensors in the order of the declared inputs.
    fn arrange<'a>(&self, passed: &[Tensor<'a>]) -> Result<Vec<Tensor<'a>>, InferenceError> {
        for tensor in passed {
            if self.inputs.iter().all(|spec| spec.name != tensor.name()) {
                let known: Vec<&str> = self.inputs.iter().map(|spec| spec.name.as_str()).collect();
                let expected = format!("one of {}", known.join(", "));
                return Err(bad(tensor.name(), expected, "an input that the model does not have".to_owned()));
            }
        }
        let mut rows = None;
        let mut arranged = Vec::new();
        for spec in &self.inputs {
            let mut found = passed.iter().filter(|tensor| tensor.name() == spec.name);
            let Some(tensor) = found.next() else {
                return Err(bad(&spec.name, spec.to_string(), "nothing".to_owned()));
            };
            if found.next().is_some() {
                return Err(bad(&spec.name, "one tensor".to_owned(), "two of the same name".to_owned()));
            }
            if !fits(spec, tensor.dtype(), tensor.shape().iter().map(|size| *size as usize)) {
                return Err(bad(&spec.name, spec.to_string(), format!("{}{:?}", tensor.dtype(), tensor.shape())));
            }
            if spec.shape.first() == Some(&None) {
                let (expected, of) = *rows.get_or_insert((tensor.rows(), spec.name.as_str()));
                if tensor.rows() != expected {
                    let expected = format!("{expected} rows, as in {of}");
                    return Err(bad(&spec.name, expected, format!("{} rows", tensor.rows())));
                }
            }
            arranged.push(tensor.clone());
        }
        Ok(arranged)
    }
}

fn fits(spec: &TensorSpec, dtype: DType, shape: impl ExactSizeIterator<Item = usize>) -> bool {
    spec.dtype == dtype
        && spec.shape.len() == shape.len()
        && spec.shape.iter().zip(shape).all(|(expected, size)| expected.is_none_or(|expected| expected == size))
}

fn bad(input: &str, expected: String, got: String) -> InferenceError {
    InferenceError::BadInput { input: input.to_owned(), expected, got }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}
