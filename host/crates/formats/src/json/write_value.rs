use sage_batch::fields::{Cell, DataType, FieldColumn};

use super::value::DEPTH;
use crate::error::{FieldError, Reason};
use crate::scan::{self, Open};
use crate::{number, put, time};

/// Prints values as JSON.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    open: Open,
}

/// A value that JSON cannot express.
#[derive(Debug)]
pub(crate) struct Unprintable {
    /// The place within the field: empty, `[3]` or `.lat`.
    inside: String,
    reason: Reason,
}

impl Unprintable {
    #[cold]
    pub(crate) fn of_field(self, name: &str) -> FieldError {
        FieldError::without_place(&format!("{name}{}", self.inside), self.reason)
    }
}

impl Printer {
    /// Appends the value of row `row`. After an error `out` has a part of it.
    #[inline]
    pub(crate) fn put(
        &mut self,
        column: &FieldColumn,
        row: usize,
        data_type: &DataType,
        out: &mut Vec<u8>,
    ) -> Result<(), Unprintable> {
        match column.cell(row).unwrap_or(Cell::Null) {
            cell @ (Cell::List { .. } | Cell::Struct) => self.put_nested(column, row, cell, data_type, out),
            cell => put_scalar(cell, data_type, &mut self.open, out)
                .map_err(|reason| Unprintable { inside: String::new(), reason }),
        }
    }

    /// Appends a list or a struct. Its values are neither, so this is as deep as it gets.
    #[inline(never)]
    fn put_nested(
        &mut self,
        column: &FieldColumn,
        row: usize,
        cell: Cell<'_>,
        data_type: &DataType,
        out: &mut Vec<u8>,
    ) -> Result<(), Unprintable> {
        let open = &mut self.open;
        each_inside(column, row, cell, data_type, out, |column, row, data_type, inside, out| {
            let cell = column.cell(row).unwrap_or(Cell::Null);
            put_scalar(cell, data_type, open, out).map_err(|reason| Unprintable { inside: inside(), reason })
        })
    }

    /// Appends the value of row `row` for people. What JSON cannot express becomes a string, or `null` if it has no
    /// text either.
    pub(crate) fn put_anyhow(&mut self, column: &FieldColumn, row: usize, data_type: &DataType, out: &mut Vec<u8>) {
        let len = out.len();
        let cell = column.cell(row).unwrap_or(Cell::Null);
        let open = &mut self.open;
        let printed = match cell {
            Cell::List { .. } | Cell::Struct => {
                each_inside(column, row, cell, data_type, out, |column, row, data_type, _, out| {
                    put_scalar_anyhow(column.cell(row).unwrap_or(Cell::Null), data_type, open, out);
                    Ok(())
                })
            }
            cell => {
                put_scalar_anyhow(cell, data_type, open, out);
                Ok(())
            }
        };
        if printed.is_err() {
            out.truncate(len);
            out.extend_from_slice(b"null");
        }
    }
}

/// Prints the brackets, the names and the commas of a list or a struct. `put` prints each value inside: its column, its
/// row, its type, and its place for messages.
fn each_inside(
    column: &FieldColumn,
    row: usize,
    cell: Cell<'_>,
    data_type: &DataType,
    out: &mut Vec<u8>,
    mut put: impl FnMut(&FieldColumn, usize, &DataType, &dyn Fn() -> String, &mut Vec<u8>) -> Result<(), Unprintable>,
) -> Result<(), Unprintable> {
    match (cell, data_type) {
        (Cell::List { start, end }, DataType::List(element)) => {
            out.push(b'[');
            for (at, row) in (start..end).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if let Some(elements) = column.inside().first() {
                    put(elements, row, element.data_type(), &|| format!("[{at}]"), out)?;
                }
            }
            out.push(b']');
        }
        (Cell::Struct, DataType::Struct(members)) => {
            out.push(b'{');
            for (at, (column, field)) in column.inside().iter().zip(members.fields()).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                put_string(field.name.as_bytes(), out);
                out.push(b':');
                put(column, row, &field.data_type, &|| format!(".{}", field.name), out)?;
            }
            out.push(b'}');
        }
        _ => return Err(Unprintable { inside: String::new(), reason: Reason::Table }),
    }
    Ok(())
}

