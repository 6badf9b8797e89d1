use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::saved_run::{Manifest, SavedStage};

/// What a savepoint is, in words, for people. A run reads the epoch itself and not this.
#[derive(Serialize)]
struct Words<'a> {
    pipeline: &'a str,
    run: &'a str,
    epoch: u64,
    /// Seconds since 1970.
    at: u64,
    program: &'static str,
    stage: Vec<StageWords<'a>>,
}

#[derive(Serialize)]
struct StageWords<'a> {
    #[serde(flatten)]
    shape: &'a SavedStage,
    /// What a built-in source reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
}

/// The text of `manifest.toml`.
pub(super) fn savepoint_words(manifest: &Manifest, epoch: u64) -> String {
    let input = |shape: &SavedStage| manifest.inputs.get(shape.name()).map(String::as_str);
    let stage = manifest.stages.iter().map(|shape| StageWords { shape, input: input(shape) }).collect();
    let words = Words {
        pipeline: &manifest.pipeline,
        run: &manifest.run,
        epoch,
        at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        program: env!("CARGO_PKG_VERSION"),
        stage,
    };
    let head = "# A savepoint of sage-host: `sage-host run PIPELINE.toml --from THIS-FOLDER` goes on from it.\n";
    // Text, numbers and tables of these can always be written.
    format!("{head}{}", toml::to_string(&words).unwrap_or_default())
}
