use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ConnectorError;
use super::identity::FileId;
use super::pattern::Pattern;
use super::pattern_walk::{Walk, cannot_look};
use sage_text::plain_path;

/// The files that a path or a pattern names, sorted, each file once; at least one. A file with exactly that
/// name takes precedence over the pattern.
pub(super) fn find_files(path: &Path) -> Result<Vec<PathBuf>, ConnectorError> {
    let found = Search::of(path)?.require_any()?;
    for (name, same) in &found.other_names {
        tracing::warn!(
            "{} is the same file as {} and is read once, under that name",
            plain_path(name),
            plain_path(same)
        );
    }
    Ok(found.files.into_iter().map(|(path, _)| path).collect())
}

/// The files that a path or a pattern names at present, and the folders in which a later file would match.
#[derive(Debug)]
pub(super) struct Search {
    path: PathBuf,
    /// Sorted by path.
    pub(super) files: Vec<(PathBuf, FileId)>,
    /// Other names of files that are in `files`, each with the name used there.
    other_names: Vec<(PathBuf, PathBuf)>,
    /// The folders of a pattern. `None` for a path that is no pattern, or that exists exactly as written.
    pub(super) walk: Option<Walk>,
}

impl Search {
    /// Looks for the files.
    ///
    /// # Errors
    /// The path does not exist or is a dangling link, the pattern is invalid, or a folder cannot be read. No
    /// folder below a pattern is skipped because it is unreadable.
    pub(super) fn of(path: &Path) -> Result<Self, ConnectorError> {
        let pattern = Pattern::of(path).map_err(|error| {
            ConnectorError::new(format!("\"{}\" is not a pattern: {}", plain_path(path), error.msg))
        })?;
        let literal = pattern.literal_path();
        match fs::metadata(&literal) {
            Ok(metadata) => {
                let files = vec![(literal, FileId::of(&metadata))];
                return Ok(Self { path: path.to_owned(), files, other_names: Vec::new(), walk: None });
            }
            Err(error) if pattern.is_literal() => return Err(not_there(&literal, error)),
            Err(_) => {}
        }
        let walk = Walk::through(&pattern)?;
        let (files, other_names) = once_each(walk.found())?;
        Ok(Self { path: path.to_owned(), files, other_names, walk: Some(walk) })
    }

    /// The path with its characters taken literally; `None` for a pattern.
    pub(super) fn literal(path: &Path) -> Option<PathBuf> {
        let pattern = Pattern::of(path).ok()?;
        pattern.is_literal().then(|| pattern.literal_path())
    }

    fn require_any(self) -> Result<Self, ConnectorError> {
        let Some(walk) = self.walk.as_ref().filter(|_| self.files.is_empty()) else { return Ok(self) };
        let error = ConnectorError::new(format!("no file matches \"{}\"", plain_path(&self.path)));
        Err(error.hint(if walk.left_out() > 0 {
            "a pattern leaves out hidden files, unfinished outputs (*.partial) and, below **, links to folders: \
             name such a file by its path"
        } else if self.path.ends_with("**") {
            "** stands for folders: write **/* for the files in them"
        } else {
            "relative patterns are resolved against the pipeline file's folder"
        }))
    }
}

fn not_there(path: &Path, error: io::Error) -> ConnectorError {
    let shown = plain_path(path);
    if error.kind() != io::ErrorKind::NotFound {
        return ConnectorError::caused(format!("cannot open \"{shown}\""), error);
    }
    match fs::read_link(path) {
        Ok(target) => {
            ConnectorError::new(format!("\"{shown}\" is a link to \"{}\", which does not exist", plain_path(&target)))
        }
        Err(_) => ConnectorError::new(format!("\"{shown}\" does not exist"))
            .hint("relative paths are resolved against the pipeline file's folder"),
    }
}

type Named = (PathBuf, FileId);
/// A further name of a file, and the name under which the file is kept.
type OtherName = (PathBuf, PathBuf);

/// Keeps each file under one of its names: the first in the order of paths that is no link, else the first
/// link.
fn once_each(found: &[PathBuf]) -> Result<(Vec<Named>, Vec<OtherName>), ConnectorError> {
    let mut names = Vec::with_capacity(found.len());
    for path in found {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            // A file that was removed since its folder was read is no error; a dangling link is one.
            Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => continue,
            Err(error) => return Err(cannot_look(path, error)),
        };
        let link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        names.push((link, path, FileId::of(&metadata)));
    }
    names.sort();
    let mut kept: HashMap<FileId, &Path> = HashMap::with_capacity(names.len());
    let (mut files, mut other_names) = (Vec::with_capacity(names.len()), Vec::new());
    for (_, path, id) in names {
        match kept.get(&id) {
            Some(same) => other_names.push((path.clone(), (*same).to_owned())),
            None => {
                kept.insert(id, path);
                files.push((path.clone(), id));
            }
        }
    }
    files.sort();
    Ok((files, other_names))
}

