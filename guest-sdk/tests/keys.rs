//! Composite keys are those of the contract, which has examples in `wit/keys.json`; and a lane knows its edge.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "only tests call it")]

use sage_guest::{Error, Record, key, testing};
use serde_json::{Value, json};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../wit/keys.json")).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_composite_key_is_that_of_the_contract_and_is_read_back() {
    for vector in vectors()["composite"].as_array().unwrap() {
        let parts: Vec<Vec<u8>> = vector["parts"].as_array().unwrap().iter().map(bytes).collect();
        assert_eq!(key::composite(&parts), bytes(&vector["key"]), "{vector}");
        assert_eq!(key::parts(&bytes(&vector["key"])).unwrap(), parts, "{vector}");
    }
    assert_eq!(key::parts(b"").unwrap(), Vec::<&[u8]>::new());
}

#[test]
fn bytes_that_are_no_composite_key_are_refused() {
    for broken in vectors()["broken"].as_array().unwrap() {
        let error = key::parts(&bytes(broken)).unwrap_err();
        assert_eq!(error.message(), "the key is no composite key", "{broken}");
    }
}

mod by_field {
    use super::*;

    #[derive(Record)]
    pub(super) struct Reading<'a> {
        sensor: &'a str,
    }

    #[derive(Record)]
    pub(super) struct Tagged<'a> {
        edge: &'a str,
        sensor: &'a str,
    }

    #[sage_guest::map]
    pub(super) fn tagged(reading: Reading) -> Result<Tagged, Error> {
        let edge = sage_guest::edge().ok_or("no edge")?;
        Ok(Tagged { edge, sensor: reading.sensor })
    }
}

mod with_state {
    use sage_guest::state::Tables;
    use sage_guest::{Context, Emitter};

    use super::*;

    #[derive(Debug)]
    pub(super) struct Told;

    #[sage_guest::process]
    impl Told {
        fn open(_: &Context, _: &mut Tables) -> Result<Self, Error> {
            assert_eq!(sage_guest::edge(), None);
            Ok(Self)
        }

        fn process(&mut self, text: &str, out: &mut Emitter) -> Result<(), Error> {
            out.emit(format!("{:?} {text}", sage_guest::edge()))
        }

        fn end(&mut self, out: &mut Emitter) -> Result<(), Error> {
            out.emit(format!("{:?} end", sage_guest::edge()))
        }
    }
}

#[test]
fn a_lane_by_field_learns_the_edge_of_each_call() {
    let mut lane = testing::FieldsMap::<by_field::tagged>::open(json!({})).unwrap();
    for edge in ["left", "right", "left"] {
        lane.on_edge(edge);
        let expected = format!(r#"{{"edge":"{edge}","sensor":"a"}}"#);
        assert_eq!(lane.run([r#"{"sensor":"a"}"#]).texts(), [expected]);
    }
    lane.on_edge(None);
    assert_eq!(lane.run([r#"{"sensor":"a"}"#]).messages(), ["no edge"]);
}

#[test]
fn a_process_learns_the_edge_of_its_batches_and_none_at_the_end() {
    let mut lane = testing::Process::<with_state::Told>::open(json!({})).unwrap();
    assert_eq!(lane.run(["a"]).texts(), ["None a"]);
    lane.on_edge("left");
    assert_eq!(lane.run(["b", "c"]).texts(), ["Some(\"left\") b", "Some(\"left\") c"]);
    assert_eq!(lane.end().texts(), ["None end"]);
    assert_eq!(lane.run(["d"]).texts(), ["Some(\"left\") d"]);
}
