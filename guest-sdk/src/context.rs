use serde::de::DeserializeOwned;

use crate::Error;

/// The place of an operator's lane in the pipeline, and its configuration. `open` receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The operator's name in the pipeline file.
    pub operator: String,
    /// Index of this instance, from 0 to `parallelism - 1`.
    pub instance: u32,
    /// Number of instances of the operator.
    pub parallelism: u32,
    /// Index of this lane within the instance, from 0 to `lanes - 1`.
    pub lane: u32,
    /// Number of lanes of the instance. A lane is a thread with its own copy of the component.
    pub lanes: u32,
    /// The operator's `config` table from the pipeline file, as JSON text.
    pub config: String,
}

impl Context {
    /// Reads the operator's `config = { ... }` from the pipeline file into a type of your own.
    ///
    /// The type decides whether an unknown key is an error (`#[serde(deny_unknown_fields)]`).
    ///
    /// # Errors
    /// The configuration does not deserialize as `T`. The message names the operator.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Settings {
    ///     offset: f64,
    /// }
    ///
    /// let context = sage_guest::Context { config: r#"{"offset": 1.5}"#.into(), ..Default::default() };
    /// let settings: Settings = context.config()?;
    /// assert_eq!(settings.offset, 1.5);
    /// # Ok::<(), sage_guest::Error>(())
    /// ```
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.config)
            .map_err(|error| Error::new(format_args!("config of operator {:?}: {error}", self.operator)))
    }
}

impl Default for Context {
    /// Returns the only lane of the only instance of `operator`, without configuration.
    fn default() -> Self {
        Self {
            operator: "operator".to_owned(),
            instance: 0,
            parallelism: 1,
            lane: 0,
            lanes: 1,
            config: "{}".to_owned(),
        }
    }
}
