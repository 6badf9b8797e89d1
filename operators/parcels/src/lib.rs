//! `parcels`: labels and weighs parcels. Shows lists and a struct in records by field: a list is read in place, as a
//! `List` or as a slice of numbers, and given as a `Vec`; a struct is a record of its own.

use sage_guest::fields::List;
use sage_guest::{Error, Record};

/// A point on the globe.
#[derive(Record)]
pub struct Place {
    /// Degrees north of the equator.
    pub lat: f64,
    /// Degrees east of Greenwich.
    pub lon: f64,
}

/// An input parcel. Its lists are read in place, without a copy.
#[derive(Record)]
pub struct Parcel<'a> {
    /// Marks, such as `fragile`.
    pub tags: List<'a, &'a str>,
    /// Weights of the pieces in kilograms.
    pub weights: &'a [f64],
    /// Destination, if there is one.
    #[record(nested)]
    pub place: Option<Place>,
}

/// The fields that an output parcel has besides those of the input.
#[derive(Record)]
#[record(extends)]
pub struct Labelled {
    /// Marks in capital letters.
    pub labels: Vec<String>,
    /// Sum of the weights.
    pub total: f64,
    /// Antipode of the destination.
    #[record(nested)]
    pub opposite: Option<Place>,
}

/// Labels a parcel. A parcel without pieces is rejected.
#[sage_guest::map]
pub fn parcels(parcel: Parcel) -> Result<Labelled, Error> {
    if parcel.weights.is_empty() {
        return Err("a parcel has at least one piece".into());
    }
    let opposite = parcel.place.map(|Place { lat, lon }| Place { lat: -lat, lon: lon - 180.0 });
    Ok(Labelled {
        labels: parcel.tags.iter().map(str::to_uppercase).collect(),
        total: parcel.weights.iter().sum(),
        opposite,
    })
}

#[cfg(test)]
mod tests {
    use sage_guest::testing::FieldsMap;
    use serde_json::json;

    use super::parcels;

    #[test]
    fn a_parcel_is_labelled_and_weighed() {
        let mut lane = FieldsMap::<parcels>::open(json!({})).unwrap();
        let outcome = lane.run([
            r#"{"tags":["fragile","urgent"],"weights":[1.5,2],"place":{"lat":48.5,"lon":11.5}}"#,
            r#"{"tags":[],"weights":[1],"place":null}"#,
            r#"{"tags":[],"weights":[]}"#,
            r#"{"tags":[],"weights":[1,"2"]}"#,
        ]);
        assert_eq!(
            outcome.texts(),
            [
                r#"{"tags":["fragile","urgent"],"weights":[1.5,2],"place":{"lat":48.5,"lon":11.5},"labels":["FRAGILE","URGENT"],"total":3.5,"opposite":{"lat":-48.5,"lon":-168.5}}"#,
                r#"{"tags":[],"weights":[1],"place":null,"labels":[],"total":1.0,"opposite":null}"#,
            ]
        );
        assert_eq!(
            outcome.messages(),
            ["a parcel has at least one piece", r#"field "weights[1]" is a string, not f64"#]
        );
    }
}
