use std::fmt;

use std::time::Duration;

use super::row_trial::{Trial, try_rows};
use super::{InferenceError, ModelFacts, Tensor};
use sage_plan::{GraphRows, ModelSpec, RowsChoice};

/// Whether rows of a model's calls are batched with rows of other calls and split, with the reason.
///
/// Rows are batched and split only if no row's result depends on another row: this is shown, or the model's
/// owner declares it. Otherwise a row could get a result that depends on rows of other leases and their
/// owners. This is the only place that decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowIndependence {
    /// The model's owner declares it.
    Declared,
    /// The operators of its graph work row by row, and this number of random rows gave the same results alone
    /// and in random batches.
    Shown {
        /// Number of rows.
        rows: usize,
    },
    /// The model is a fake that returns its rows unchanged.
    MadeUp,
    /// The operators of its graph work row by row, but the model has not been run yet. The runs take place
    /// when it is loaded. If its calls do not run together, they take place before the first call is split.
    ByGraph,
    /// The model's owner declares that each call runs whole.
    DeclaredWhole,
    /// The independence is neither shown nor declared. The text says why it is not shown.
    NotShown(String),
}

impl RowIndependence {
    /// Whether rows may be batched and split.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Declared | Self::Shown { .. } | Self::MadeUp => true,
            Self::ByGraph | Self::DeclaredWhole | Self::NotShown(_) => false,
        }
    }

    /// The independence as far as it is known before the model is loaded.
    #[must_use]
    pub fn expected(declared: RowsChoice, graph: &GraphRows) -> Self {
        match (declared, graph) {
            (RowsChoice::Independent, _) => Self::Declared,
            (RowsChoice::Whole, _) => Self::DeclaredWhole,
            (RowsChoice::Shown, GraphRows::ByOperators) => Self::ByGraph,
            (RowsChoice::Shown, GraphRows::MadeUp) => Self::MadeUp,
            (RowsChoice::Shown, GraphRows::NotShown(why)) => Self::NotShown(why.clone()),
        }
    }

    /// Checks that a declaration can hold.
    ///
    /// # Errors
    /// [`InferenceError::Unsupported`]: rows are declared independent, but an input or output has no rows.
    pub fn check(declared: RowsChoice, facts: &ModelFacts) -> Result<(), InferenceError> {
        match (declared, facts.first_dimensions_are_free()) {
            (RowsChoice::Independent, Err(why)) => {
                Err(InferenceError::Unsupported(format!("rows = \"independent\" of a model without rows: {why}")))
            }
            _ => Ok(()),
        }
    }

    /// Decides for a model that was just loaded. `run` runs the model and returns the time; it is called only
    /// if calls may run together, so other models load without delay.
    ///
    /// # Errors
    /// The errors of [`RowIndependence::check`].
    pub(super) fn of(
        spec: &ModelSpec,
        facts: &ModelFacts,
        run: impl FnMut(Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError>,
    ) -> Result<(Self, Option<Trial>), InferenceError> {
        Self::check(spec.rows, facts)?;
        let expected = Self::expected(spec.rows, &facts.rows);
        if let (Self::ByGraph | Self::MadeUp, Err(why)) = (&expected, facts.first_dimensions_are_free()) {
            return Ok((Self::NotShown(why), None));
        }
        let may_run_together = !spec.deterministic && spec.batching != Some(false) && spec.max_rows > 1;
        Ok(match expected {
            Self::ByGraph if may_run_together => Self::by_runs(spec, facts, run),
            known => (known, None),
        })
    }

    /// Decides by runs, for a model with a graph that works row by row.
    pub(super) fn by_runs(
        spec: &ModelSpec,
        facts: &ModelFacts,
        run: impl FnMut(Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError>,
    ) -> (Self, Option<Trial>) {
        let company = usize::try_from(spec.max_rows).unwrap_or(usize::MAX);
        match try_rows(facts, company, run) {
            Ok(trial) => (Self::Shown { rows: trial.rows }, Some(trial)),
            Err(why) => (Self::NotShown(why), None),
        }
    }
}

impl fmt::Display for RowIndependence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declared => f.write_str("independent: declared"),
            Self::Shown { rows } => {
                write!(f, "independent: shown by the graph's operators, and by {rows} random rows alone and in batches")
            }
            Self::MadeUp => f.write_str("independent: the model is a fake"),
            Self::ByGraph => f.write_str(
                "independent by the graph's operators, to be confirmed by runs before rows are put together or cut",
            ),
            Self::DeclaredWhole => f.write_str("each call runs whole and alone: declared"),
            Self::NotShown(why) => {
                write!(f, "each call runs whole and alone: rows are not shown to be independent: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{DType, Dimension, TensorData, TensorSpec};
    use sage_plan::config::BackendChoice;

    fn spec(rows: RowsChoice) -> ModelSpec {
        ModelSpec {
            name: "m".to_owned(),
            path: "m.onnx".into(),
            sha256: None,
            backend: BackendChoice::Auto,
            rows,
            graph_rows: None,
            max_rows: 32,
            max_delay: Duration::ZERO,
            batching: None,
            deterministic: false,
            workspace: 0,
        }
    }

    fn facts(first: Dimension, rows: GraphRows) -> ModelFacts {
        let tensor = |name: &str, first| TensorSpec {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: vec![first, Dimension::Fixed(2)],
        };
        let free = Dimension::Free(String::new());
        ModelFacts { inputs: vec![tensor("x", free)], outputs: vec![tensor("y", first)], weight_bytes: 0, rows }
    }

    fn free(rows: GraphRows) -> ModelFacts {
        facts(Dimension::Free("n".to_owned()), rows)
    }

    fn not_run(_: Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError> {
        panic!("there is nothing to show")
    }

    fn floats(tensor: &Tensor) -> Vec<f32> {
        let TensorData::F32(floats) = tensor.data() else { panic!("not f32") };
        floats.clone()
    }

    /// Adds `more` of all rows to each row.
    fn with(
        more: impl Fn(&[f32]) -> f32,
    ) -> impl FnMut(Vec<Tensor>) -> Result<(Vec<Tensor>, Duration), InferenceError> {
        move |inputs| {
            let all = floats(&inputs[0]);
            let answer = all.iter().map(|number| number + more(&all)).collect();
            let answer = Tensor::new(inputs[0].shape().to_vec(), TensorData::F32(answer)).unwrap();
            Ok((vec![answer], Duration::from_millis(all.len() as u64)))
        }
    }

    #[test]
    fn rows_are_independent_where_that_is_declared_or_shown_by_graph_and_runs() {
        let of = |rows, graph| RowIndependence::of(&spec(rows), &free(graph), with(|_| 1.0)).unwrap().0;
        let not = || GraphRows::NotShown("CumSum (c) works along the rows (axis 0)".to_owned());
        let cases = [
            (RowsChoice::Independent, not(), "independent: declared", true),
            (RowsChoice::Whole, GraphRows::ByOperators, "each call runs whole and alone: declared", false),
            (
                RowsChoice::Shown,
                GraphRows::ByOperators,
                "independent: shown by the graph's operators, and by 8 random rows alone and in batches",
                true,
            ),
            (
                RowsChoice::Shown,
                not(),
                "each call runs whole and alone: rows are not shown to be independent: \
                 CumSum (c) works along the rows (axis 0)",
                false,
            ),
            (RowsChoice::Shown, GraphRows::MadeUp, "independent: the model is a fake", true),
        ];
        for (declared, graph, said, is_certain) in cases {
            let rows = of(declared, graph);
            assert_eq!((rows.to_string().as_str(), rows.is_certain()), (said, is_certain));
        }
    }

    #[test]
    fn runs_overrule_a_graph_that_goes_row_by_row() {
        let cases: [fn(&[f32]) -> f32; 3] =
            [|all| all.iter().sum(), |all| all.first().copied().unwrap_or(0.0), |all| all.len() as f32];
        for more in cases {
            let rows =
                RowIndependence::of(&spec(RowsChoice::Shown), &free(GraphRows::ByOperators), with(more)).unwrap().0;
            let RowIndependence::NotShown(why) = &rows else { panic!("{rows}") };
            assert!(why.starts_with("output y of a row differs in a batch: "), "{why}");
        }
        let fails = |_| Err(InferenceError::Backend("no".to_owned()));
        let rows = RowIndependence::of(&spec(RowsChoice::Shown), &free(GraphRows::ByOperators), fails).unwrap().0;
        let why = "it does not run with random rows: the backend failed: no";
        assert_eq!(rows, RowIndependence::NotShown(why.to_owned()));
    }

    #[test]
    fn rows_that_are_declared_and_not_there_are_refused() {
        let fixed = facts(Dimension::Fixed(1), GraphRows::ByOperators);
        let error = RowIndependence::of(&spec(RowsChoice::Independent), &fixed, not_run).unwrap_err();
        let said =
            "not supported: rows = \"independent\" of a model without rows: the first dimension of output y is 1";
        assert_eq!(error.to_string(), said);
        let shown = RowIndependence::of(&spec(RowsChoice::Shown), &fixed, not_run).unwrap().0;
        assert_eq!(shown, RowIndependence::NotShown("the first dimension of output y is 1".to_owned()));
    }

    #[test]
    fn runs_are_made_where_calls_may_run_together_and_say_what_they_took() {
        let shown = spec(RowsChoice::Shown);
        let (rows, trial) = RowIndependence::of(&shown, &free(GraphRows::ByOperators), with(|_| 1.0)).unwrap();
        let trial = trial.unwrap();
        // A millisecond for each number. A row has two numbers.
        let [alone, together] = [2, 16].map(Duration::from_millis);
        assert_eq!((trial.rows, trial.alone, trial.together), (8, alone, together));
        assert_eq!(rows, RowIndependence::Shown { rows: 8 });
        let alone = [
            ModelSpec { batching: Some(false), ..shown.clone() },
            ModelSpec { deterministic: true, ..shown.clone() },
            ModelSpec { max_rows: 1, ..shown },
        ];
        for spec in alone {
            let rows = RowIndependence::of(&spec, &free(GraphRows::ByOperators), not_run).unwrap();
            assert_eq!(rows, (RowIndependence::ByGraph, None));
        }
    }
}
