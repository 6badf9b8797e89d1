use super::rule::Rule;
use super::table::{ONNXRUNTIME, TRACT};

/// A library that runs models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Library {
    /// Computes only the operators that its table lists. All other operators are refused before it sees them.
    Tract,
    /// Computes or refuses by itself the operators that its table does not list.
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

    /// The operators that the library computes as ONNX defines.
    pub(super) fn rules(self) -> &'static [Rule] {
        match self {
            Self::Tract => TRACT,
            Self::Onnxruntime => ONNXRUNTIME,
        }
    }

    /// Whether the library silently ignores unknown parts of a node, so that only listed nodes may pass.
    pub(super) fn leaves_out(self) -> bool {
        self == Self::Tract
    }

    /// Advice after a refusal.
    pub(super) fn instead(self) -> &'static str {
        match self {
            Self::Tract => "; ONNX Runtime may: backend = \"onnxruntime\"",
            Self::Onnxruntime => "",
        }
    }
}
