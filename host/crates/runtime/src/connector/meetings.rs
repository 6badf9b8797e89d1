use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, absolute};

use super::find_files::Search;
use super::identity::{FileId, Identity, Located, Nature, plainly};
use super::part_names::PartNames;
use super::path_end::{End, Place, ends_of, stream_ends};
use super::path_guard::PathGuard;
use super::path_use::{PathUse, StandardStreams};
use super::run_folders::RunFolders;
use sage_plan::config::{Diagnostic, Diagnostics};
use sage_text::plain_path;

/// Finds out where every path of a run leads. Reports each pair of paths that lead to one file if one of them
/// is written to, and each output that cannot be written. Reads the file system and changes nothing.
///
/// An existing file is identified by its device and inode, a file that does not exist yet by its folder and its
/// name. Links are followed. A pattern is compared by the files that it matches, and by the files that it would
/// match later. A source that does not exist is no error here; opening it reports the error.
///
/// The returned guard keeps the files that the run reads. An output asks the guard again before it opens a file
/// for writing, because the path may lead elsewhere by then.
pub fn compare_paths(uses: &[PathUse], streams: &StandardStreams, errors: &mut Diagnostics) -> PathGuard {
    let (mut ends, mut unusable) = (Vec::new(), Vec::new());
    for (number, path_use) in uses.iter().enumerate() {
        let (found, error) = ends_of(number, path_use);
        ends.extend(found);
        unusable.extend(error.map(|error| (number, error)));
    }
    ends.extend(stream_ends(uses.len(), streams));
    let met = refuse_meetings(&ends, errors);
    // If an output meets another file, its other errors no longer matter.
    unusable.into_iter().filter(|(number, _)| !met.contains(number)).for_each(|(_, error)| errors.push(error));
    RunFolders::of(uses).refuse(&ends, errors);
    let mut guard = PathGuard::default();
    for end in ends.iter().filter(|end| !end.writes() && end.nature() == Nature::Kept) {
        guard.add(format!("it {}", end.as_other()), end.place.files());
    }
    guard
}

/// Reports each pair of uses that meet, once; returns the numbers of these uses.
fn refuse_meetings(ends: &[End], errors: &mut Diagnostics) -> BTreeSet<usize> {
    let mut by_file: HashMap<&Identity, Vec<&End>> = HashMap::new();
    let mut patterns: Vec<(&End, &Search)> = Vec::new();
    for end in ends {
        match &end.place {
            Place::At(located) => by_file.entry(&located.identity).or_default().push(end),
            Place::Matching(search) => patterns.push((end, search)),
        }
    }
    let mut told = BTreeSet::new();
    let mut tell = |one: &End, other: &End, error: &mut dyn FnMut() -> Diagnostic| {
        if told.insert((one.number.min(other.number), one.number.max(other.number))) {
            errors.push(error());
        }
    };
    for writer in ends.iter().filter(|end| end.writes()) {
        let Some(located) = writer.place.located() else { continue };
        let others = by_file.get(&located.identity).map(Vec::as_slice).unwrap_or_default();
        for other in others.iter().filter(|other| writer.hurts(other)) {
            tell(writer, other, &mut || meeting(writer, other));
        }
        if located.nature != Nature::Kept {
            continue;
        }
        for other in ends.iter().filter(|other| writer.parts_meet(other) && writer.hurts(other)) {
            tell(writer, other, &mut || meeting(writer, other));
        }
        for (reader, search) in &patterns {
            let how = match &writer.parts {
                Some(parts) => matched_part(search, parts),
                None => matched(search, located),
            };
            if let Some(how) = how {
                tell(writer, reader, &mut || match_of(writer, reader, &how));
            }
        }
    }
    told.into_iter().flat_map(|(one, other)| [one, other]).collect()
}

fn meeting(writer: &End, other: &End) -> Diagnostic {
    let mut message = format!("{}, which {}", writer.as_writer(), other.as_other());
    if let (Some(one), Some(two)) = (writer.place.located(), other.place.located())
        && writer.shown != other.shown
    {
        let how = if one.path != two.path {
            "one file of two names: a hard link or a mount"
        } else if one.spelled == two.spelled {
            "the same path in another spelling"
        } else {
            "the same file through a link"
        };
        message = format!("{message} as {} ({how})", other.shown);
    }
    let hint = if writer.writes_records() && other.writes_records() {
        "give one of them another file, or let one sink read both: input = [\"a\", \"b\"]"
    } else if other.writes() {
        "give one of them another file"
    } else {
        "an output must not be what the run reads: give it another path"
    };
    Diagnostic::new(message).at(writer.span).at(other.span).hint(hint)
}

fn match_of(writer: &End, reader: &End, how: &str) -> Diagnostic {
    Diagnostic::new(format!("{}, which {}{how}", writer.as_writer(), reader.as_other()))
        .at(writer.span)
        .at(reader.span)
        .hint(
            "the source would read what this or an earlier run has written: \
             write to another folder, or narrow the pattern",
        )
}

/// A text about how a pattern leads to a part of an output; `None` if it does not.
fn matched_part(search: &Search, parts: &PartNames) -> Option<String> {
    let folder = FileId::of(&fs::metadata(&parts.folder).ok()?);
    let is_here =
        |path: &Path| path.parent().and_then(|at| fs::metadata(at).ok()).is_some_and(|at| FileId::of(&at) == folder);
    let there = search.files.iter().map(|(path, _)| path);
    if let Some(path) =
        there.into_iter().find(|path| path.file_name().is_some_and(|name| parts.could_be(name)) && is_here(path))
    {
        return Some(format!(" as {}", plain_path(path)));
    }
    let walk = search.walk.as_ref()?;
    // A pattern may ask for certain digits.
    (0..MOST_TRIED).any(|number| walk.would_find(folder, &parts.name(number))).then(|| " once it is there".to_owned())
}

/// Numbers of parts that are compared with a pattern.
const MOST_TRIED: u64 = 1000;

/// A text about how a pattern leads to a file; `None` if it does not.
fn matched(search: &Search, located: &Located) -> Option<String> {
    if let Identity::There(id) = located.identity
        && let Some((path, _)) = search.files.iter().find(|(_, file)| *file == id)
    {
        let same = absolute(path).is_ok_and(|path| plainly(&path) == located.path);
        return Some(if same { String::new() } else { format!(" as {}", plain_path(path)) });
    }
    let folder = fs::metadata(located.path.parent()?).ok()?;
    let would = search.walk.as_ref()?.would_find(FileId::of(&folder), located.path.file_name()?);
    would.then(|| " once it is there".to_owned())
}
