//! A map from two numbers to one, in a function that cannot fail.

use sage_guest::Record;

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

/// Computes the area.
#[sage_guest::map]
pub fn two_numbers(sides: Sides) -> Area {
    Area { area: sides.a * sides.b }
}

#[cfg(test)]
#[test]
fn sides_are_multiplied() {
    let mut lane = sage_guest::testing::FieldsMap::<two_numbers>::open(serde_json::json!({})).unwrap();
    assert_eq!(lane.run([r#"{"a":1.5,"b":2}"#]).texts(), [r#"{"area":3.0}"#]);
}
