//! Models at the boundary: the checks of a test double, which are those of the host, and the errors that an
//! operator sees.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "only tests call it")]

use std::time::Duration;

use sage_guest::inference::{Bf16, DType, F16, InferenceError, Lease, LeaseEnd, LeaseState, Model, Tensor};
use sage_guest::testing::{self, Answer, Record};
use sage_guest::{Context, Emitter, Error, Records};
use serde_json::json;

/// Doubles each number with a model.
struct Doubled {
    lease: Lease,
    model: Model,
}

#[sage_guest::process]
impl Doubled {
    fn open(_: &Context) -> Result<Self, Error> {
        let lease = Lease::acquire()?;
        let model = lease.open("doubler")?;
        Ok(Self { lease, model })
    }

    fn process_batch(&mut self, numbers: Records<f32>) -> Result<(), Error> {
        assert_eq!(self.lease.share(), 10_000);
        let column: Vec<f32> = numbers.iter().map(|number| number.payload).collect();
        let x = Tensor::new("x", [column.len(), 1], &column)?;
        let answer = self.model.run_within(&[x], Duration::from_secs(1))?;
        let doubled = answer.get("y")?;
        numbers.each(doubled.rows::<f32>()?, |_, row, out| out.emit(format!("{row:?}")))
    }
}

fn doubler() -> testing::Model {
    testing::Model::new("doubler", |inputs| {
        let x = inputs[0].to_slice::<f32>().unwrap();
        if x.len() > 3 {
            let size = x.len() as u64;
            return Err(InferenceError::TooLarge { what: "rows are".to_owned(), size, limit: 3 });
        }
        let doubled: Vec<f32> = x.iter().map(|x| 2.0 * x).collect();
        Ok(Answer::new().with("y", [x.len(), 1], &doubled))
    })
    .input("x", DType::F32, [None, Some(1)])
    .output("y", DType::F32, [None, Some(1)])
}

#[test]
fn a_batch_is_one_run_and_each_record_gets_its_row() {
    let mut lane = testing::Process::<Doubled>::open_with_models(json!({}), [doubler()]).unwrap();
    let outcome = lane.run([Record::new("1").key("a"), Record::new("x").key("b"), Record::new("2.5").key("c")]);
    assert_eq!(outcome.texts(), ["[2.0]", "[5.0]"]);
    assert_eq!(outcome.keys(), ["a", "c"]);
    assert_eq!(outcome.failures[0].record, 1);
}

#[test]
fn an_error_of_the_model_rejects_the_batch_and_the_next_goes_on() {
    let mut lane = testing::Process::<Doubled>::open_with_models(json!({}), [doubler()]).unwrap();
    assert_eq!(lane.run(["1"; 4]).messages(), ["rows are 4, at most 3 may be"; 4]);
    assert_eq!(lane.run(["1"]).texts(), ["[2.0]"]);
}

