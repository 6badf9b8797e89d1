use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use super::ConnectorError;
use super::find_files::Search;
use super::identity::{FileId, Identity, Located, Nature, locate, nature_of};
use super::output_place::OutputPlace;
use super::part_names::PartNames;
use super::partial_path::partial_path;
use super::path_use::{PathRole, PathUse, StandardStreams};
use sage_plan::config::{Diagnostic, Span};
use sage_text::plain_path;

/// A file, or all files that a pattern matches, with the purpose for which one part of a run uses it.
#[derive(Debug)]
pub(super) struct End {
    /// Number of the use that it belongs to. Two files of one use are not compared.
    pub(super) number: usize,
    /// Path in messages.
    pub(super) shown: String,
    pub(super) span: Option<Span>,
    pub(super) does: Does,
    pub(super) place: Place,
    /// The names of all files, if they are the parts of an output. The place is then that of a part which never is.
    pub(super) parts: Option<PartNames>,
    /// Whether the process inherited it as a standard stream, so that the pipeline file does not name it.
    pub(super) is_stream: bool,
}

/// The files to which a path leads.
#[derive(Debug)]
pub(super) enum Place {
    At(Located),
    Matching(Search),
}

/// The purpose, with the words for messages: the path follows `subject`, and `clause` follows "which".
#[derive(Debug, Clone)]
pub(super) enum Does {
    Read { clause: String },
    Write { subject: String, clause: String, carries: Carries },
}

/// Kind of the bytes that a writer writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    Records,
    /// Lines that are appended, perhaps by several stages.
    DeadLetters,
    /// Messages of the host.
    Words,
}

impl Place {
    /// The single place; `None` for a pattern.
    pub(super) fn located(&self) -> Option<&Located> {
        match self {
            Self::At(located) => Some(located),
            Self::Matching(_) => None,
        }
    }

    /// The files that exist.
    pub(super) fn files(&self) -> Vec<FileId> {
        match self {
            Self::At(Located { identity: Identity::There(id), .. }) => vec![*id],
            Self::At(_) => Vec::new(),
            Self::Matching(search) => search.files.iter().map(|(_, id)| *id).collect(),
        }
    }
}

impl End {
    pub(super) fn writes(&self) -> bool {
        matches!(self.does, Does::Write { .. })
    }

    pub(super) fn writes_records(&self) -> bool {
        matches!(self.does, Does::Write { carries: Carries::Records, .. })
    }

    pub(super) fn nature(&self) -> Nature {
        self.place.located().map_or(Nature::Kept, |located| located.nature)
    }

    /// `sink "out" writes out.txt`.
    pub(super) fn as_writer(&self) -> String {
        match &self.does {
            Does::Write { subject, .. } => format!("{subject} {}", self.shown),
            Does::Read { clause } => clause.clone(),
        }
    }

    /// `source "in" reads`.
    pub(super) fn as_other(&self) -> &str {
        match &self.does {
            Does::Read { clause } | Does::Write { clause, .. } => clause,
        }
    }

    /// Whether this end has parts of which one could be the file of `other`, or one of its parts.
    pub(super) fn parts_meet(&self, other: &Self) -> bool {
        let Some(parts) = &self.parts else { return false };
        let folder = |path: &Path| fs::metadata(path).ok().map(|folder| FileId::of(&folder));
        match (&other.parts, other.place.located()) {
            (Some(others), _) => parts.could_meet(others) && folder(&parts.folder) == folder(&others.folder),
            (None, Some(located)) => {
                let is_here = located.path.parent().is_some_and(|at| folder(at) == folder(&parts.folder));
                is_here && located.path.file_name().is_some_and(|name| parts.could_be(name))
            }
            (None, None) => false,
        }
    }

    /// Whether damage results if this end, which writes, and `other` are the same file.
    pub(super) fn hurts(&self, other: &Self) -> bool {
        let Does::Write { carries, .. } = &self.does else { return false };
        // A user who sends records and messages to one place wants this.
        let both_streams = self.is_stream && other.is_stream && other.writes();
        if self.number == other.number || both_streams {
            return false;
        }
        let Does::Write { carries: others, .. } = &other.does else {
            return matches!(self.nature(), Nature::Kept | Nature::Pipe);
        };
        match self.nature() {
            Nature::Kept => carries != others || *carries == Carries::Records,
            // Two writers of records tear each other's lines; messages of the host may stand between them.
            Nature::Pipe => {
                (*carries == Carries::Records && *others != Carries::Words)
                    || (*others == Carries::Records && *carries != Carries::Words)
            }
            Nature::Passing | Nature::Folder => false,
        }
    }
}

