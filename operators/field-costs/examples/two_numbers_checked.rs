//! A map from two numbers to one, in a function that may reject the record.

use sage_guest::{Error, Record};

/// A rectangle.
#[derive(Debug, Record)]
pub struct Sides {
    /// Width.
    pub a: f64,
    /// Height.
    pub b: f64,
}

/// Its area.
#[derive(Debug, Record)]
pub struct Area {
    /// Area.
    pub area: f64,
}

/// Computes the area. A side below zero rejects the record.
#[sage_guest::map]
pub fn two_numbers_checked(sides: Sides) -> Result<Area, Error> {
    if sides.a < 0.0 || sides.b < 0.0 {
        return Err("a side is below zero".into());
    }
    Ok(Area { area: sides.a * sides.b })
}

#[cfg(test)]
#[test]
fn a_side_below_zero_is_rejected() {
    let mut lane = sage_guest::testing::FieldsMap::<two_numbers_checked>::open(serde_json::json!({})).unwrap();
    let outcome = lane.run([r#"{"a":1.5,"b":2}"#, r#"{"a":1.5,"b":-2}"#]);
    assert_eq!((outcome.texts().len(), outcome.messages()), (1, vec!["a side is below zero"]));
}
