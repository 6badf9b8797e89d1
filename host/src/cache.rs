use std::time::{Duration, SystemTime};

use comfy_table::{Table, TableStyle};
use serde_json::{Value, json};

use super::ExitCode;
use super::args::{CacheAction, CacheArguments};
use super::failure::Failure;
use super::printer::Printer;
use super::refusal::of_job;
use sage_runtime::engine::{JobError, JobOptions};
use sage_sandbox::{CacheFolder, CachedComponent};
use sage_text::short_size;

/// The commands `cache list`, `cache size` and `cache clear`: list, measure or remove the compiled
/// components.
pub(super) fn cache(arguments: &CacheArguments, printer: Printer) -> Result<(), Failure> {
    let options = JobOptions {
        host_file: arguments.host.clone(),
        cache_folder: arguments.cache_folder.clone(),
        ..JobOptions::default()
    };
    let settings = options.host_settings().map_err(|error| of_job(&error))?;
    let place = options.cache_folder(&settings).ok_or_else(|| {
        Failure::invalid("there is no component cache: neither HOME nor XDG_CACHE_HOME says where")
            .hint("name its folder with --cache-folder")
    })?;
    let folder = CacheFolder::find(&place).map_err(|error| of_job(&JobError::Sandbox(error)))?;
    let failed = |error: std::io::Error| {
        Failure::new(ExitCode::InvalidUsage, format!("cannot use the component cache {}: {error}", place.display()))
    };
    let components = match (&folder, arguments.action) {
        (None, _) => Vec::new(),
        (Some(folder), CacheAction::Clear) => folder.clear().map_err(failed)?,
        (Some(folder), _) => folder.components().map_err(failed)?,
    };
    let sum = components.iter().map(|component| component.bytes).fold(0, u64::saturating_add);
    let count = components.len();
    let place = place.display();
    let of_all =
        format!("{} in {count} {} in {place}", short_size(sum), if count == 1 { "component" } else { "components" });
    let most = settings.max_cache_bytes;
    match arguments.action {
        CacheAction::List => printer.result(
            || format!("{}{of_all}, at most {} are kept\n", table(&components), short_size(most)),
            &json!({
                "folder": place.to_string(), "bytes": sum, "max_bytes": most,
                "components": components.iter().map(as_json).collect::<Vec<_>>(),
            }),
        ),
        CacheAction::Size => printer.result(
            || format!("{of_all}, at most {} are kept\n", short_size(most)),
            &json!({ "folder": place.to_string(), "bytes": sum, "max_bytes": most, "components": count }),
        ),
        CacheAction::Clear => printer.result(
            || format!("removed {of_all}\n"),
            &json!({ "folder": place.to_string(), "removed_bytes": sum, "removed_components": count }),
        ),
    }
}

fn table(components: &[CachedComponent]) -> String {
    if components.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(["component", "size", "last used"]);
    for component in components {
        table.add_row([from(component), short_size(component.bytes), format!("{} ago", shown(age(component)))]);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).chain(["\n".to_owned()]).collect()
}

fn as_json(component: &CachedComponent) -> Value {
    json!({
        "component": component.from,
        "key": component.key,
        "bytes": component.bytes,
        "seconds_since_use": age(component).as_secs(),
    })
}

/// The component's file at the time of its compilation. The file may have changed since.
fn from(component: &CachedComponent) -> String {
    component.from.as_ref().map_or_else(|| "of another version".to_owned(), |from| from.display().to_string())
}

fn age(component: &CachedComponent) -> Duration {
    SystemTime::now().duration_since(component.last_used).unwrap_or_default()
}

/// A time in its largest unit, as text for people.
fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_its_largest_unit() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7_200, "2 h"), (200_000, "2 days")] {
            assert_eq!(shown(Duration::from_secs(seconds)), text);
        }
    }
}