#[test]
fn without_a_lease_or_the_model_it_does_not_open() {
    let error = testing::Process::<Doubled>::open(json!({})).unwrap_err();
    assert_eq!(error, "no lease on a device: give the operator `num_gpus` in its resources");
    let error = testing::Process::<Doubled>::open_with_models(json!({}), []).unwrap_err();
    assert_eq!(error, r#"there is no model "doubler": declare it as `[model.doubler]`"#);
}

#[test]
fn a_lease_that_ends_while_the_operator_runs_is_an_error_for_each_batch() {
    let mut lane = testing::Process::<Doubled>::open_with_models(json!({}), [doubler()]).unwrap();
    assert_eq!(lane.run(["1"]).texts(), ["[2.0]"]);
    for (state, message) in [
        (LeaseState::Draining, "the lease on the device is being taken away"),
        (LeaseState::Revoked, "the lease on the device was revoked"),
        (LeaseState::Expired, "the lease on the device expired"),
        (LeaseState::DeviceLost, "the device is lost: the test says so"),
    ] {
        lane.set_lease(state);
        assert_eq!(lane.run(["1", "2"]).messages(), [message; 2]);
    }
    lane.set_lease(LeaseState::Held);
    assert_eq!(lane.run(["1"]).texts(), ["[2.0]"]);
}

/// Passes the tensors that the record names, and emits the error.
#[sage_guest::process]
fn misfits(case: &str, out: &mut Emitter) -> Result<(), Error> {
    let model = Lease::acquire()?.open("pair")?;
    let specs: Vec<String> =
        model.inputs().iter().chain(model.outputs()).map(|spec| format!("{} {spec}", spec.name)).collect();
    assert_eq!(specs, ["a f16[?, 2]", "b bool[?]", "y bf16[?]"]);
    let halves = [F16::from_f32(1.0); 4];
    let a = Tensor::new("a", [2, 2], &halves)?;
    let b = Tensor::new("b", [2], &[true, false])?;
    let inputs = match case {
        "fits" => vec![b, a],
        "missing" => vec![a],
        "unknown" => vec![a, b, Tensor::new("c", [], &[1_u8])?],
        "twice" => vec![a.clone(), a, b],
        "type" => vec![Tensor::new("a", [2, 2], &[1.0_f64; 4])?, b],
        "shape" => vec![Tensor::new("a", [4, 1], &halves)?, b],
        "rows" => vec![Tensor::new("a", [1, 2], &halves[..2])?, b],
        _ => return Err("no such case".into()),
    };
    let outputs = model.run(&inputs)?;
    for output in &outputs {
        assert_eq!((output.name(), output.dtype(), output.shape()), ("y", DType::Bf16, &[2][..]));
    }
    out.emit(outputs.get("y")?.to_slice::<Bf16>()?[0].to_f32().to_string())
}

#[test]
fn what_does_not_fit_is_told_as_the_host_tells_it() {
    let pair = testing::Model::new("pair", |inputs| {
        assert_eq!([inputs[0].name(), inputs[1].name()], ["a", "b"], "in the order of the model");
        Ok(Answer::new().with("y", [inputs[0].rows()], &[Bf16::from_f32(1.5); 2]))
    })
    .input("a", DType::F16, [None, Some(2)])
    .input("b", DType::Bool, [None])
    .output("y", DType::Bf16, [None]);
    let mut lane = testing::Process::<misfits>::open_with_models(json!({}), [pair]).unwrap();
    assert_eq!(lane.run(["fits"]).texts(), ["1.5"]);
    for (case, message) in [
        ("missing", r#"input "b": bool[?] was expected, got nothing"#),
        ("unknown", r#"input "c": one of a, b was expected, got an input that the model does not have"#),
        ("twice", r#"input "a": one tensor was expected, got two of the same name"#),
        ("type", r#"input "a": f16[?, 2] was expected, got f64[2, 2]"#),
        ("shape", r#"input "a": f16[?, 2] was expected, got f16[4, 1]"#),
        ("rows", r#"input "b": 1 rows, as in a was expected, got 2 rows"#),
    ] {
        assert_eq!(lane.run([case]).messages(), [message], "{case}");
    }
}

#[test]
fn a_tensor_has_as_many_elements_as_its_shape() {
    assert!(Tensor::new("x", [2, 3], &[0_i64; 6]).is_ok());
    assert!(Tensor::new("x", [], &[0_u8]).is_ok());
    assert!(Tensor::new("x", [0, 3], &[0_u8; 0]).is_ok());
    for (shape, message) in [
        (vec![2, 2], r#"tensor "x": i32[2, 2] has 4 elements, 3 were given"#),
        (vec![], r#"tensor "x": i32[] has 1 elements, 3 were given"#),
        (
            vec![usize::MAX, 2],
            r#"tensor "x": i32[18446744073709551615, 2] has more than can be counted elements, 3 were given"#,
        ),
    ] {
        assert_eq!(Tensor::new("x", shape, &[1, 2, 3]).unwrap_err().message(), message);
    }
    let error = Tensor::new("x", [0, 1 << 32], &[0_u8; 0]).unwrap_err();
    assert_eq!(error.message(), r#"tensor "x": a dimension of [0, 4294967296] is 2^32 or more"#);
}

#[test]
fn every_error_says_what_is_wrong() {
    let text = || "why".to_owned();
    for (error, message) in [
        (InferenceError::LeaseLost(LeaseEnd::Expired), "the lease on the device expired"),
        (InferenceError::DeniedModel(text()), r#"model "why" is not among the operator's `models`"#),
        (InferenceError::OutOfMemory(text()), "the device is out of memory: why"),
        (InferenceError::Busy, "too many calls of this instance are waiting"),
        (InferenceError::Deadline, "there was no answer before the deadline"),
        (InferenceError::Unsupported(text()), "not supported: why"),
        (InferenceError::Backend(text()), "the backend failed: why"),
    ] {
        assert_eq!(Error::from(error).message(), message);
    }
}
