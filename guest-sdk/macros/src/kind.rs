/// The kinds of operator, with the signature that each of them requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    Filter,
    FlatMap,
    KeyBy,
    Process,
    Window,
    Source,
    Sink,
}

impl Kind {
    /// Name of the attribute.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Filter => "filter",
            Self::FlatMap => "flat_map",
            Self::KeyBy => "key_by",
            Self::Process => "process",
            Self::Window => "window",
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }

    /// The method that an `impl` block must have.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Filter => "filter",
            Self::FlatMap => "flat_map",
            Self::KeyBy => "key_by",
            Self::Process => "process",
            Self::Window => "add",
            Self::Source => "next",
            Self::Sink => "write",
        }
    }

    /// Parameters and return type of the method or function, for messages about a wrong signature.
    fn shape(self) -> (&'static str, &'static str) {
        match self {
            Self::Map => ("record: In", " -> Out"),
            Self::Filter => ("record: In", " -> bool"),
            Self::FlatMap => ("record: In", " -> impl Iterator<Item = Out>"),
            Self::KeyBy => ("record: In", " -> Key"),
            Self::Process => ("record: Record<In>, out: &mut Emitter", " -> Result<(), Error>"),
            Self::Window => ("sum: &mut Sum, record: In", " -> Result<(), Error>"),
            Self::Source => ("out: &mut Emitter", " -> Result<Progress, Error>"),
            Self::Sink => ("record: Record<In>", " -> Result<(), Error>"),
        }
    }

    /// The method to write, for messages.
    pub(crate) fn write_method(self) -> String {
        let (parameters, answer) = self.shape();
        format!("write `fn {}(&mut self, {parameters}){answer}`", self.method())
    }

    /// The function to write, for messages.
    pub(crate) fn write_function(self) -> String {
        let (parameters, answer) = self.shape();
        match self {
            Self::Source => "write `#[sage_guest::source] impl Name { fn open(context: &Context) -> Result<Self, \
                Error> .. fn next(&mut self, out: &mut Emitter) -> Result<Progress, Error> .. }`"
                .to_owned(),
            _ => format!("write `fn name({parameters}){answer}`, or `fn name({parameters}, config: &Config){answer}`"),
        }
    }

    /// Whether the method emits records through an emitter.
    pub(crate) fn emits(self) -> bool {
        matches!(self, Self::Process | Self::Source)
    }

    /// Whether the method takes a record.
    pub(crate) fn takes_record(self) -> bool {
        self != Self::Source
    }

    /// Whether the type of the record decides if records of this kind come by field. For a process and a source the
    /// outputs decide.
    pub(crate) fn reads_fields(self) -> bool {
        matches!(self, Self::Map | Self::Filter | Self::FlatMap | Self::KeyBy | Self::Sink)
    }

    /// Whether the method must return a value.
    pub(crate) fn answers(self) -> bool {
        matches!(self, Self::Map | Self::Filter | Self::FlatMap | Self::KeyBy | Self::Source)
    }
}
