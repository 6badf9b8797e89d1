use std::collections::BTreeMap;

use super::role::Role;
use super::{CpuRequest, Resources};
use crate::config::{self, Diagnostic, Diagnostics, Spanned, format_number, format_size, ten_thousandths};

/// Smallest `memory` that a pipeline may ask for: one page of WebAssembly memory, in bytes.
const SMALLEST_MEMORY: u64 = 64 << 10;
/// Smallest `object_store_memory` that a pipeline may ask for, in bytes: the target size of one batch. A
/// smaller edge would hardly move records.
const SMALLEST_EDGE: u64 = 64 << 10;
/// Largest number of any counted resource. No machine has more.
const MOST: f64 = 1e11;
/// The number 1, in units of 1/10,000.
const ONE: u64 = 10_000;
/// Names that a custom resource must not have, because they name a built-in resource or key.
const TAKEN: [&str; 7] = ["num_cpus", "memory", "num_gpus", "object_store_memory", "resources", "CPU", "GPU"];

/// The resources of one instance, each checked against its range.
pub(super) fn resources(place: &str, role: Role, written: &config::Resources, errors: &mut Diagnostics) -> Resources {
    Resources {
        num_cpus: written.num_cpus.as_ref().and_then(|cpus| num_cpus(place, cpus, errors)),
        memory: written.memory.as_ref().and_then(|memory| at_least("memory", SMALLEST_MEMORY, place, memory, errors)),
        num_gpus: written.num_gpus.as_ref().and_then(|gpus| num_gpus(place, gpus, errors)),
        object_store_memory: written.object_store_memory.as_ref().and_then(|bytes| {
            if role == Role::Source {
                let message = format!("object_store_memory of {place}: a source has no input that it could bound");
                let hint = "object_store_memory bounds the batches that wait for an instance: \
                            set it on the stage that receives them";
                errors.push(Diagnostic::new(message).on(bytes).hint(hint));
                return None;
            }
            at_least("object_store_memory", SMALLEST_EDGE, place, bytes, errors)
        }),
        custom: custom(place, &written.custom, errors),
    }
}

fn num_cpus(place: &str, written: &Spanned<f64>, errors: &mut Diagnostics) -> Option<CpuRequest> {
    let scaled = amount("num_cpus", place, written, errors)?;
    if scaled == 0 {
        let message = format!("num_cpus of {place} is 0");
        errors.push(Diagnostic::new(message).on(written).hint("leave it out to share the CPUs that are not leased"));
        return None;
    }
    let request = match scaled {
        0..ONE => u32::try_from(scaled).ok().map(CpuRequest::Fraction),
        _ => u32::try_from(scaled / ONE).ok().map(CpuRequest::Whole),
    };
    request.or_else(|| too_many("num_cpus", place, written, errors))
}

fn num_gpus(place: &str, written: &Spanned<f64>, errors: &mut Diagnostics) -> Option<u32> {
    let scaled = amount("num_gpus", place, written, errors)?;
    if scaled == 0 {
        return None;
    }
    u32::try_from(scaled).ok().or_else(|| too_many("num_gpus", place, written, errors))
}

fn custom(place: &str, written: &[(Spanned<String>, Spanned<f64>)], errors: &mut Diagnostics) -> BTreeMap<String, u64> {
    let mut custom = BTreeMap::new();
    for (name, number) in written {
        if TAKEN.contains(&name.value.as_str()) {
            let message = format!("custom resource \"{}\" of {place} is a resource with a name of its own", name.value);
            let hint = "resources = { num_cpus = 2, memory = \"1GiB\", resources = { licence = 1 } }";
            errors.push(Diagnostic::new(message).on(name).hint(hint));
        } else if let Some(scaled @ 1..) = amount(&name.value, place, number, errors) {
            custom.insert(name.value.clone(), scaled);
        }
    }
    custom
}

/// A number in units of 1/10,000: a whole number, or a fraction below 1 in steps of 0.0001.
fn amount(key: &str, place: &str, written: &Spanned<f64>, errors: &mut Diagnostics) -> Option<u64> {
    let number = written.value;
    let error = Diagnostic::new(format!("{key} of {place} is {}", format_number(number))).on(written);
    if number.is_finite() && number > MOST {
        errors.push(error.hint("no machine has as many"));
        return None;
    }
    match ten_thousandths(number) {
        Some(scaled) if scaled < ONE || scaled % ONE == 0 => return Some(scaled),
        Some(scaled) => {
            let (below, above) = (scaled / ONE, scaled / ONE + 1);
            errors.push(error.hint(format!("whole, or a fraction below 1: {below} or {above}")));
        }
        None if number.is_finite() && number > 0.0 => {
            errors.push(error.hint("whole, or a fraction below 1 in steps of 0.0001"));
        }
        None => errors.push(error.hint("it must be a number above 0")),
    }
    None
}

fn at_least(key: &str, least: u64, place: &str, written: &Spanned<u64>, errors: &mut Diagnostics) -> Option<u64> {
    if written.value < least {
        let message = format!("{key} of {place} is {}", format_size(written.value));
        errors.push(Diagnostic::new(message).on(written).hint(format!("at least {}", format_size(least))));
        return None;
    }
    Some(written.value)
}

fn too_many<T>(key: &str, place: &str, written: &Spanned<f64>, errors: &mut Diagnostics) -> Option<T> {
    errors.push(
        Diagnostic::new(format!("{key} of {place} is {}", written.value)).on(written).hint("no machine has as many"),
    );
    None
}
