//! Operators whose records have lists and structs, as a host runs them.
#![allow(missing_docs)]

use std::borrow::Cow;

use sage_guest::fields::{Date, Decimal, List, Timestamp};
use sage_guest::{Error, Record, testing};
use serde_json::{Value, json};

/// Every type as a member.
#[derive(Record)]
struct Members<'a> {
    yes: bool,
    int: i32,
    /// A float.
    float: f64,
    at: Option<Timestamp>,
    price: Decimal<9, 2>,
    name: &'a str,
    owned: Option<String>,
    #[record(json, rename = "Deep")]
    deep: Option<&'a str>,
}

/// Lists of every type.
#[derive(Record)]
#[record(extends)]
struct Lists<'a> {
    bools: Vec<bool>,
    bytes: List<'a, u8>,
    shorts: &'a [i16],
    floats: Vec<f64>,
    maybe: Vec<Option<u32>>,
    names: List<'a, &'a str>,
    owned: Vec<String>,
    cows: Vec<Cow<'a, str>>,
    perhaps: Option<List<'a, Option<&'a str>>>,
    days: Option<Vec<Date>>,
    prices: Vec<Decimal<4, 1>>,
    #[record(nested)]
    place: Members<'a>,
    #[record(nested)]
    other: Option<Members<'a>>,
}

#[sage_guest::map]
fn everything(lists: Lists<'_>) -> Result<Lists<'_>, Error> {
    if lists.shorts.contains(&13) {
        return Err("thirteen".into());
    }
    Ok(lists)
}

fn record(seed: usize) -> Value {
    let names: Vec<String> = (0..seed % 5).map(|at| "é".repeat(at)).collect();
    let place = json!({
        "yes": seed.is_multiple_of(2), "int": seed, "float": -0.5, "at": seed.is_multiple_of(3).then_some("2013-01-01T00:00:00Z"),
        "price": 1.25, "name": names.concat(), "owned": seed.is_multiple_of(4).then_some("own"),
        "Deep": if seed.is_multiple_of(5) { json!(null) } else { json!([{ "a": [] }]) }
    });
    json!({
        "more": [seed],
        "bools": vec![seed.is_multiple_of(2); seed % 11],
        "bytes": vec![seed % 256; seed % 3],
        "shorts": (0..seed % 4).map(|at| at as i64 - 2).collect::<Vec<_>>(),
        "floats": (0..seed % 70).map(|at| at as f64 + 0.5).collect::<Vec<_>>(),
        "maybe": (0..seed % 9).map(|at| (at % 2 == 1).then_some(at)).collect::<Vec<_>>(),
        "names": names,
        "owned": names,
        "cows": names,
        "perhaps": (!seed.is_multiple_of(6)).then(|| [None, Some("x"), None].into_iter().take(seed % 4).collect::<Vec<_>>()),
        "days": (!seed.is_multiple_of(7)).then(|| vec!["2013-01-31"; seed % 3]),
        "prices": vec![12.5; seed % 2],
        "place": place,
        "other": if seed % 3 == 1 { Value::Null } else { place.clone() }
    })
}

#[test]
fn lists_and_structs_come_back_as_they_went() {
    let mut lane = testing::FieldsMap::<everything>::open(json!({})).unwrap();
    for rows in [0, 1, 8, 31, 32, 33, 100] {
        let records: Vec<String> = (0..rows).map(|row| record(row).to_string()).collect();
        let outcome = lane.run(&records);
        assert_eq!(outcome.messages(), [""; 0]);
        assert_eq!(outcome.texts(), records, "{rows} rows");
    }
}

#[test]
fn a_rejected_record_leaves_no_element_behind() {
    let mut lane = testing::FieldsMap::<everything>::open(json!({})).unwrap();
    let records: Vec<Value> = (0..70).map(record).collect();
    let mut changed = records.clone();
    for row in [0, 1, 30, 31, 32, 69] {
        changed[row]["shorts"] = json!([1, 13]);
    }
    let outcome = lane.run(changed.iter().map(Value::to_string));
    assert_eq!(outcome.messages(), ["thirteen"; 6]);
    let kept: Vec<String> =
        changed.iter().filter(|record| record["shorts"] != json!([1, 13])).map(Value::to_string).collect();
    assert_eq!(outcome.texts(), kept);
}

#[test]
fn a_value_inside_that_does_not_fit_rejects_its_record_with_its_place() {
    let mut lane = testing::FieldsMap::<everything>::open(json!({})).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut record = record(18);
        *record.pointer_mut(pointer).unwrap() = value;
        record.to_string()
    };
    let outcome = lane.run([
        with("/bytes", json!([1, 256])),
        with("/names", json!(["a", null])),
        with("/maybe", json!([1, null, -1])),
        with("/floats", json!({})),
        with("/place", json!({})),
        with("/place", json!([1])),
        with("/place/name", json!(1)),
        with("/other/int", json!(null)),
    ]);
    assert_eq!(
        outcome.messages(),
        [
            r#"field "bytes[1]" is 256, which is out of the range of u8"#,
            r#"field "names[1]" is null"#,
            r#"field "maybe[2]" is -1, which is out of the range of u32"#,
            r#"field "floats" is an object, not list<f64>"#,
            r#"field "place.yes" is missing"#,
            r#"field "place" is an array, not struct"#,
            r#"field "place.name" is a number, not string"#,
            r#"field "other.int" is null"#,
        ]
    );
}

