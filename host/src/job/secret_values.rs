use std::collections::BTreeMap;

use sage_jobs::{JobOrder, SecretFile, read_json};
use sage_plan::SecretText;

/// The values of the secrets of an order. They are read before the process becomes the user of its tenant, who may not
/// read the files. A secret that was removed meanwhile is missed when the pipeline is read.
pub(super) fn secret_values(order: &JobOrder) -> BTreeMap<String, SecretText> {
    let value = |(name, path): (&String, &std::path::PathBuf)| {
        let secret: SecretFile = read_json(path).ok()?;
        (secret.name == *name).then(|| (name.clone(), SecretText::new(secret.value)))
    };
    order.secrets.iter().filter_map(value).collect()
}