fn put_scalar_anyhow(cell: Cell<'_>, data_type: &DataType, open: &mut Open, out: &mut Vec<u8>) {
    let len = out.len();
    if put_scalar(cell, data_type, open, out).is_ok() {
        return;
    }
    out.truncate(len);
    match cell {
        Cell::F32(value) => put_string(value.to_string().as_bytes(), out),
        Cell::F64(value) => put_string(value.to_string().as_bytes(), out),
        Cell::Signed(value) => put_string(value.to_string().as_bytes(), out),
        Cell::Bytes(text) => put_string(String::from_utf8_lossy(text).as_bytes(), out),
        _ => out.extend_from_slice(b"null"),
    }
}

#[inline]
fn put_scalar(cell: Cell<'_>, data_type: &DataType, open: &mut Open, out: &mut Vec<u8>) -> Result<(), Reason> {
    match (cell, data_type) {
        (Cell::Null, _) => out.extend_from_slice(b"null"),
        (Cell::Bool(true), _) => out.extend_from_slice(b"true"),
        (Cell::Bool(false), _) => out.extend_from_slice(b"false"),
        (Cell::Signed(value), DataType::Timestamp | DataType::Date) => {
            out.push(b'"');
            put_time(value, data_type, out)?;
            out.push(b'"');
        }
        (Cell::Signed(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Cell::Unsigned(value), _) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        (Cell::F64(value), _) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        (Cell::F32(value), _) if value.is_finite() => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        }
        (Cell::F64(value), _) => return Err(Reason::NotFinite(not_finite(value))),
        (Cell::F32(value), _) => return Err(Reason::NotFinite(not_finite(value.into()))),
        (Cell::Decimal(value), DataType::Decimal { scale, .. }) => number::print_decimal(value, *scale, out),
        (Cell::Decimal(value), _) => number::print_decimal(value, 0, out),
        (Cell::Bytes(bytes), DataType::Bytes) => {
            out.push(b'"');
            put::print_base64(bytes, out);
            out.push(b'"');
        }
        (Cell::Bytes(text), DataType::Json) => put_json(text, open, out)?,
        (Cell::Bytes(text), _) => put_string(text, out),
        // Printed by `each_inside`.
        (Cell::List { .. } | Cell::Struct, _) => return Err(Reason::Table),
    }
    Ok(())
}

/// Appends a time without quotes.
pub(crate) fn put_time(value: i64, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), Reason> {
    let printed = match data_type {
        DataType::Date => i32::try_from(value).ok().and_then(|days| time::print_date(days, out)),
        _ => time::print_timestamp(value, out),
    };
    printed.ok_or_else(|| Reason::Year(data_type.clone()))
}

/// The name of a number that is not finite.
pub(crate) fn not_finite(value: f64) -> &'static str {
    match value {
        _ if value.is_nan() => "NaN",
        _ if value < 0.0 => "-inf",
        _ => "inf",
    }
}

/// The text of the one value in `text`, without the white space around it.
pub(crate) fn one_value<'a>(text: &'a [u8], open: &mut Open) -> Result<&'a [u8], Reason> {
    let start = scan::space(text, 0);
    let end = scan::value(text, start, open).ok_or(Reason::NotJson)?;
    if scan::space(text, end) != text.len() {
        return Err(Reason::NotJson);
    }
    if open.deepest + 1 > DEPTH {
        return Err(Reason::Depth { limit: DEPTH });
    }
    Ok(text.get(start..end).unwrap_or_default())
}

/// Appends a text of JSON in one line, if it is one value: the text may come from a guest.
pub(crate) fn put_json(text: &[u8], open: &mut Open, out: &mut Vec<u8>) -> Result<(), Reason> {
    // A line end can only be white space, because a string does not contain one.
    let line_end = |byte: u8| matches!(byte, b'\n' | b'\r');
    out.extend(one_value(text, open)?.iter().map(|&byte| if line_end(byte) { b' ' } else { byte }));
    Ok(())
}

/// Appends a string with quotes and escapes. `text` is UTF-8.
#[inline]
pub(super) fn put_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some((plain, special, after)) =
        scan::special(rest, 0).and_then(|at| Some((rest.get(..at)?, *rest.get(at)?, rest.get(at + 1..)?)))
    {
        out.extend_from_slice(plain);
        put_escape(special, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cold]
fn put_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend([byte >> 4, byte & 15].map(|half| HEX.get(usize::from(half)).copied().unwrap_or(b'0')));
            return;
        }
    };
    out.extend([b'\\', short]);
}
