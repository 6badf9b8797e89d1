use std::collections::HashSet;
use std::sync::Arc;

use super::csv_bad_row::{BadRow, OTHER_ENCODING, Spoils};
use super::csv_row_text::KeptColumn;
use super::json_string::write_json_string;
use sage_plan::config::closest;
use sage_plan::{CsvSpec, Duplicates, FieldPath, HeaderSpec, SourceSchema, StampSpec, Unnamed};

/// The columns of a CSV file: their number, their names, and the subset that a record has.
pub(super) struct Columns {
    spec: CsvSpec,
    stamps: StampSpec,
    reads: Option<Arc<SourceSchema>>,
    /// Number of fields that a row must have. `None` until the first row has been read.
    width: Option<usize>,
    /// The columns of a record.
    kept: Arc<[KeptColumn]>,
    /// For each field that is read, the index of its column; `None` for a nullable field without one.
    read: Vec<Option<usize>>,
    /// Indices of the columns for key, time and headers, in this order.
    stamped: Vec<usize>,
    other_delimiter: Option<char>,
    notes: Vec<String>,
}

/// The role of the first row.
pub(super) enum Found {
    Header,
    Row,
}

impl Columns {
    pub(super) fn new(spec: &CsvSpec, stamps: &StampSpec, reads: Option<&Arc<SourceSchema>>) -> Self {
        Self {
            spec: spec.clone(),
            stamps: stamps.clone(),
            reads: reads.cloned(),
            width: None,
            kept: Arc::default(),
            read: Vec::new(),
            stamped: Vec::new(),
            other_delimiter: None,
            notes: Vec::new(),
        }
    }

    /// Whether the first row has been read.
    pub(super) fn are_known(&self) -> bool {
        self.width.is_some()
    }

    /// Whether the next row holds the names.
    pub(super) fn header_is_due(&self) -> bool {
        self.width.is_none() && self.spec.header == HeaderSpec::FirstRow
    }

    /// Number of fields that a row must have; 0 until it is known.
    pub(super) fn width(&self) -> usize {
        self.width.unwrap_or(0)
    }

    /// The columns of a record.
    pub(super) fn kept(&self) -> &Arc<[KeptColumn]> {
        &self.kept
    }

    /// For each field that is read, the index of its column.
    pub(super) fn read(&self) -> &[Option<usize>] {
        &self.read
    }

    /// Index of the column for field `slot` in the list of key, time and headers.
    pub(super) fn stamped(&self, slot: usize) -> Option<usize> {
        self.stamped.get(slot).copied()
    }

    /// The likely delimiter of the file: set if its header is one column that contains another delimiter.
    pub(super) fn other_delimiter(&self) -> Option<char> {
        self.other_delimiter
    }

