use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::identity::{FileId, Located, Nature, locate};
use super::path_end::{End, Place};
use super::path_use::{PathRole, PathUse};
use sage_plan::config::{Diagnostic, Diagnostics, Span};
use sage_text::plain_path;

/// The folders of a run in which files of others are not safe: the host's own state, and where guests may write.
pub(super) struct RunFolders<'a> {
    own: Vec<Folder<'a>>,
    granted: Vec<Folder<'a>>,
}

struct Folder<'a> {
    id: FileId,
    path: PathBuf,
    span: Option<Span>,
    /// The folder's name for users, or the stage whose guests may write in it.
    what: &'a str,
}

impl<'a> RunFolders<'a> {
    /// The folders among these uses that exist.
    pub(super) fn of(uses: &'a [PathUse]) -> Self {
        let mut folders = Self { own: Vec::new(), granted: Vec::new() };
        for path_use in uses {
            let (list, what) = match &path_use.role {
                PathRole::OwnFolder(what) => (&mut folders.own, *what),
                PathRole::Granted(stage) => (&mut folders.granted, stage.as_str()),
                _ => continue,
            };
            if let Ok(metadata) = fs::metadata(&path_use.path)
                && let Ok(located) = locate(&path_use.path)
            {
                list.push(Folder { id: FileId::of(&metadata), path: located.path, span: path_use.span, what });
            }
        }
        folders
    }

    /// Reports outputs in the folders of the host's own state, files of the run in folders where guests may write, and
    /// folders of both kinds that contain each other: whoever writes compiled code writes what the host executes.
    pub(super) fn refuse(&self, ends: &[End], errors: &mut Diagnostics) {
        self.refuse_outputs(ends, errors);
        self.refuse_grants(ends, errors);
        for granted in &self.granted {
            let meets = |own: &&Folder| granted.contains(&own.path) || own.contains(&granted.path);
            for own in self.own.iter().filter(meets) {
                let path = plain_path(&granted.path);
                let message = format!("{} may write in {path}, where {} lies", granted.what, own.what);
                let hint = "grant a folder outside of the host's own folders, and none that contains one";
                errors.push(Diagnostic::new(message).at(granted.span).hint(hint));
            }
        }
    }

    fn refuse_outputs(&self, ends: &[End], errors: &mut Diagnostics) {
        let mut told = BTreeSet::new();
        for end in ends.iter().filter(|end| end.writes() && !end.is_stream) {
            let Some(located) = end.place.located().filter(|located| located.nature == Nature::Kept) else { continue };
            let own = self.own.iter().find(|folder| folder.holds(&located.path));
            if let Some(folder) = own.filter(|_| told.insert(end.number)) {
                let message = format!("{}, which lies in {}", end.as_writer(), folder.what);
                let hint = "give it a path outside of the host's own folders";
                errors.push(Diagnostic::new(message).at(end.span).hint(hint));
            }
        }
    }

    fn refuse_grants(&self, ends: &[End], errors: &mut Diagnostics) {
        let mut told = BTreeSet::new();
        for (number, folder) in self.granted.iter().enumerate() {
            for end in ends {
                let Some(path) = folder.file_of(&end.place).filter(|_| told.insert((number, end.number))) else {
                    continue;
                };
                let folder_path = plain_path(&folder.path);
                let message = match end.writes() {
                    true => {
                        format!("{}, which lies in {folder_path}, where {} may write", end.as_writer(), folder.what)
                    }
                    false => {
                        let which = end.as_other();
                        format!("{} may write in {folder_path}, where {path} lies, which {which}", folder.what)
                    }
                };
                let hint = "grant a folder without files of the run: capabilities = { folders = [...] }";
                errors.push(Diagnostic::new(message).at(folder.span).at(end.span).hint(hint));
            }
        }
    }
}

impl Folder<'_> {
    /// Whether a file at this path lies in the folder.
    fn holds(&self, path: &Path) -> bool {
        path.parent().is_some_and(|parent| self.contains(parent))
    }

    /// Whether the path leads to this folder or into it.
    fn contains(&self, path: &Path) -> bool {
        path.ancestors().any(|folder| fs::metadata(folder).is_ok_and(|metadata| FileId::of(&metadata) == self.id))
    }

    /// The first file of the place that lies in the folder.
    fn file_of(&self, place: &Place) -> Option<String> {
        let kept = |located: &Located| located.nature == Nature::Kept && self.holds(&located.path);
        match place {
            Place::At(located) => kept(located).then(|| plain_path(&located.path)),
            Place::Matching(search) => {
                let mut files = search.files.iter().filter_map(|(path, _)| locate(path).ok());
                files.find(kept).map(|located| plain_path(&located.path))
            }
        }
    }
}
