use super::Kind;

/// The table of the pipeline file to which a stage belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    Operator,
    Sink,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Operator => "operator",
            Self::Sink => "sink",
        }
    }

    pub(super) fn takes(self, kind: Kind) -> bool {
        match kind {
            Kind::Source => self == Self::Source,
            Kind::Sink => self == Self::Sink,
            Kind::Map | Kind::Filter | Kind::FlatMap | Kind::KeyBy | Kind::Process | Kind::Window => {
                self == Self::Operator
            }
        }
    }
}