/// The ends of one use of a path, and the reason why the path cannot be used, if there is one.
pub(super) fn ends_of(number: usize, path_use: &PathUse) -> (Vec<End>, Option<Diagnostic>) {
    let PathUse { role, path, span } = path_use;
    let end =
        |does, place| End { number, shown: plain_path(path), span: *span, does, place, parts: None, is_stream: false };
    let reads = |clause: String| {
        let place = locate(path).ok().filter(|located| located.nature != Nature::Folder);
        (place.map(|located| end(Does::Read { clause }, Place::At(located))).into_iter().collect(), None)
    };
    match role {
        PathRole::Source(name) => {
            (source_end(name, path).map(|(does, place)| end(does, place)).into_iter().collect(), None)
        }
        PathRole::PipelineFile => reads("is the pipeline file".to_owned()),
        PathRole::HostFile => reads("is the host file".to_owned()),
        PathRole::Component(stage) => reads(format!("is the component of {stage}")),
        PathRole::Model(name) => reads(format!("is the file of model \"{name}\"")),
        PathRole::Library => reads("is a library that the host loads".to_owned()),
        PathRole::Sink(name) => sink_ends((number, name), path_use, OutputPlace::examine(path)),
        PathRole::SinkParts(name) => parts_end(number, name, path_use),
        PathRole::SinkAppends(name) => appending_ends(number, name, path_use),
        PathRole::DeadLetters(stage) => match located_letters(path) {
            Ok(located) => {
                let does = Does::Write {
                    subject: format!("{stage} sends dead letters to"),
                    clause: format!("{stage} sends dead letters to"),
                    carries: Carries::DeadLetters,
                };
                (vec![end(does, Place::At(located))], None)
            }
            Err(error) => (Vec::new(), Some(unusable(stage, error, *span))),
        },
        PathRole::Granted(_) | PathRole::OwnFolder(_) => (Vec::new(), None),
    }
}

fn unusable(user: &str, error: ConnectorError, span: Option<Span>) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("{user}: {}", error.in_full())).at(span);
    error.hint.into_iter().fold(diagnostic, Diagnostic::hint)
}

fn located_letters(path: &Path) -> Result<Located, ConnectorError> {
    let shown = plain_path(path);
    let located = locate(path).map_err(|error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let error = ConnectorError::caused(format!("cannot write dead letters to \"{shown}\""), error);
        if missing { error.hint("does its folder exist?") } else { error }
    })?;
    if located.nature == Nature::Folder {
        return Err(ConnectorError::new(format!("cannot write dead letters to \"{shown}\": it is a folder"))
            .hint("name a file in it"));
    }
    Ok(located)
}

/// The place that a source reads, or would read later. `None` if it cannot be examined; opening it reports the
/// error.
fn source_end(name: &str, path: &Path) -> Option<(Does, Place)> {
    let reads = Does::Read { clause: format!("source \"{name}\" reads") };
    match Search::of(path) {
        Ok(search) if search.walk.is_some() => {
            let clause = format!("matches the pattern {} that source \"{name}\" reads", plain_path(path));
            Some((Does::Read { clause }, Place::Matching(search)))
        }
        Ok(search) => {
            let (file, _) = search.files.into_iter().next()?;
            let located = locate(&file).ok().filter(|located| located.nature != Nature::Folder)?;
            Some((reads, Place::At(located)))
        }
        // The file may not exist yet, and the run would create it.
        Err(_) => Some((reads, Place::At(locate(&Search::literal(path)?).ok()?))),
    }
}

