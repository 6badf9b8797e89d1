use sage_batch::fields::{self, DataType, Element, FieldType};

use crate::json::unescape;
use crate::scan::{self, Open, at};
use crate::{number, time};

/// Kinds of values of a field. The number of records tells whether the field is missing somewhere; the record of the
/// last value keeps a field that stands twice in a record from being counted twice.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    records: u64,
    last: u64,
    nulls: bool,
    bools: bool,
    signed: bool,
    unsigned: bool,
    huge: bool,
    /// Integers that even a decimal cannot hold.
    endless: bool,
    negative: bool,
    floats: bool,
    timestamps: bool,
    texts: bool,
    /// Arrays and objects of which no list and no struct can be made.
    nested: bool,
    /// The elements of all arrays.
    elements: Option<Box<Seen>>,
    /// The members of all objects.
    members: Option<Box<Members>>,
}

/// Members of objects. Every object so far has each of them once.
#[derive(Debug)]
struct Members {
    objects: u64,
    members: Vec<(String, Seen)>,
}

/// Most members of a struct that is proposed. Objects with more are rather maps.
const MOST_MEMBERS: usize = 100;

impl Seen {
    /// Counts a record with the field. A field that stands twice in a record counts once.
    pub(crate) fn count(&mut self, record: u64) {
        if self.last != record {
            self.last = record;
            self.records += 1;
        }
    }

    /// Whether the field is null or missing in one of so many records.
    pub(crate) fn is_nullable(&self, records: u64) -> bool {
        self.nulls || self.records < records
    }

    /// Looks at a value of JSON, whose grammar has been checked.
    pub(crate) fn json(&mut self, value: &[u8], text: &mut Vec<u8>) {
        match at(value, 0) {
            b'n' => self.nulls = true,
            b't' | b'f' => self.bools = true,
            b'[' => self.array(value, text),
            b'{' => self.object(value, text),
            b'"' => {
                text.clear();
                // A text that is none (a lone surrogate) can only be kept as it stands.
                match unescape(value, text) {
                    Ok(()) => self.text(text),
                    Err(_) => self.nested = true,
                }
            }
            _ => self.number(value),
        }
    }

    /// Looks at a cell of CSV.
    pub(crate) fn cell(&mut self, cell: &[u8]) {
        match cell {
            [] => self.nulls = true,
            b"true" | b"false" => self.bools = true,
            _ if scan::number(cell, 0) == Some(cell.len()) => self.number(cell),
            _ => self.text(cell),
        }
    }

    fn array(&mut self, array: &[u8], text: &mut Vec<u8>) {
        let elements = self.elements.get_or_insert_default();
        let walked = scan::array::<()>(array, 0, |i| elements.inside(array, i, text).ok_or(None));
        self.nested |= walked.is_err();
    }

    fn object(&mut self, object: &[u8], text: &mut Vec<u8>) {
        let first = self.members.is_none();
        let Members { objects, members } =
            &mut **self.members.get_or_insert_with(|| Box::new(Members { objects: 0, members: Vec::new() }));
        *objects += 1;
        let mut found = 0;
        let walked = scan::object::<()>(object, 0, |i| {
            let (end, start, _) = scan::key(object, i).ok_or(None)?;
            text.clear();
            unescape(object.get(i..=end).unwrap_or_default(), text).map_err(|_| None)?;
            let name = String::from_utf8_lossy(text);
            let known = members.iter().position(|(member, _)| *member == name);
            if first && known.is_none() && members.len() < MOST_MEMBERS {
                members.push((name.into_owned(), Self::default()));
            }
            let (_, seen) = known.or(members.len().checked_sub(1)).and_then(|at| members.get_mut(at)).ok_or(None)?;
            // A member that the first object lacks, or that stands twice, has been counted for this object.
            if known.is_none() && !first || seen.last == *objects {
                return Err(None);
            }
            seen.count(*objects);
            found += 1;
            seen.inside(object, start, text).ok_or(None)
        });
        self.nested |= walked.is_err() || found < members.len() || found == 0;
    }

    /// Looks at an element or a member, and returns its end. `None` for an array or an object.
    fn inside(&mut self, around: &[u8], start: usize, text: &mut Vec<u8>) -> Option<usize> {
        let mut open = Open::default();
        let end = scan::value(around, start, &mut open).filter(|_| !matches!(at(around, start), b'[' | b'{'))?;
        self.json(around.get(start..end)?, text);
        Some(end)
    }

    fn text(&mut self, text: &[u8]) {
        match time::timestamp(text) {
            Some(_) => self.timestamps = true,
            None => self.texts = true,
        }
    }

    fn number(&mut self, value: &[u8]) {
        if value.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            self.floats = true;
        } else if let Ok(value) = number::signed(value) {
            self.signed = true;
            self.negative |= value < 0;
        } else if number::unsigned(value).is_ok() {
            self.unsigned = true;
        } else if number::decimal(value, 38, 0).is_ok() {
            self.huge = true;
        } else {
            self.endless = true;
        }
    }

    /// The type. Values of several kinds, or of none, are JSON; as cells of CSV they are texts.
    pub(crate) fn data_type(&self, cells: bool) -> DataType {
        let mixed = if cells { DataType::String } else { DataType::Json };
        let integers = self.signed || self.unsigned || self.huge || self.endless;
        let kinds = [
            self.bools,
            integers || self.floats,
            self.timestamps || self.texts,
            self.nested,
            self.elements.is_some(),
            self.members.is_some(),
        ];
        if kinds.iter().filter(|kind| **kind).count() != 1 {
            return mixed;
        }
        match self {
            _ if self.nested => mixed,
            Self { elements: Some(elements), .. } => elements.list().unwrap_or(mixed),
            Self { members: Some(members), .. } => members.of_struct().unwrap_or(mixed),
            _ if self.bools => DataType::Bool,
            _ if self.floats => DataType::F64,
            _ if self.endless => mixed,
            _ if self.huge || self.unsigned && self.negative => DataType::Decimal { precision: 38, scale: 0 },
            _ if self.unsigned => DataType::U64,
            _ if self.signed => DataType::S64,
            _ if self.texts => DataType::String,
            _ => DataType::Timestamp,
        }
    }
}

impl Seen {
    /// The list of these elements, if they have one type.
    fn list(&self) -> Option<DataType> {
        Element::new(self.data_type(false), self.nulls)
            .filter(|element| *element.data_type() != DataType::Json)
            .map(DataType::from)
    }
}

impl Members {
    /// The struct of these members, if each has one type.
    fn of_struct(&self) -> Option<DataType> {
        let member = |(name, seen): &(String, Seen)| {
            let data_type = Some(seen.data_type(false)).filter(|data_type| *data_type != DataType::Json)?;
            Some(FieldType { name: name.clone(), data_type, nullable: seen.nulls, docs: String::new() })
        };
        let members = self.members.iter().map(member).collect::<Option<_>>()?;
        fields::Members::new(members).ok().map(DataType::from)
    }
}
