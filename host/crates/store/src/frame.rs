/// The content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FrameKind {
    /// The whole keyed state of a lane, or a part of it. Only base epochs have such frames.
    Base,
    /// The changes to a lane's keyed state since the epoch before. Base epochs have no such frames.
    Changes,
    /// The position of a source.
    Position,
    /// What a sink needs to commit the epoch.
    Sink,
    /// Dead letters of a lane.
    Letters,
    /// A lane that has ended.
    Ended,
    /// How far event time is in a lane.
    Watermark,
}

impl FrameKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Base, Self::Changes, Self::Position, Self::Sink, Self::Letters, Self::Ended, Self::Watermark];

    /// The name of the kind in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Changes => "changes",
            Self::Position => "position",
            Self::Sink => "sink",
            Self::Letters => "letters",
            Self::Ended => "ended",
            Self::Watermark => "watermark",
        }
    }

    /// Whether frames of this kind are keyed state. An epoch is restored with the state frames of all epochs since its
    /// base, and with its own frames of the other kinds.
    #[must_use]
    pub fn is_state(self) -> bool {
        matches!(self, Self::Base | Self::Changes)
    }
}

/// The address of a frame: its content, and the lane that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame<'a> {
    /// The content of the frame.
    pub kind: FrameKind,
    /// The name of the stage: a source, an operator or a sink. At most [`Frame::LONGEST_STAGE`] bytes.
    pub stage: &'a str,
    /// The number of the instance.
    pub instance: u32,
    /// The number of the lane in its instance.
    pub lane: u32,
}

impl Frame<'_> {
    /// Longest name of a stage, in bytes.
    pub const LONGEST_STAGE: usize = 1 << 10;
    /// Longest body, in bytes. A lane with more state puts several frames.
    pub const LONGEST_BODY: usize = 1 << 30;
}