/// A sink's file, and its temporary file.
fn sink_ends(
    (number, name): (usize, &str),
    path_use: &PathUse,
    place: Result<OutputPlace, ConnectorError>,
) -> (Vec<End>, Option<Diagnostic>) {
    let PathUse { path, span, .. } = path_use;
    let writes = |subject: String, shown: String, located: Located| {
        let does = Does::Write { clause: subject.clone(), subject, carries: Carries::Records };
        End { number, shown, span: *span, does, place: Place::At(located), parts: None, is_stream: false }
    };
    let mut ends = Vec::new();
    if let Ok(located) = locate(path)
        && located.nature != Nature::Folder
    {
        if located.nature == Nature::Kept && !matches!(place, Ok(OutputPlace::InPlace(_))) {
            let partial = partial_path(&located.path);
            let subject = format!("sink \"{name}\" gathers its output in");
            ends.extend(locate(&partial).map(|partly| writes(subject, plain_path(&partial), partly)));
        }
        ends.insert(0, writes(format!("sink \"{name}\" writes"), plain_path(path), located));
    }
    (ends, place.err().map(|error| unusable(&format!("sink \"{name}\""), error, *span)))
}

/// The parts of a sink's output. What is wrong with the path itself was reported before.
fn parts_end(number: usize, name: &str, PathUse { path, span, .. }: &PathUse) -> (Vec<End>, Option<Diagnostic>) {
    let Some(parts) = PartNames::of(path) else { return (Vec::new(), None) };
    // Numbers begin with 1.
    let sample = parts.path(0);
    let error = match OutputPlace::examine(&sample) {
        Ok(_) => None,
        Err(error) => Some(unusable(&format!("sink \"{name}\""), error, *span)),
    };
    let clause = format!("sink \"{name}\" writes parts to");
    let does = Does::Write { subject: clause.clone(), clause, carries: Carries::Records };
    let end = locate(&sample).ok().map(|located| End {
        number,
        shown: plain_path(path),
        span: *span,
        does,
        place: Place::At(located),
        parts: Some(parts),
        is_stream: false,
    });
    (end.into_iter().collect(), error)
}

/// A file to which a sink appends, and its journal.
fn appending_ends(number: usize, name: &str, path_use: &PathUse) -> (Vec<End>, Option<Diagnostic>) {
    let (mut ends, error) = sink_ends((number, name), path_use, OutputPlace::examine_to_append(&path_use.path));
    for (end, verb) in ends.iter_mut().zip(["appends to", "keeps its journal in"]) {
        let clause = format!("sink \"{name}\" {verb}");
        end.does = Does::Write { subject: clause.clone(), clause, carries: Carries::Records };
    }
    (ends, error)
}

/// The standard streams, as the process inherited them.
pub(super) fn stream_ends(first: usize, streams: &StandardStreams) -> Vec<End> {
    let mut ends = Vec::new();
    let mut add = |descriptor: BorrowedFd<'_>, number: usize, does: Does| {
        if let Some((shown, located)) = located_stream(descriptor) {
            ends.push(End {
                number: first + number,
                shown,
                span: None,
                does,
                place: Place::At(located),
                parts: None,
                is_stream: true,
            });
        }
    };
    let words = |what: &str, carries: Carries| Does::Write {
        subject: format!("{what} goes to"),
        clause: format!("{what} goes to"),
        carries,
    };
    if let Some(name) = &streams.input {
        let clause = format!("source \"{name}\" reads as standard input");
        add(rustix::stdio::stdin(), 0, Does::Read { clause });
    }
    if let Some(name) = &streams.records {
        add(
            rustix::stdio::stdout(),
            1,
            words(&format!("standard output with the records of sink \"{name}\""), Carries::Records),
        );
    } else if streams.output {
        add(rustix::stdio::stdout(), 1, words("standard output", Carries::Words));
    }
    if streams.error {
        add(rustix::stdio::stderr(), 2, words("standard error", Carries::Words));
    }
    ends
}

/// The place to which a stream leads, with its text for messages; `None` if the stream is closed.
fn located_stream(descriptor: BorrowedFd<'_>) -> Option<(String, Located)> {
    let file = File::from(descriptor.as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok()?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
    let path = fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_else(|_| PathBuf::from("/"));
    let identity = Identity::There(FileId::of(&metadata));
    let located = Located { identity, nature: nature_of(&metadata), path: path.clone(), spelled: path.clone() };
    Some((plain_path(&path), located))
}
