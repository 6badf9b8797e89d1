use sage_batch::fields::{DataType, FieldColumn, Table, Values};

use super::write_value::Printer;
use crate::error::FieldError;

/// The rows of a table that cannot be printed as JSON, in rising order, each with the first reason. Columns without
/// rows are passed over.
#[must_use]
pub fn unprintable(table: &Table) -> Vec<(usize, FieldError)> {
    let mut found: Vec<(usize, FieldError)> = Vec::new();
    let (mut printer, mut text) = (Printer::default(), Vec::new());
    for (column, field) in table.fields().iter().zip(table.schema().fields()) {
        if column.len() != table.len() || is_printable(column, &field.data_type) {
            continue;
        }
        for row in 0..table.len() {
            text.clear();
            if let Err(fault) = printer.put(column, row, &field.data_type, &mut text)
                && let Err(at) = found.binary_search_by_key(&row, |(row, _)| *row)
            {
                found.insert(at, (row, fault.of_field(&field.name)));
            }
        }
    }
    found
}

/// Whether every value of a column can be printed, as far as one look at each number tells.
fn is_printable(column: &FieldColumn, data_type: &DataType) -> bool {
    match column.values() {
        Values::F32(values) => values.iter().fold(true, |all, value| all & value.is_finite()),
        Values::F64(values) => values.iter().fold(true, |all, value| all & value.is_finite()),
        Values::S64(values) if *data_type == DataType::Timestamp => {
            values.iter().fold(true, |all, value| all & (-CENTURY_MICROS..CENTURY_MICROS).contains(value))
        }
        Values::S32(values) if *data_type == DataType::Date => {
            values.iter().fold(true, |all, value| all & (-CENTURY_DAYS..CENTURY_DAYS).contains(value))
        }
        _ => match data_type {
            DataType::List(element) => {
                column.inside().iter().all(|elements| is_printable(elements, element.data_type()))
            }
            DataType::Struct(members) => {
                let mut pairs = column.inside().iter().zip(members.fields());
                pairs.all(|(member, field)| is_printable(member, &field.data_type))
            }
            other => *other != DataType::Json,
        },
    }
}

/// About 100 years around 1970, within the years that can be printed.
const CENTURY_DAYS: i32 = 36_500;
const CENTURY_MICROS: i64 = 36_500 * 86_400 * 1_000_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sage_batch::fields::{Element, FieldType, Schema};

    use super::*;

    #[test]
    fn rows_that_json_cannot_express_are_found_with_the_reason() {
        let field =
            |name: &str, data_type| FieldType { name: name.to_owned(), data_type, nullable: true, docs: String::new() };
        let fields = vec![
            field("x", DataType::F64),
            field("at", DataType::Timestamp),
            field("day", DataType::Date),
            field("more", DataType::Json),
            field("list", Element::new(DataType::F32, true).unwrap().into()),
        ];
        let mut table = Table::new(Arc::new(Schema::new(fields).unwrap()));
        let rows = [
            (1.5, 0, 0, "{}"),
            (f64::NAN, 0, 0, "{}"),
            (f64::NEG_INFINITY, i64::MAX, 0, "{}"),
            (0.0, i64::MAX, 0, "{}"),
            (0.0, 0, i32::MIN, "{}"),
            (0.0, -CENTURY_MICROS - 1, CENTURY_DAYS, "[1]"),
            (0.0, 0, 0, "{"),
            (0.0, 0, 7, "1"),
        ];
        for (x, at, day, more) in rows {
            table.field_mut(0).unwrap().push_f64(x);
            table.field_mut(1).unwrap().push_s64(at);
            table.field_mut(2).unwrap().push_s32(day);
            table.field_mut(3).unwrap().push_str(more);
            let list = table.field_mut(4).unwrap();
            list.elements_mut().unwrap().push_null();
            list.elements_mut().unwrap().push_f32(if day == 7 { f32::INFINITY } else { 0.5 });
            list.end_list();
            assert!(table.finish_row());
        }
        table.fields().iter().for_each(|column| assert_eq!(column.len(), rows.len()));
        (0..5).for_each(|at| table.field_mut(at).unwrap().push_null());
        assert!(table.finish_row());
        let found: Vec<String> =
            unprintable(&table).into_iter().map(|(row, error)| format!("{row}: {error}")).collect();
        assert_eq!(
            found,
            [
                "1: field \"x\" is NaN, which JSON cannot express",
                "2: field \"x\" is -inf, which JSON cannot express",
                "3: field \"at\" is a timestamp outside the years 0000 to 9999",
                "4: field \"day\" is a date outside the years 0000 to 9999",
                "6: field \"more\" is not JSON",
                "7: field \"list[1]\" is inf, which JSON cannot express",
            ]
        );
    }
}
