//! The examples of `wit/values.json`, which the SDK's tests read too.

use std::sync::Arc;

use sage_batch::fields::Table;
use serde_json::Value;

use super::{JsonReader, JsonWriter};
use crate::test_schema::schema;

#[test]
fn values_are_read_printed_and_refused_as_in_the_examples_of_the_contract() {
    let examples: Value = serde_json::from_str(include_str!("../../../../../wit/values.json")).unwrap();
    let cases = |which: &str| examples[which].as_array().unwrap().clone();
    for case in cases("read").iter().chain(&cases("refused")) {
        let fields = schema(&[("x", case["type"].as_str().unwrap())]);
        let record = format!("{{\"x\":{}}}", case["json"].as_str().unwrap());
        let mut table = Table::new(Arc::clone(&fields));
        let read = JsonReader::new(&fields).read(record.as_bytes(), &mut table);
        match case["printed"].as_str() {
            Some(printed) => {
                read.unwrap();
                let mut out = Vec::new();
                JsonWriter::new(&fields).write_row(&table, 0, &mut out).unwrap();
                assert_eq!(String::from_utf8(out).unwrap().trim_end(), format!("{{\"x\":{printed}}}"), "{case}");
            }
            None => {
                let message = read.unwrap_err().to_string();
                assert_eq!(message.split(" (line").next(), case["message"].as_str(), "{case}");
            }
        }
    }
}