/// The short name of each file for places: its file name, or its whole path if two files share a file name.
pub(super) fn short_names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().map(|name| plain_path(Path::new(name)));
    let mut seen = HashMap::new();
    for path in paths {
        *seen.entry(name(path)).or_insert(0) += 1;
    }
    let unique = |path| name(path).filter(|name| seen.get(&Some(name.clone())) == Some(&1));
    paths.iter().map(|path| unique(path).unwrap_or_else(|| plain_path(path))).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use sage_test_support::{Need, skip};

    use super::*;

    /// Makes a tree: files by path, links as `name -> target`.
    fn tree(entries: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for entry in entries {
            let (name, target) = entry.split_once(" -> ").map_or((*entry, None), |(name, target)| (name, Some(target)));
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match target {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, name).unwrap(),
            }
        }
        folder
    }

    fn found(folder: &TempDir, pattern: &str) -> Vec<String> {
        let found = find_files(&folder.path().join(pattern)).unwrap();
        found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_pattern_finds_files_in_order_and_no_folders() {
        let folder = tree(&["b/x.csv", "a/x.csv", "a/10.csv", "a/9.csv", "a/dir.csv/y"]);
        assert_eq!(found(&folder, "**/*.csv"), ["a/10.csv", "a/9.csv", "a/x.csv", "b/x.csv"]);
        let full = |name: &str| folder.path().join(name).display().to_string();
        let paths = find_files(&folder.path().join("**/*.csv")).unwrap();
        assert_eq!(short_names(&paths), ["10.csv".to_owned(), "9.csv".to_owned(), full("a/x.csv"), full("b/x.csv")]);
    }

    #[test]
    fn a_file_whose_name_looks_like_a_pattern_is_found_by_its_name() {
        let folder = tree(&["a[1].csv", "b1.csv", "b[1].csv"]);
        for name in ["a[1].csv", "b[1].csv"] {
            assert_eq!(found(&folder, name), [name]);
        }
        assert_eq!(found(&folder, "b[[]1].csv"), ["b[1].csv"]);
        assert_eq!(found(&folder, "b[0-9].csv"), ["b1.csv"]);
    }

    #[test]
    fn a_pattern_says_which_files_it_takes_and_which_it_leaves_out() {
        let folder = tree(&[
            "a.txt",
            "ä.txt",
            ".hidden.txt",
            ".txt",
            "out.txt.partial",
            ".folder/a.txt",
            "d/a.txt",
            "d/b.txt",
            "d/.hidden/a.txt",
            "d/e/f/a.txt",
            "d/self -> .",
            "d/up -> ../..",
            "link -> d",
            "to-a.txt -> a.txt",
            "releases/7/x.log",
            "current -> releases/7",
        ]);
        let cases: [(&str, &[&str]); 16] = [
            ("*.txt", &["a.txt", "ä.txt"]),
            ("?.txt", &["a.txt", "ä.txt"]),
            ("[!a].txt", &["ä.txt"]),
            ("*", &["a.txt", "ä.txt"]),
            (".*.txt", &[".hidden.txt"]),
            (".folder/*", &[".folder/a.txt"]),
            ("to-?.txt", &["to-a.txt"]),
            ("**/*.txt", &["a.txt", "d/a.txt", "d/b.txt", "d/e/f/a.txt", "ä.txt"]),
            ("**/a.txt", &["a.txt", "d/a.txt", "d/e/f/a.txt"]),
            ("d/**/f/*", &["d/e/f/a.txt"]),
            ("**/**/b.txt", &["d/b.txt"]),
            ("*/b.txt", &["d/b.txt"]),
            ("l*/b.txt", &["link/b.txt"]),
            ("link/**/*.txt", &["link/a.txt", "link/b.txt", "link/e/f/a.txt"]),
            ("**/current/*.log", &["current/x.log"]),
            ("**/c*/*.log", &[]),
        ];
        for (pattern, expected) in cases {
            if expected.is_empty() {
                assert!(find_files(&folder.path().join(pattern)).is_err(), "{pattern}");
            } else {
                assert_eq!(found(&folder, pattern), expected, "{pattern}");
            }
        }
    }

    #[test]
    fn a_file_of_two_names_is_read_once_under_the_one_that_is_no_link() {
        let folder =
            tree(&["1.txt -> 2.txt", "2.txt", "4.txt", "v/..7/x.txt", "v/..data -> ..7", "v/x.txt -> ..data/x.txt"]);
        fs::hard_link(folder.path().join("4.txt"), folder.path().join("3.txt")).unwrap();
        assert_eq!(found(&folder, "*.txt"), ["2.txt", "3.txt"]);
        assert_eq!(found(&folder, "v/**/*.txt"), ["v/x.txt"]);
        let search = Search::of(&folder.path().join("*.txt")).unwrap();
        assert_eq!(search.other_names.len(), 2, "and whoever reads them can tell");
    }

    #[test]
    fn names_that_are_not_utf8_are_read() {
        let folder = tree(&["plain.txt"]);
        let at = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
        fs::write(at(b"caf\xe9.txt"), "").unwrap();
        fs::create_dir(at(b"\xff[1]")).unwrap();
        fs::write(at(b"\xff[1]/\xb1.txt"), "").unwrap();
        let found = |pattern: &[u8]| find_files(&at(pattern)).unwrap().len();
        for (pattern, files) in
            [(&b"*.txt"[..], 2), (b"caf?.txt", 1), (b"**/*.txt", 3), (b"caf[!a].txt", 1), (b"caf\xe9.txt", 1)]
        {
            assert_eq!(found(pattern), files, "{}", String::from_utf8_lossy(pattern));
        }
        // A pattern below a folder with such a name, as in a pipeline file inside that folder.
        let below = Pattern::escape(&at(b"\xff[1]")).join("*.txt");
        assert_eq!(find_files(&below).unwrap(), [at(b"\xff[1]/\xb1.txt")]);
        assert_eq!(short_names(&[at(b"\x1b[2J\xe9.txt")]), ["\\u{1b}[2J\\xE9.txt"]);
    }

    #[test]
    fn what_cannot_be_found_says_why() {
        let folder = tree(&["file", "l.txt -> l.txt", "n.txt -> none", "x.tmp.partial"]);
        let root = folder.path().display();
        for (pattern, said) in [
            ("none", format!("\"{root}/none\" does not exist")),
            ("n.txt", format!("\"{root}/n.txt\" is a link to \"none\", which does not exist")),
            ("n*.txt", format!("cannot look at \"{root}/n.txt\": No such file or directory (os error 2)")),
            ("l.txt", format!("cannot open \"{root}/l.txt\": Too many levels of symbolic links (os error 40)")),
            ("?.txt", format!("cannot look at \"{root}/l.txt\": Too many levels of symbolic links (os error 40)")),
            ("file/x", format!("cannot open \"{root}/file/x\": Not a directory (os error 20)")),
            ("file/*", format!("cannot look at \"{root}/file\": Not a directory (os error 20)")),
            ("none/*", format!("no file matches \"{root}/none/*\"")),
            ("*.partial", format!("no file matches \"{root}/*.partial\"")),
            (
                "a**b",
                format!("\"{root}/a**b\" is not a pattern: recursive wildcards must form a single path component"),
            ),
        ] {
            assert_eq!(find_files(&folder.path().join(pattern)).unwrap_err().in_full(), said, "{pattern}");
        }
    }

    #[test]
    fn a_folder_that_may_not_be_read_is_an_error_and_not_less_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tree(&["a/1.txt", "b/2.txt"]);
        let shut = folder.path().join("b");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
        // SAFETY: changes the user for files of this thread only. Root may read any folder; this user may not.
        let before = unsafe { libc::setfsuid(65_534) };
        let may_read = fs::read_dir(&shut).is_ok();
        let said = ["**/*.txt", "*/*.txt", "b/*"].map(|pattern| find_files(&folder.path().join(pattern)));
        // SAFETY: as above. The temporary folder is removed by its owner.
        unsafe { libc::setfsuid(u32::try_from(before).unwrap()) };
        if may_read {
            return skip(Need::Unprivileged, "this user may read any folder");
        }
        for said in said {
            let said = said.unwrap_err().in_full();
            assert_eq!(said, format!("cannot look at \"{}\": Permission denied (os error 13)", shut.display()));
        }
    }
}
