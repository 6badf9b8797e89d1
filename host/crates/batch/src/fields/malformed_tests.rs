//! Each rule of a table from a guest, broken.

use super::table_tests::{Value, built, input_of, list_of, schema_of, struct_of};
use super::*;

fn refusal(types: &[(DataType, bool)], rows: usize, fields: &[RawField<'_>], input: Option<&Table>) -> String {
    refusal_inside(types, rows, (fields, &[]), input)
}

fn refusal_inside(
    types: &[(DataType, bool)],
    rows: usize,
    (fields, children): (&[RawField<'_>], &[RawField<'_>]),
    input: Option<&Table>,
) -> String {
    let mut table = Table::default();
    let raw = RawTable { fields: fields.to_vec(), children: children.to_vec() };
    let error = table.assign(&schema_of(types), rows, &raw, input.map(input_of), &mut Vec::new()).unwrap_err();
    assert!(table.is_empty() && table.fields().iter().all(FieldColumn::is_empty));
    error.to_string()
}

#[test]
fn a_malformed_field_is_refused_with_the_rule_it_breaks() {
    const DECIMAL: DataType = DataType::Decimal { precision: 2, scale: 0 };
    let raw = |values| RawField { values, validity: None };
    let valid = |values, validity| RawField { values, validity: Some(validity) };
    let two: &[f64] = &[1.0, 2.0];
    let cases: [((DataType, bool), RawField<'_>, &str); 15] = [
        ((DataType::S64, false), raw(RawValues::F64(two)), "f64 values, its type is stored as s64"),
        ((DataType::F64, false), raw(RawValues::F64(&[1.0])), "1 values in a table of 2 rows"),
        ((DataType::F64, false), valid(RawValues::F64(two), &[3]), "a validity bitmap, but the field is not nullable"),
        ((DataType::F64, true), valid(RawValues::F64(two), &[]), "validity: a bitmap of 0 bytes, 1 are needed"),
        ((DataType::F64, true), valid(RawValues::F64(two), &[7]), "validity: a bit is set past record 2"),
        ((DataType::Bool, false), raw(RawValues::Bools(&[4])), "values: a bit is set past record 2"),
        ((DataType::Bool, false), raw(RawValues::Bools(&[1, 1])), "values: a bitmap of 2 bytes, 1 are needed"),
        ((DataType::String, false), raw(RawValues::Strings(&[0, 2, 1], b"a")), "values: offset 2 is 1, below 2"),
        ((DataType::String, false), raw(RawValues::Strings(&[], b"a")), "values: no offsets"),
        ((DataType::String, false), raw(RawValues::Strings(&[0, 1, 2], b"a\xff")), "values: entry 1 is not UTF-8"),
        ((DataType::Json, false), raw(RawValues::Strings(&[0, 1, 2], "é".as_bytes())), "values: entry 0 is not UTF-8"),
        ((DECIMAL, false), raw(RawValues::Decimals(&[1, 0, 100, 0])), "row 1 is 100 without its point, which has more"),
        (
            (DECIMAL, false),
            raw(RawValues::Decimals(&[u64::MAX - 98, u64::MAX, u64::MAX - 99, u64::MAX])),
            "row 1 is -100 without its point",
        ),
        ((DECIMAL, false), raw(RawValues::Decimals(&[1, 0, 1])), "3 words of decimals, each decimal has two"),
        ((DECIMAL, false), raw(RawValues::Same(0)), "`same`, but there is no input table"),
    ];
    for (field, raw, expected) in cases {
        let found = refusal(&[field], 2, &[raw], None);
        assert!(found.starts_with(&format!("field \"f0\": {expected}")), "{found}");
    }
    assert_eq!(refusal(&[(DataType::F64, false)], 2, &[], None), "a table of 0 fields, the schema has 1");
}

#[test]
fn a_list_or_a_struct_that_is_malformed_inside_is_refused_with_the_rule_it_breaks() {
    let list = list_of(DataType::F64, false);
    let place = struct_of(&[DataType::Bool, DataType::String]);
    let raw = |values| RawField { values, validity: None };
    let floats = raw(RawValues::F64(&[1.0, 2.0, 3.0]));
    let lists = |offsets| raw(RawValues::Lists(offsets, 0));
    let members = |numbers| raw(RawValues::Structs(numbers));
    let (bools, texts) = (raw(RawValues::Bools(&[1])), raw(RawValues::Strings(&[0, 0, 1], b"a")));
    let cases: [(&DataType, RawField<'_>, &[RawField<'_>], &str); 22] = [
        (&list, lists(&[]), &[floats], "field \"f0\": values: no offsets"),
        (&list, lists(&[1, 1, 3]), &[floats], "field \"f0\": values: offsets start at 1"),
        (&list, lists(&[0, 3, 1]), &[floats], "field \"f0\": values: offset 2 is 1, below 3"),
        (&list, lists(&[0, 3]), &[floats], "field \"f0\": 1 values in a table of 2 rows"),
        (&list, lists(&[0, 1, 2]), &[floats], "field \"f0[]\": 3 values in a table of 2 rows"),
        (&list, lists(&[0, 1, 9]), &[floats], "field \"f0[]\": 3 values in a table of 9 rows"),
        (&list, lists(&[0, 1, 3]), &[], "field \"f0\": child 0 is named, the table has 0"),
        (&list, lists(&[0, 1, 3]), &[floats, floats], "child 1 is in no list and in no struct"),
        (&list, lists(&[0, 1, 2]), &[texts], "field \"f0[]\": strings values, its type is stored as f64"),
        (&list, lists(&[0, 1, 2]), &[raw(RawValues::Same(0))], "field \"f0[]\": `same` inside of a list or a struct"),
        (&list, lists(&[0, 1, 2]), &[lists(&[0, 0, 0])], "field \"f0[]\": lists values, its type is stored as f64"),
        (
            &list,
            lists(&[0, 1, 3]),
            &[RawField { validity: Some(&[7]), ..floats }],
            "field \"f0[]\": a validity bitmap, but the field is not nullable",
        ),
        (&list, floats, &[], "field \"f0\": f64 values, its type is stored as lists"),
        (&DataType::F64, lists(&[0, 1, 3]), &[floats], "field \"f0\": lists values, its type is stored as f64"),
        (&place, members(&[0]), &[bools], "field \"f0\": a struct of 1 members, its type has 2"),
        (&place, members(&[0, 1, 2]), &[bools, texts, texts], "field \"f0\": a struct of 3 members, its type has 2"),
        (&place, members(&[0, 0]), &[bools], "field \"f0.m1\": child 0 is named twice"),
        (&place, members(&[0, 7]), &[bools, texts], "field \"f0.m1\": child 7 is named, the table has 2"),
        (&place, members(&[0, 1]), &[bools, texts, texts], "child 2 is in no list and in no struct"),
        (&place, members(&[1, 0]), &[bools, texts], "field \"f0.m0\": strings values, its type is stored as bools"),
        (
            &place,
            members(&[0, 1]),
            &[bools, raw(RawValues::Strings(&[0, 1], b"a"))],
            "field \"f0.m1\": 1 values in a table of 2 rows",
        ),
        (
            &place,
            members(&[0, 1]),
            &[bools, raw(RawValues::Strings(&[0, 0, 1], b"\xff"))],
            "field \"f0.m1\": values: entry 1 is not UTF-8",
        ),
    ];
    for (data_type, field, children, expected) in cases {
        let found = refusal_inside(&[(data_type.clone(), false)], 2, (&[field], children), None);
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
    let twice = [(list.clone(), false), (list, false)];
    let found = refusal_inside(&twice, 2, (&[lists(&[0, 1, 3]), lists(&[0, 1, 3])], &[floats]), None);
    assert_eq!(found, "field \"f1\": child 0 is named twice");
}

#[test]
fn same_is_refused_where_the_field_of_the_input_does_not_fit() {
    let types = [(DataType::S32, false), (DataType::F64, true)];
    let input = built(&schema_of(&types), &[vec![Some(Value::Signed(1)), None]]);
    let same = |at| RawField { values: RawValues::Same(at), validity: None };
    let cases = [
        ((DataType::S32, false), 1, same(2), "`same` of field 2, the input has 2"),
        ((DataType::Date, false), 1, same(0), "`same` of field \"f0\", which is s32, not date"),
        ((DataType::F64, false), 1, same(1), "`same` of field \"f1\", which has nulls; this field is not nullable"),
        ((DataType::S32, false), 2, same(0), "`same` in a table of 2 rows, the input has 1"),
        (
            (DataType::F64, true),
            1,
            RawField { validity: Some(&[1]), ..same(1) },
            "`same` with a validity bitmap of its own",
        ),
    ];
    for (field, rows, raw, expected) in cases {
        assert_eq!(refusal(&[field], rows, &[raw], Some(&input)), format!("field \"f0\": {expected}"));
    }
}
