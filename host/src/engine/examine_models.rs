use super::job_error::JobError;
use crate::config::BackendChoice;
use crate::inference::{Device, Devices, ExamineElsewhere, ExamineLimits, ModelError, ModelFile, Trial};
use crate::plan::{ModelSpec, Plan};

/// Has every model of the plan looked at: whether its file is the declared one, and a model that what will run it knows. From here on the file that was
/// looked at is the declared one: whoever loads it later loads nothing else. A made-up model is its device's to judge.
///
/// # Errors
/// The first that cannot be used.
pub(super) fn examine(examiner: &dyn ExamineElsewhere, plan: &mut Plan, devices: &Devices) -> Result<(), JobError> {
    for model in plan.models.iter_mut().filter(|model| model.backend != BackendChoice::Fake) {
        let digest = look(examiner, model, devices).map_err(|error| JobError::Model {
            model: model.name.clone(),
            path: model.path.clone(),
            error: Box::new(error),
        })?;
        model.sha256 = Some(digest);
    }
    Ok(())
}

/// What the file hashes to.
fn look(examiner: &dyn ExamineElsewhere, model: &ModelSpec, devices: &Devices) -> Result<[u8; 32], ModelError> {
    let file = ModelFile::read(&model.path, ModelFile::MOST_BYTES)?;
    file.check(model.sha256)?;
    let limits = ExamineLimits::of_file(file.bytes().len() as u64);
    examiner.examine(file.bytes(), trial(model, devices), limits)?.accepted()?;
    Ok(file.sha256())
}

/// tract tries out what it may have to run; another library says what it thinks of a model when its device loads it, before data flows too.
fn trial(model: &ModelSpec, devices: &Devices) -> Trial {
    let runs_it = |device: &Device| device.backend() == BackendChoice::Tract;
    match model.backend {
        BackendChoice::Tract => Trial::Wanted,
        BackendChoice::Auto if devices.serving().any(runs_it) => Trial::Wanted,
        BackendChoice::Auto | BackendChoice::Onnxruntime | BackendChoice::Fake => Trial::NotWanted,
    }
}
