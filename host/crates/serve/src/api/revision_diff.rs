use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

use crate::server::RevisionDetail;
use crate::store::Digest;

/// The differences of two revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionDiff {
    /// The first revision.
    pub from: u32,
    /// The second revision.
    pub to: u32,
    /// Changed lines of the pipeline file with three lines around each, and `@` between parts.
    pub lines: Vec<DiffLine>,
    /// Components and models that differ.
    pub files: Vec<DiffFile>,
    /// Other things that differ, in words.
    pub others: Vec<String>,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    /// `-` of the first revision only, `+` of the second only, a space of both, `@` a gap.
    pub sign: char,
    /// The line without its end.
    pub text: String,
}

/// A component or model that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffFile {
    /// The path in the pipeline file.
    pub path: String,
    /// Its digest in the first revision.
    pub from: Option<Digest>,
    /// Its digest in the second revision.
    pub to: Option<Digest>,
}

/// Lines around a change.
const AROUND: usize = 3;

impl RevisionDiff {
    /// The differences from one revision to another.
    #[must_use]
    pub fn of(one: &RevisionDetail, other: &RevisionDetail) -> Self {
        let (before, after) = (&one.revision, &other.revision);
        let paths: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
        let files = paths.into_iter().map(|path| DiffFile {
            path: path.clone(),
            from: before.files.get(path).copied(),
            to: after.files.get(path).copied(),
        });
        let mut others = Vec::new();
        if before.isolation != after.isolation {
            others.push(format!("isolation: {:?} to {:?}", before.isolation, after.isolation).to_lowercase());
        }
        if before.data != after.data {
            others.push(format!("data: {} to {}", before.data.display(), after.data.display()));
        }
        Self {
            from: before.number,
            to: after.number,
            lines: lines(&one.text, &other.text),
            files: files.filter(|file| file.from != file.to).collect(),
            others,
        }
    }
}

fn lines(one: &str, other: &str) -> Vec<DiffLine> {
    // A pipeline of a megabyte of lines that all differ would take long.
    let diff = TextDiff::configure().timeout(std::time::Duration::from_millis(500)).diff_lines(one, other);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        if !lines.is_empty() {
            lines.push(DiffLine { sign: '@', text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(DiffLine { sign, text: change.value().trim_end_matches(['\n', '\r']).to_owned() });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_have_three_lines_around_them_and_gaps_between() {
        let before: Vec<String> = (1..=20).map(|number| format!("line {number}\n")).collect();
        let mut after = before.clone();
        after[4] = "changed\n".to_owned();
        after.remove(17);
        let found = lines(&before.concat(), &after.concat());
        let drawn: Vec<String> = found.iter().map(|line| format!("{}{}", line.sign, line.text)).collect();
        let expected = [
            " line 2", " line 3", " line 4", "-line 5", "+changed", " line 6", " line 7", " line 8", "@", " line 15",
            " line 16", " line 17", "-line 18", " line 19", " line 20",
        ];
        assert_eq!(drawn, expected);
        assert_eq!(lines("a\n", "a\n"), []);
    }
}
