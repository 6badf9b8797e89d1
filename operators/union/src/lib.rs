//! `union`: brings readings of several inputs together, each with the name of its input. Shows an operator that learns
//! the edge of its records.

use sage_guest::{Error, Record};

/// A reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// A reading with its site.
#[derive(Debug, Record)]
pub struct Placed<'a> {
    /// Name of the input that the reading came from.
    pub site: &'a str,
    /// Name of the sensor.
    pub sensor: &'a str,
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// Adds the name of the input to each reading. A reading of an input without a name is rejected.
#[sage_guest::map]
pub fn union(reading: Reading) -> Result<Placed, Error> {
    let site = sage_guest::edge().ok_or("the input has no name: write inputs = { roof = \"…\" }")?;
    Ok(Placed { site, sensor: reading.sensor, celsius: reading.celsius })
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::union;

    #[test]
    fn a_reading_has_the_name_of_the_input_it_came_from() {
        let mut lane = testing::FieldsMap::<union>::open(json!({})).unwrap();
        lane.on_edge("roof");
        assert_eq!(
            lane.run([r#"{"sensor":"a","celsius":20}"#]).texts(),
            [r#"{"site":"roof","sensor":"a","celsius":20.0}"#]
        );
        lane.on_edge(None);
        let outcome = lane.run([r#"{"sensor":"a","celsius":20}"#]);
        assert_eq!(outcome.messages(), ["the input has no name: write inputs = { roof = \"…\" }"]);
    }
}
