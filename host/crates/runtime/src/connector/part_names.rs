use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::partial_path::partial_path;
use sage_plan::RollSpec;

/// The names of the parts of an output: what stands before and behind the number, in one folder.
///
/// A number always has [`PartNames::DIGITS`] digits. So the names sort like the numbers, all names of an output have
/// one length, and no part of one output can be taken for a part of another whose name only begins or ends like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartNames {
    pub(super) folder: PathBuf,
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl PartNames {
    /// Digits of a number in a name.
    pub(super) const DIGITS: usize = 10;
    /// The largest number of a part.
    pub(super) const MOST: u64 = 9_999_999_999;

    /// The names that a path with [`RollSpec::PLACE`] in its last part stands for; `None` without that place.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.as_bytes();
        let place = RollSpec::PLACE.as_bytes();
        let at = name.windows(place.len()).position(|window| window == place)?;
        let (before, behind) = (name.get(..at)?.to_vec(), name.get(at + place.len()..)?.to_vec());
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(Self { folder: folder.to_owned(), before, behind })
    }

    /// The name of a part.
    pub(super) fn name(&self, number: u64) -> OsString {
        let digits = format!("{number:0width$}", width = Self::DIGITS);
        OsString::from_vec([&self.before, digits.as_bytes(), &self.behind].concat())
    }

    /// The name of a part until it is published.
    pub(super) fn partial(&self, number: u64) -> OsString {
        partial_path(Path::new(&self.name(number))).into_os_string()
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(self.name(number))
    }

    /// The number of the published part of this name.
    pub(super) fn number(&self, name: &OsStr) -> Option<u64> {
        let digits = name.as_bytes().strip_prefix(&self.before[..])?.strip_suffix(&self.behind[..])?;
        let is_number = digits.len() == Self::DIGITS && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
    }

    /// The number of the part of this name that is not published.
    pub(super) fn number_of_partial(&self, name: &OsStr) -> Option<u64> {
        self.number(OsStr::from_bytes(name.as_bytes().strip_suffix(b".partial")?))
    }

    /// Whether a file of this name could be a part, published or not.
    pub(super) fn could_be(&self, name: &OsStr) -> bool {
        self.number(name).is_some() || self.number_of_partial(name).is_some()
    }

    /// Whether a part of the one output and a part of the other could have one name in one folder.
    pub(super) fn could_meet(&self, other: &Self) -> bool {
        let (one, two) = (self.places(), other.places());
        one.len() == two.len()
            && one.iter().zip(&two).all(|(one, two)| match (one, two) {
                (Some(one), Some(two)) => one == two,
                (None, Some(byte)) | (Some(byte), None) => byte.is_ascii_digit(),
                (None, None) => true,
            })
    }

    /// The bytes of a name; `None` stands for a digit.
    fn places(&self) -> Vec<Option<u8>> {
        let fixed = |bytes: &[u8]| bytes.iter().copied().map(Some).collect::<Vec<_>>();
        [fixed(&self.before), vec![None; Self::DIGITS], fixed(&self.behind)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> PartNames {
        PartNames::of(Path::new(path)).unwrap()
    }

    #[test]
    fn a_part_is_known_by_its_name_and_no_other_file_is() {
        let out = names("out/events-{part}.jsonl");
        assert_eq!(out.folder, Path::new("out"));
        assert_eq!(out.name(11), "events-0000000011.jsonl");
        for (name, number) in [
            ("events-0000000011.jsonl", Some(11)),
            ("events-9999999999.jsonl", Some(PartNames::MOST)),
            ("events-11.jsonl", None),
            ("events-00000000011.jsonl", None),
            ("events-000000001x.jsonl", None),
            ("events-+000000011.jsonl", None),
            ("events-0000000011.json", None),
            ("my-events-0000000011.jsonl", None),
            ("events-0000000011.jsonl.partial", None),
        ] {
            assert_eq!(out.number(OsStr::new(name)), number, "{name}");
        }
        assert_eq!(out.number_of_partial(OsStr::new("events-0000000011.jsonl.partial")), Some(11));
        assert_eq!(names("{part}").name(1), "0000000001");
        assert_eq!(PartNames::of(Path::new("a-{part}/out")), None);
    }

    #[test]
    fn outputs_whose_parts_could_have_one_name_meet() {
        for (one, other, meet) in [
            ("o/a-{part}.txt", "o/a-{part}.txt", true),
            ("o/a-{part}.txt", "o/b-{part}.txt", false),
            ("o/a-{part}.txt", "o/a-1{part}.txt", false),
            ("o/a-{part}1.txt", "o/a-1{part}.txt", true),
            ("o/a-{part}x.txt", "o/a-1{part}.txt", false),
            ("o/{part}", "o/{part}", true),
        ] {
            assert_eq!(names(one).could_meet(&names(other)), meet, "{one} {other}");
        }
    }
}
