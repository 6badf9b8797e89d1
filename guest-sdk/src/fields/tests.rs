//! Answers as the host receives them.

use super::{FieldOut, Table, Values, table};
use crate::fields::DataType;
use crate::operator::{FieldsMap, FieldsMapLane};
use crate::{Context, Error, Record, host};

#[derive(Record)]
struct Reading<'a> {
    sensor: &'a str,
    place: Option<&'a str>,
    number: i64,
}

#[derive(Record)]
struct Answer<'a> {
    name: &'a str,
    place: Option<&'a str>,
    double: i64,
}

#[crate::map]
fn same(reading: Reading) -> Result<Answer, Error> {
    if reading.number % 7 == 0 {
        return Err("seven".into());
    }
    Ok(Answer { name: reading.sensor, place: reading.place, double: reading.number * 2 })
}

#[crate::map]
fn cut(reading: Reading) -> Result<Answer, Error> {
    let cut = reading.number >= 40;
    Ok(Answer {
        name: if cut { &reading.sensor[1..] } else { reading.sensor },
        place: if cut { None } else { reading.place },
        double: reading.number,
    })
}

/// Runs a batch and returns the answer.
fn answer<O: FieldsMap>(input: &Table) -> Table {
    let mut recorder = host::Recorder::default();
    host::enter(&mut recorder, || {
        let mut lane = FieldsMapLane::<O>::new();
        lane.open(&Context::default()).unwrap();
        lane.call(input);
    });
    assert_eq!(recorder.columns.len(), 1);
    recorder.columns.remove(0)
}

fn readings(rows: i64, place: impl Fn(i64) -> Option<&'static str>) -> Table {
    let names: Vec<String> = (0..rows).map(|row| format!("sensor-{row}")).collect();
    let records = names.iter().zip(0..);
    table(records.map(|(name, number)| Reading { sensor: name, place: place(number), number }))
}

#[test]
fn text_that_comes_back_as_it_went_is_not_copied() {
    for rows in [1, 2, 31, 32, 33, 64, 100] {
        for place in [|_| Some("roof"), |row: i64| (row % 3 == 1).then_some("cellar")] {
            let input = readings(rows, place);
            let answer = answer::<same>(&input);
            assert_eq!(answer.rows, input.rows);
            if rows > 1 {
                assert_eq!(answer.fields[0].values, Values::Same(0), "{rows} rows");
                assert_eq!(answer.fields[1].values, Values::Same(1), "{rows} rows");
            }
            assert_eq!(answer.fields[1].validity, None);
        }
    }
}

#[test]
fn text_that_differs_late_is_copied_from_the_first_row() {
    for place in [|_| Some("roof"), |row: i64| (row % 3 == 1).then_some("cellar")] {
        let input = readings(50, place);
        let answer = answer::<cut>(&input);
        let (Values::Strings(names), Values::Strings(places)) = (&answer.fields[0].values, &answer.fields[1].values)
        else {
            panic!("{:?}", answer.fields)
        };
        assert_eq!((names.len(), places.len()), (50, 50));
        assert_eq!(names.get(39).unwrap(), b"sensor-39");
        assert_eq!(names.get(40).unwrap(), b"ensor-40");
        assert_eq!(places.get(1).unwrap(), place(1).unwrap().as_bytes());
        let validity = answer.fields[1].validity.as_ref().unwrap();
        assert_eq!(validity.len(), 7);
        assert_eq!(validity[0] & 2, 2);
        assert_eq!((validity[5], validity[6]), (0, 0));
    }
}

#[test]
fn a_column_with_nulls_is_no_answer_for_a_field_without() {
    #[derive(Record)]
    struct Place<'a> {
        place: &'a str,
    }

    #[crate::map]
    fn place(reading: Reading) -> Place {
        Place { place: reading.place.unwrap_or("nowhere") }
    }

    let nulls = answer::<place>(&readings(40, |row| (row != 39).then_some("roof")));
    assert!(matches!(nulls.fields[0].values, Values::Strings(_)));
    let none = answer::<place>(&readings(40, |_| Some("roof")));
    assert_eq!(none.fields[0].values, Values::Same(1));
}

#[test]
fn rows_without_any_text_have_a_bitmap() {
    let answer = answer::<same>(&readings(9, |_| None));
    assert_eq!(answer.fields[1].validity, Some(vec![0b1000_0001, 0]), "the rejected rows count as valid");
}

#[test]
fn a_table_with_another_column_is_a_breach_of_the_contract() {
    let mut input = readings(3, |_| None);
    input.fields[2].values = Values::Float64s(vec![0.0; 3]);
    let broken = std::panic::catch_unwind(|| answer::<same>(&input));
    assert!(broken.is_err());
}

#[test]
fn columns_keep_the_rows_that_are_not_taken_back() {
    let field = &super::FieldType { name: "text", data_type: DataType::Text, nullable: false, docs: "" };
    let mut out = super::TextOut::begin(field, 4);
    for (row, text) in ["a", "bc", "def"].into_iter().enumerate() {
        super::IntoField::put(text, &mut out.chunk(0, super::Inputs::NONE), row);
    }
    out.truncate(1);
    super::IntoField::put("x", &mut out.chunk(0, super::Inputs::NONE), 1);
    let Values::Strings(column) = out.finish(2, super::Inputs::NONE, &mut Vec::new()).values else { panic!() };
    assert_eq!(column.bytes, b"ax");
}