#[test]
fn the_description_has_elements_and_members() {
    let gives = testing::description::<everything>()["gives"].clone();
    let types: Vec<&str> = gives.as_array().unwrap().iter().map(|field| field["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "list<bool>",
            "list<u8>",
            "list<s16>",
            "list<f64>",
            "list<u32?>",
            "list<string>",
            "list<string>",
            "list<string>",
            "list<string?>",
            "list<date>",
            "list<decimal(4, 1)>",
            "struct",
            "struct"
        ]
    );
    assert_eq!(
        (&gives[8]["nullable"], &gives[11]["nullable"], &gives[12]["nullable"]),
        (&json!(true), &json!(false), &json!(true))
    );
    let members = &gives[11]["fields"];
    assert_eq!(members[2], json!({ "name": "float", "type": "f64", "nullable": false, "docs": "A float." }));
    assert_eq!(members[7], json!({ "name": "Deep", "type": "json", "nullable": true, "docs": "" }));
    assert!(gives[0].get("fields").is_none());
}

#[derive(Record)]
struct Order<'a> {
    items: List<'a, &'a str>,
    prices: &'a [f64],
}

#[derive(Record)]
struct Line {
    item: String,
    rest: Vec<f64>,
    #[record(nested)]
    first: Option<Price>,
}

#[derive(Record)]
struct Price {
    value: f64,
    note: Option<String>,
}

#[sage_guest::flat_map]
fn lines(order: Order) -> Result<Vec<Line>, Error> {
    if order.items.get(0) == Some("bad") {
        return Err("a bad order".into());
    }
    let line = |(at, item): (usize, &str)| Line {
        item: item.to_owned(),
        rest: order.prices.iter().skip(at).copied().collect(),
        first: order.prices.get(at).map(|&value| Price { value, note: (at % 2 == 1).then(|| item.to_uppercase()) }),
    };
    Ok(order.items.iter().enumerate().map(line).collect())
}

#[test]
fn a_flat_map_gives_rows_with_lists_and_structs() {
    let mut lane = testing::FieldsFlatMap::<lines>::open(json!({})).unwrap();
    let order = r#"{"items":["a","b","c"],"prices":[1,2.5]}"#;
    let outcome = lane.run([order, r#"{"items":["bad"],"prices":[]}"#, r#"{"items":[],"prices":[1]}"#]);
    let expected: [&str; 3] = [
        r#"{"item":"a","rest":[1.0,2.5],"first":{"value":1.0,"note":null}}"#,
        r#"{"item":"b","rest":[2.5],"first":{"value":2.5,"note":"B"}}"#,
        r#"{"item":"c","rest":[],"first":null}"#,
    ];
    assert_eq!(outcome.texts(), expected);
    assert_eq!(outcome.messages(), ["a bad order"]);
    // More rows than go to the host at once.
    let outcome = lane.run(vec![order; 3000]);
    assert_eq!(outcome.texts(), expected.repeat(3000));
}

#[derive(Record)]
struct Tagged<'a> {
    tags: Vec<Option<&'a str>>,
    #[record(nested)]
    place: Option<Spot>,
}

#[derive(Record)]
struct Spot {
    lat: Option<f64>,
}

#[sage_guest::filter]
fn urgent(tagged: Tagged) -> bool {
    tagged.tags.contains(&Some("urgent")) && tagged.place.is_some_and(|place| place.lat.is_none_or(|lat| lat > 0.0))
}

#[test]
fn a_filter_reads_lists_and_structs() {
    let mut lane = testing::FieldsFilter::<urgent>::open(json!({})).unwrap();
    let records = [
        r#"{"tags":["urgent"],"place":{"lat":1}}"#,
        r#"{"tags":["urgent",null],"place":{"more":1}}"#,
        r#"{"tags":["urgent"],"place":{"lat":-1}}"#,
        r#"{"tags":["urgent"]}"#,
        r#"{"tags":[null],"place":{"lat":1}}"#,
    ];
    assert_eq!(lane.run(records.repeat(20)).texts(), records[..2].repeat(20));
}

#[test]
fn a_list_shows_its_elements() {
    #[derive(Record)]
    struct Names<'a> {
        names: List<'a, &'a str>,
    }
    #[derive(Record)]
    struct Shown {
        shown: String,
        length: u32,
    }
    #[sage_guest::map]
    fn show(record: Names) -> Shown {
        let copy = record.names;
        assert!(copy.is_empty() == copy.get(0).is_none() && copy.get(copy.len()).is_none());
        Shown { shown: format!("{copy:?}"), length: copy.iter().len() as u32 }
    }
    let mut lane = testing::FieldsMap::<show>::open(json!({})).unwrap();
    let outcome = lane.run([r#"{"names":["a","b"]}"#, r#"{"names":[]}"#]);
    assert_eq!(outcome.texts(), [r#"{"shown":"[\"a\", \"b\"]","length":2}"#, r#"{"shown":"[]","length":0}"#]);
}
