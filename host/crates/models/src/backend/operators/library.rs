use super::rule::Rule;
use super::table::{ONNXRUNTIME, TRACT};

/// A library that runs models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Library {
    /// Answers what its table lists, and nothing else is let through to it.
    Tract,
    /// Answers, or refuses itself, what its table does not list.
    #[cfg_attr(not(feature = "onnxruntime"), expect(dead_code, reason = "in a build that has it"))]
    Onnxruntime,
}

impl Library {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Onnxruntime => "ONNX Runtime",
        }
    }

    /// What it answers as ONNX says.
    pub(super) fn rules(self) -> &'static [Rule] {
        match self {
            Self::Tract => TRACT,
            Self::Onnxruntime => ONNXRUNTIME,
        }
    }

    /// Whether it leaves out what it does not know, so that only what is listed may be let through.
    pub(super) fn leaves_out(self) -> bool {
        self == Self::Tract
    }

    /// What to do about a refusal.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Tract => "; ONNX Runtime does where it has it: backend = \"onnxruntime\"",
            Self::Onnxruntime => "",
        }
    }
}
