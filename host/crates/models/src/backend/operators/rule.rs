/// What a library answers of an operator as ONNX says. An operator with several rules is let through where one of them fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The operator, of ONNX's own domain.
    pub(super) operator: &'static str,
    /// Attributes that may be there: `name` with any value, `name=a|b` with one of these; parts of a list have commas between them.
    pub(super) attributes: &'static str,
    /// Types of the elements of input [`Rule::typed_by`]; none: any.
    pub(super) types: &'static str,
    /// The input whose elements' type counts.
    pub(super) typed_by: usize,
    /// Versions of the operator set.
    pub(super) sets: (i64, i64),
    /// How many inputs there may be.
    pub(super) inputs: (usize, usize),
    /// Outputs at most.
    pub(super) outputs: usize,
    /// The types of the outputs' elements; what the last one says holds for all further ones.
    pub(super) makes: &'static [Makes],
}

/// The type of an output's elements.
#[derive(Debug, Clone, Copy)]
pub(super) enum Makes {
    /// That of an input.
    Like(usize),
    Bool,
    U8,
    I32,
    I64,
    F32,
    /// What an attribute says, and otherwise that of the first input.
    Named(&'static str),
    /// That of the attribute `value`, or of one like it; f32 where there is none.
    Constant,
    /// What the bodies make.
    Body,
}

/// The least operator set that was tried: before it, two inputs of different shapes need an attribute of their own.
pub(super) const LEAST_SET: i64 = 7;
/// The highest that was tried, of onnx 1.23.
pub(super) const MOST_SET: i64 = 28;

/// A rule for an operator without attributes, and with any of what else there is.
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