    /// Takes the notes for the user about the header.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Reads the first row.
    pub(super) fn find<'f>(&mut self, line: u64, row: impl Iterator<Item = &'f [u8]>) -> Result<Found, BadRow> {
        let row: Vec<&[u8]> = row.collect();
        let found = match self.spec.header.clone() {
            HeaderSpec::FirstRow => {
                let names = self.names(&row).map_err(|what| header_error(line, what))?;
                self.set(names).map_err(|what| header_error(line, what))?;
                self.look_for_delimiter(&row);
                Found::Header
            }
            HeaderSpec::Numbered => {
                let names = (1..=row.len()).map(|number| Some(format!("column_{number}"))).collect();
                self.set(names).map_err(|what| header_error(line, what))?;
                Found::Row
            }
            HeaderSpec::Names(names) => {
                if names.iter().map(String::as_bytes).eq(row.iter().copied()) {
                    let what = ("the first row is the header that the pipeline file names".to_owned(), None);
                    return Err(header_error(line, what).hint("leave header out: the first row is the names then"));
                }
                self.set(names.into_iter().map(Some).collect()).map_err(|what| header_error(line, what))?;
                Found::Row
            }
        };
        Ok(found)
    }

    /// The names in the first row; `None` for a column that is left out.
    fn names(&mut self, row: &[&[u8]]) -> Result<Vec<Option<String>>, Wrong> {
        let mut names = Vec::with_capacity(row.len());
        for (number, name) in (1..).zip(row) {
            let name = std::str::from_utf8(name).map_err(|_| {
                (format!("the name of column {number} is not valid UTF-8"), Some(OTHER_ENCODING.to_owned()))
            })?;
            names.push(Some(name.to_owned()));
        }
        let mut taken: HashSet<String> = names.iter().flatten().filter(|name| !name.is_empty()).cloned().collect();
        let mut seen = HashSet::new();
        for (number, slot) in (1..).zip(&mut names) {
            let Some(name) = slot.clone() else { continue };
            if name.is_empty() {
                *slot = match self.spec.unnamed {
                    Unnamed::Fail => {
                        let hint = "unnamed = \"number\" calls it column_N, \"leave-out\" leaves it out";
                        return Err((format!("column {number} has no name"), Some(hint.to_owned())));
                    }
                    Unnamed::LeaveOut => None,
                    Unnamed::Number => {
                        let made = free(format!("column_{number}"), &mut taken, |name, _| format!("{name}_"));
                        self.notes.push(format!(
                            "column {number} has no name and is called \"{made}\" \
                             (unnamed = \"leave-out\" leaves it out)"
                        ));
                        Some(made)
                    }
                };
            } else if !seen.insert(name.clone()) {
                if self.spec.duplicates == Duplicates::Fail {
                    let hint = "duplicates = \"number\" calls the second one \"NAME_2\"";
                    return Err((format!("two columns are called \"{name}\""), Some(hint.to_owned())));
                }
                let made = free(format!("{name}_2"), &mut taken, |_, count| format!("{name}_{}", count + 2));
                *slot = Some(made);
            }
        }
        Ok(names)
    }

    /// Sets the columns. The chosen columns, and those of key, time and headers, must be among them.
    fn set(&mut self, names: Vec<Option<String>>) -> Result<(), Wrong> {
        let number_of = |name: &str| {
            names.iter().position(|other| other.as_deref() == Some(name)).ok_or_else(|| no_column(name, &names))
        };
        let kept: Vec<(usize, &str)> = match &self.spec.columns {
            Some(chosen) => {
                chosen.iter().map(|name| Ok((number_of(name)?, name.as_str()))).collect::<Result<_, Wrong>>()?
            }
            None => names.iter().enumerate().filter_map(|(n, name)| Some((n, name.as_deref()?))).collect(),
        };
        let column = |path: &FieldPath| number_of(path.only_part().unwrap_or_default());
        self.stamped = self.stamps.paths().map(column).collect::<Result<_, _>>()?;
        if let Some(reads) = &self.reads {
            let names: Vec<Option<String>> = kept.iter().map(|(_, name)| Some((*name).to_owned())).collect();
            let column = |(name, nullable): (&String, bool)| match kept.iter().find(|(_, kept)| kept == name) {
                None if !nullable => Err(no_column(name, &names)),
                found => Ok(found.map(|(number, _)| *number)),
            };
            let nullable = reads.fields().fields().iter().map(|field| field.nullable);
            self.read = reads.names().iter().zip(nullable).map(column).collect::<Result<_, _>>()?;
        }
        self.kept = kept
            .into_iter()
            .enumerate()
            .map(|(at, (number, name))| {
                let mut key = vec![if at == 0 { b'{' } else { b',' }];
                // A name is a `str`, so it is valid text.
                let _ = write_json_string(name.as_bytes(), &mut key);
                key.push(b':');
                KeptColumn { number, key }
            })
            .collect();
        self.width = Some(names.len());
        Ok(())
    }

    fn look_for_delimiter(&mut self, row: &[&[u8]]) {
        let [only] = row else { return };
        let others = [b';', b'\t', b'|', b','].into_iter().filter(|byte| *byte != self.spec.delimiter);
        let Some(other) = others.into_iter().find(|byte| only.contains(byte)).map(char::from) else { return };
        self.other_delimiter = Some(other);
        self.notes.push(format!(
            "its header is one column, \"{}\", that holds {other:?}: is that the delimiter? delimiter = \"{}\"",
            String::from_utf8_lossy(only).escape_debug(),
            other.escape_debug()
        ));
    }
}

/// The error text, and an optional hint.
type Wrong = (String, Option<String>);

fn header_error(line: u64, (what, hint): Wrong) -> BadRow {
    BadRow { hint, ..BadRow::new(line, what).spoils(Spoils::File) }
}

fn no_column(name: &str, names: &[Option<String>]) -> Wrong {
    let there = || names.iter().flatten().map(String::as_str);
    let hint = match closest(name, there()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("there are {}", there().take(16).collect::<Vec<_>>().join(", ")),
    };
    (format!("there is no column \"{name}\" in the header"), Some(hint))
}

/// The first unused name: `name`, or else a name that `next` makes.
fn free(mut name: String, taken: &mut HashSet<String>, next: impl Fn(&str, usize) -> String) -> String {
    for count in 1.. {
        if taken.insert(name.clone()) {
            break;
        }
        name = next(&name, count);
    }
    name
}
