//! A map that gives five fields of different types back as they came.

use sage_guest::Record;

/// A record of five fields, two of them nullable.
#[derive(Debug, Record)]
pub struct Row<'a> {
    /// Integer.
    pub id: i64,
    /// Number.
    pub x: f64,
    /// Number, or none.
    pub y: Option<f64>,
    /// Text.
    pub name: &'a str,
    /// Text, or none.
    pub note: Option<&'a str>,
}

/// Gives the record back.
#[sage_guest::map]
pub fn five_fields(row: Row) -> Row {
    row
}

#[cfg(test)]
#[test]
fn the_record_comes_back() {
    let mut lane = sage_guest::testing::FieldsMap::<five_fields>::open(serde_json::json!({})).unwrap();
    let rows =
        [r#"{"id":1,"x":2.0,"y":null,"name":"a","note":"b"}"#, r#"{"id":2,"x":-0.5,"y":1.0,"name":"","note":null}"#];
    assert_eq!(lane.run(rows).texts(), rows);
}
