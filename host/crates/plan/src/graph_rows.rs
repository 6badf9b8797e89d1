use serde::{Deserialize, Serialize};

/// The dependence between a model's rows, as far as the model's file shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphRows {
    /// Every operator of the graph treats each row alone, so a row's result depends on no other row.
    ByOperators,
    /// The model is simulated and returns each row unchanged.
    MadeUp,
    /// Rows may depend on each other. The text names the operator or dimension that shows it.
    NotShown(String),
}

/// The graph was not analysed.
impl Default for GraphRows {
    fn default() -> Self {
        Self::NotShown("its graph was not analysed".to_owned())
    }
}
