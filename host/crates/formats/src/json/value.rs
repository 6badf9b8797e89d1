use sage_batch::fields::{DataType, Element, FieldColumn, Members};

use super::reference::unescape;
use crate::error::{Bad, Reason};
use crate::put::{put_number, put_text};
use crate::scan::{self, Open, at};

/// Most levels of arrays and objects around a value of a field that is read, the record's own included. These are
/// the levels that serde_json reads, so that an operator can parse the value.
pub(super) const DEPTH: usize = 127;

/// A value of a read field that breaks a rule.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The place within the field: empty, `[3]` or `.lat`.
    pub(crate) inside: String,
    /// Byte of the record.
    pub(crate) at: usize,
    pub(crate) reason: Reason,
}

impl Fault {
    #[cold]
    pub(super) fn of(at: usize, reason: Reason) -> Option<Box<Self>> {
        Some(Box::new(Self { inside: String::new(), at, reason }))
    }

    /// The fault of an element or a member as that of the field around it.
    #[cold]
    fn within(fault: Option<Box<Self>>, inside: &str) -> Option<Box<Self>> {
        let mut fault = fault?;
        fault.inside.insert_str(0, inside);
        Some(fault)
    }
}

/// The value of a read field, which begins at `start`.
pub(crate) struct Value<'a> {
    pub(crate) record: &'a [u8],
    pub(crate) start: usize,
    pub(crate) data_type: &'a DataType,
    pub(crate) nullable: bool,
    /// Arrays and objects around the value.
    pub(crate) level: usize,
    pub(crate) open: &'a mut Open,
    pub(crate) text: &'a mut Vec<u8>,
}

impl Value<'_> {
    /// Adds the value to its column and returns its end. The error is `None` for a broken grammar.
    #[inline(always)]
    pub(crate) fn put(self, column: &mut FieldColumn) -> Result<usize, Option<Box<Fault>>> {
        let (record, start, data_type) = (self.record, self.start, self.data_type);
        let first = at(record, start);
        match (data_type, first) {
            (_, b'n') => {
                let end = scan::word(record, start, b"null").ok_or(None)?;
                if !self.nullable {
                    return Err(Fault::of(start, Reason::Null));
                }
                column.push_null();
                Ok(end)
            }
            (DataType::Json, _) => self.put_json(column),
            (DataType::String | DataType::Timestamp | DataType::Date | DataType::Bytes, b'"') => {
                let (end, escaped) = scan::string(record, start + 1).ok_or(None)?;
                let text = if escaped {
                    self.text.clear();
                    let quoted = record.get(start..=end).unwrap_or_default();
                    unescape(quoted, self.text).map_err(|reason| Fault::of(start, reason))?;
                    self.text.as_slice()
                } else {
                    record.get(start + 1..end).unwrap_or_default()
                };
                put_text(column, data_type, text).map_err(|bad| fault(bad, text, data_type, start))?;
                Ok(end + 1)
            }
            (DataType::Bool, b't' | b'f') => {
                let value = first == b't';
                let end = scan::word(record, start, if value { b"true" } else { b"false" }).ok_or(None)?;
                column.push_bool(value);
                Ok(end)
            }
            (DataType::List(element), b'[') => self.put_list(element, column),
            (DataType::Struct(members), b'{') => self.put_struct(members, column),
            (
                DataType::String
                | DataType::Timestamp
                | DataType::Date
                | DataType::Bytes
                | DataType::Bool
                | DataType::List(_)
                | DataType::Struct(_),
                _,
            )
            | (_, b'"' | b't' | b'f' | b'[' | b'{') => Err(wrong_kind(first, data_type, start)),
            _ => {
                let end = scan::number(record, start).ok_or(None)?;
                let text = record.get(start..end).unwrap_or_default();
                put_number(column, data_type, text).map_err(|bad| fault(bad, text, data_type, start))?;
                Ok(end)
            }
        }
    }

    /// Adds the text of any value.
    fn put_json(self, column: &mut FieldColumn) -> Result<usize, Option<Box<Fault>>> {
        let end = scan::value(self.record, self.start, self.open).ok_or(None)?;
        if self.open.deepest + self.level > DEPTH {
            return Err(Fault::of(self.start, Reason::Depth { limit: DEPTH }));
        }
        column.push_bytes(self.record.get(self.start..end).unwrap_or_default());
        Ok(end)
    }

    /// Adds a list. An element is not nested, so this is as deep as it gets.
    #[inline(never)]
    fn put_list(self, element: &Element, column: &mut FieldColumn) -> Result<usize, Option<Box<Fault>>> {
        let Value { record, start, level, open, text, .. } = self;
        let (data_type, nullable, level) = (element.data_type(), element.is_nullable(), level + 1);
        let elements = column.elements_mut().ok_or_else(|| Fault::of(start, Reason::Table))?;
        let mut count = 0;
        let end = scan::array(record, start, |start| {
            let element = Value { record, start, data_type, nullable, level, open: &mut *open, text: &mut *text };
            let end = element.put(elements).map_err(|fault| Fault::within(fault, &format!("[{count}]")))?;
            count += 1;
            Ok(end)
        })?;
        column.end_list();
        Ok(end)
    }

    /// Adds a struct. Other members of the object are checked for the grammar only, as other fields of the record.
    #[inline(never)]
    fn put_struct(self, members: &Members, column: &mut FieldColumn) -> Result<usize, Option<Box<Fault>>> {
        let Value { record, start, level, open, text, .. } = self;
        let (rows, level) = (column.len(), level + 1);
        let end = scan::object(record, start, |i| {
            let (end, start, escaped) = scan::key(record, i).ok_or(None)?;
            let number = if escaped {
                text.clear();
                unescape(record.get(i..=end).unwrap_or_default(), text).map_err(|_| None)?;
                position(members, text)
            } else {
                position(members, record.get(i + 1..end).unwrap_or_default())
            };
            let found = number.and_then(|number| Some((members.fields().get(number)?, column.member_mut(number)?)));
            let Some((field, member)) = found else {
                return scan::value(record, start, open).ok_or(None);
            };
            let within = |fault| Fault::within(fault, &format!(".{}", field.name));
            if member.len() > rows {
                return Err(within(Fault::of(start, Reason::Twice)));
            }
            let (data_type, nullable) = (&field.data_type, field.nullable);
            Value { record, start, data_type, nullable, level, open: &mut *open, text: &mut *text }
                .put(member)
                .map_err(within)
        })?;
        for (number, field) in members.fields().iter().enumerate() {
            let Some(member) = column.member_mut(number).filter(|member| member.len() == rows) else { continue };
            if !field.nullable {
                return Err(Fault::within(Fault::of(end, Reason::Missing), &format!(".{}", field.name)));
            }
            member.push_null();
        }
        column.end_struct();
        Ok(end)
    }
}

fn position(members: &Members, name: &[u8]) -> Option<usize> {
    members.fields().iter().position(|field| field.name.as_bytes() == name)
}

#[cold]
fn fault(bad: Bad, text: &[u8], data_type: &DataType, start: usize) -> Option<Box<Fault>> {
    Fault::of(start, bad.reason(text, data_type))
}

/// The fault of a value whose first byte begins another type. `None`, if the byte begins no value.
#[cold]
fn wrong_kind(first: u8, expected: &DataType, start: usize) -> Option<Box<Fault>> {
    let found = match first {
        b'"' => "a string",
        b'[' => "an array",
        b'{' => "an object",
        b't' => "true",
        b'f' => "false",
        b'-' | b'0'..=b'9' => "a number",
        _ => return None,
    };
    Fault::of(start, Reason::Kind { found, expected: expected.clone() })
}
