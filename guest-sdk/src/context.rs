use serde::de::DeserializeOwned;

use crate::Error;

/// Who this operator is and how it is configured: what `open` is handed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The operator's name in the pipeline file.
    pub operator: String,
    /// This instance: 0 up to, not including, `parallelism`.
    pub instance: u32,
    /// How many instances the operator has.
    pub parallelism: u32,
    /// This lane of the instance: 0 up to, not including, `lanes`.
    pub lane: u32,
    /// How many lanes (threads, each with a copy of the component) the instance has.
    pub lanes: u32,
    /// The operator's `config` table from the pipeline file as JSON text.
    pub config: String,
}

impl Context {
    /// The operator's `config = { ... }` from the pipeline file, read into your own type.
    ///
    /// Whether an unknown key is an error is that type's choice (`#[serde(deny_unknown_fields)]`).
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
    /// The only lane of the only instance of `operator`, without configuration.
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
