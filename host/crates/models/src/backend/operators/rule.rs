/// A form of an operator that a library computes as ONNX defines. A node passes if at least one of its
/// operator's rules fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The operator, from ONNX's own domain.
    pub(super) operator: &'static str,
    /// Allowed attributes. `name` allows any value and `name=a|b` only these values. Elements of a list are
    /// separated by commas.
    pub(super) attributes: &'static str,
    /// Allowed element types of input [`Rule::typed_by`]. Empty means any type.
    pub(super) types: &'static str,
    /// Index of the input that determines the element type.
    pub(super) typed_by: usize,
    /// First and last version of the operator set, both inclusive.
    pub(super) sets: (i64, i64),
    /// Smallest and largest number of inputs, both inclusive.
    pub(super) inputs: (usize, usize),
    /// Largest number of outputs.
    pub(super) outputs: usize,
    /// Element types of the outputs. The last entry applies to all further outputs.
    pub(super) makes: &'static [Makes],
}

/// The element type of an output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Makes {
    /// The type of the input with this index.
    Like(usize),
    Bool,
    U8,
    I32,
    I64,
    F32,
    /// The type in this attribute, or the type of the first input if the attribute is missing.
    Named(&'static str),
    /// The type of the attribute `value`, or of a similar attribute. f32 if there is none.
    Constant,
    /// The type that the bodies yield.
    Body,
}

/// The lowest operator set that was tested. Before it, two inputs of different shapes need an attribute of
/// their own.
pub(super) const LEAST_SET: i64 = 7;
/// The highest operator set that was tested, of onnx 1.23.
pub(super) const MOST_SET: i64 = 28;

/// A rule for an operator without attributes and without other restrictions.
pub(super) const fn op(operator: &'static str) -> Rule {
    Rule {
        operator,
        attributes: "",
        types: "",
        typed_by: 0,
        sets: (LEAST_SET, MOST_SET),
        inputs: (0, usize::MAX),
        outputs: usize::MAX,
        makes: &[Makes::Like(0)],
    }
}

impl Rule {
    pub(super) const fn with(self, attributes: &'static str) -> Self {
        Self { attributes, ..self }
    }

    pub(super) const fn on(self, types: &'static str) -> Self {
        Self { types, ..self }
    }

    pub(super) const fn typed_by(self, typed_by: usize) -> Self {
        Self { typed_by, makes: &[Makes::Like(1)], ..self }
    }

    pub(super) const fn since(self, set: i64) -> Self {
        Self { sets: (set, self.sets.1), ..self }
    }

    pub(super) const fn inputs(self, least: usize, most: usize) -> Self {
        Self { inputs: (least, most), ..self }
    }

    pub(super) const fn outputs(self, outputs: usize) -> Self {
        Self { outputs, ..self }
    }

    pub(super) const fn makes(self, makes: &'static [Makes]) -> Self {
        Self { makes, ..self }
    }
}
