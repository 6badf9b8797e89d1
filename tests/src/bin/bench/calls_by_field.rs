use std::sync::Arc;

use sage_batch::fields::{DataType, FieldColumn, FieldType, Schema, Table};
use sage_batch::{Batch, Origin, Record};
use sage_sandbox::{Carried, Guest, GuestSpec, KeyedState, Loaded, Sandbox, SandboxOptions};

use crate::boundary::spec;
use crate::clock::thread_cpu_time;
use crate::figure::{Effort, Figure, Problem, Target};
use crate::place::Place;

/// Rows of a batch. The targets are for the second.
const ROWS: [usize; 3] = [256, 1024, 4096];

/// A component whose calls are measured.
struct Measured {
    name: &'static str,
    /// A sample operator, or an example of the package `field-costs`.
    component: &'static str,
    config: &'static str,
    /// Names and types of the fields; `?` behind a type makes the field nullable.
    fields: &'static [(&'static str, &'static str)],
    /// The most nanoseconds a record, for batches of 1,024.
    most: Option<f64>,
}

const MEASURED: [Measured; 6] = [
    Measured {
        name: "map by field, two f64",
        component: "examples/two_numbers",
        config: "{}",
        fields: &[("a", "f64"), ("b", "f64")],
        most: Some(2.0),
    },
    Measured {
        name: "the same with a Result",
        component: "examples/two_numbers_checked",
        config: "{}",
        fields: &[("a", "f64"), ("b", "f64")],
        most: Some(4.0),
    },
    Measured {
        name: "map by field, five fields given back",
        component: "examples/five_fields",
        config: "{}",
        fields: &[("id", "s64"), ("x", "f64"), ("y", "f64?"), ("name", "string"), ("note", "string?")],
        most: Some(6.0),
    },
    Measured {
        name: "map by field, text and f64",
        component: "examples/text_and_number",
        config: "{}",
        fields: &[("sensor", "string"), ("fahrenheit", "f64")],
        most: Some(6.0),
    },
    Measured {
        name: "the same with a Result and a rounding",
        component: "celsius",
        config: "{}",
        fields: &[("sensor", "string"), ("fahrenheit", "f64")],
        most: None,
    },
    Measured {
        name: "filter by field, f64",
        component: "hot",
        config: "{\"above\":50.0}",
        fields: &[("celsius", "f64")],
        most: Some(2.0),
    },
];

/// Cost for each record of one call by field. Different components are measured in turns.
pub(crate) fn boundary(place: &Place, effort: Effort) -> Result<Vec<Figure>, Problem> {
    let sandbox = Sandbox::new(SandboxOptions::default())?;
    let load = |measured: &Measured| -> Result<_, Problem> { Ok(sandbox.load(&place.operator(measured.component)?)?) };
    let loaded: Vec<Arc<Loaded>> = MEASURED.iter().map(load).collect::<Result<_, _>>()?;
    let mut figures = Vec::new();
    for rows in ROWS {
        let mut guests = Vec::new();
        for (measured, loaded) in MEASURED.iter().zip(&loaded) {
            guests.push((start(loaded, measured.config)?, batch(rows, measured.fields)?, Vec::new()));
        }
        let calls = (1 << 21) / rows;
        for round in 0..=effort.pick(9, 3) {
            for (guest, batch, found) in &mut guests {
                let spent = turn(calls, rows, || Ok(guest.call(batch).map(|_| ())?))?;
                // The first round lets the memory grow.
                if round > 0 {
                    found.push(spent);
                }
            }
        }
        for (measured, (_, _, found)) in MEASURED.iter().zip(guests) {
            let figure = Figure::of(format!("{} × {rows}", measured.name), "ns/record", found);
            figures.push(match measured.most {
                Some(most) if rows == 1024 => figure.target(Target::AtMost(most)),
                _ => figure,
            });
        }
    }
    Ok(figures)
}

/// Records with these fields.
fn batch(rows: usize, fields: &[(&str, &str)]) -> Result<Batch, Problem> {
    let field = |(name, data_type): &(&str, &str)| -> Result<FieldType, Problem> {
        let data_type: DataType = data_type.trim_end_matches('?').parse()?;
        Ok(FieldType { name: (*name).to_owned(), data_type, nullable: false, docs: String::new() })
    };
    let mut types: Vec<FieldType> = fields.iter().map(field).collect::<Result<_, _>>()?;
    for (field, (_, data_type)) in types.iter_mut().zip(fields) {
        field.nullable = data_type.ends_with('?');
    }
    let (mut batch, mut table) = (Batch::new(), Table::new(Arc::new(Schema::new(types.clone())?)));
    for row in 0..rows {
        // All records have the same shape.
        let _ = batch.push(Record::of(b"", Origin::new(0, row as u64)));
        for (at, field) in types.iter().enumerate() {
            let Some(column) = table.field_mut(at) else { continue };
            // One row in 64 has no value.
            if field.nullable && row % 64 == 7 { column.push_null() } else { push(column, &field.data_type, row) }
        }
        if !table.finish_row() {
            return Err("a row that is not whole".into());
        }
    }
    batch.set_fields(&mut table);
    Ok(batch)
}

fn push(column: &mut FieldColumn, data_type: &DataType, row: usize) {
    match data_type {
        DataType::String => column.push_str(&format!("sensor-{:04}", row % 1000)),
        DataType::S64 => column.push_s64(row as i64),
        _ => column.push_f64(row as f64 % 100.0),
    }
}

fn start(loaded: &Arc<Loaded>, config: &str) -> Result<Guest, Problem> {
    let spec = GuestSpec { config: config.into(), ..spec() };
    let carried = Carried::new(KeyedState::new(Arc::clone(&spec.budget)), None);
    Guest::start(loaded, &spec, carried).map_err(|(failure, _)| failure.into())
}

/// CPU time of this thread for each record, in nanoseconds.
fn turn(calls: usize, rows: usize, mut call: impl FnMut() -> Result<(), Problem>) -> Result<f64, Problem> {
    let before = thread_cpu_time();
    for _ in 0..calls {
        call()?;
    }
    Ok(thread_cpu_time().saturating_sub(before).as_nanos() as f64 / (calls * rows) as f64)
}
