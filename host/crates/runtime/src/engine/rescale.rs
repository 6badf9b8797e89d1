use super::error::RunError;
use super::partition::place_of;
use sage_batch::wire::WireError;

/// The move of an operator's keyed state to other instances and lanes: the state of a key goes where the records of the
/// key go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescale {
    /// Instances, and lanes of each.
    pub(super) before: (u32, u32),
    pub(super) now: (u32, u32),
}

/// Why state cannot be moved.
#[derive(Debug)]
pub(super) enum NotMoved {
    /// The state cannot be read.
    State(WireError),
    /// The operator keeps state under keys that are not those of its records. Nobody can tell where it belongs.
    OtherKeys { key: String },
}

impl From<WireError> for NotMoved {
    fn from(error: WireError) -> Self {
        Self::State(error)
    }
}

impl Rescale {
    /// The number of lanes of all instances now.
    pub(super) fn places(self) -> usize {
        self.now.0 as usize * self.now.1 as usize
    }

    /// The place of the state of a key that was in this instance and lane.
    pub(super) fn place(self, found_in: (u32, u32), key: &[u8]) -> Result<usize, NotMoved> {
        if place_of(key, self.before.0, self.before.1) != found_in {
            let key = String::from_utf8_lossy(key.get(..LONGEST_SHOWN).unwrap_or(key)).into_owned();
            return Err(NotMoved::OtherKeys { key });
        }
        let (instance, lane) = place_of(key, self.now.0, self.now.1);
        Ok(instance as usize * self.now.1 as usize + lane as usize)
    }
}

/// Longest part of a key in a message, in bytes.
const LONGEST_SHOWN: usize = 40;

impl NotMoved {
    pub(super) fn of_stage(&self, stage: &str) -> RunError {
        let (what, hint) = match self {
            Self::State(error) => {
                (format!("the state of \"{stage}\" cannot be moved: {error}"), "start anew: --from none")
            }
            Self::OtherKeys { key } => (
                format!(
                    "the state of \"{stage}\" cannot be moved to other instances: its key {key:?} is not that of records \
                     of its instance"
                ),
                "run it with the instances and lanes that it had, or start anew: --from none",
            ),
        };
        RunError::Checkpoint { what, hint: Some(hint.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_where_its_records_went_moves_with_them_and_another_is_refused() {
        let shapes = [(1, 1), (4, 1), (3, 1), (2, 3), (1, 2)];
        for before in shapes {
            for now in shapes {
                let rescale = Rescale { before, now };
                for key in 0..200_u32 {
                    let key = key.to_string();
                    let found_in = place_of(key.as_bytes(), before.0, before.1);
                    let (instance, lane) = place_of(key.as_bytes(), now.0, now.1);
                    let place = rescale.place(found_in, key.as_bytes()).unwrap();
                    assert_eq!(place, (instance * now.1 + lane) as usize);
                    assert!(place < rescale.places());
                    let elsewhere = (before.0, found_in.1);
                    assert!(matches!(rescale.place(elsewhere, key.as_bytes()), Err(NotMoved::OtherKeys { .. })));
                }
            }
        }
    }
}
