use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::figure::{Effort, Figure, Problem, Target};

/// Prints the table for people.
pub(crate) fn print(figures: &[Figure]) {
    let wide = figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
    println!();
    println!("{:wide$}  {:>9}  {:15}  {:>19}  {:>8}  verdict", "figure", "median", "unit", "least to most", "target");
    for figure in figures {
        let name = &figure.name;
        match &figure.found {
            Err(why) => println!("{name:wide$}  skipped: {why}"),
            Ok(found) => {
                let spread = format!("{} to {}", number(found.least), number(found.most));
                let target = figure.target.map_or_else(String::new, written);
                let unit = figure.unit;
                println!(
                    "{name:wide$}  {:>9}  {unit:15}  {spread:>19}  {target:>8}  {}",
                    number(found.median),
                    verdict(figure)
                );
            }
        }
    }
    let missed = figures.iter().filter(|figure| figure.is_met() == Some(false)).count();
    let judged = figures.iter().filter(|figure| figure.is_met().is_some()).count();
    let skipped = figures.iter().filter(|figure| figure.found.is_err()).count();
    println!("\n{missed} of {judged} figures with a target miss it, {skipped} were skipped");
}

/// Saves the table for programs: one file for each day, and `latest.json`.
pub(crate) fn save(figures: &[Figure], effort: Effort, folder: &Path) -> Result<(), Problem> {
    let date = today();
    let report = json!({
        "date": date,
        "version": env!("CARGO_PKG_VERSION"),
        "quick": effort == Effort::Quick,
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "figures": figures.iter().map(value).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&report)? + "\n";
    for name in [date.as_str(), "latest"] {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, &text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn value(figure: &Figure) -> Value {
    let mut value = json!({ "name": figure.name, "verdict": verdict(figure) });
    let Some(fields) = value.as_object_mut() else { return value };
    match &figure.found {
        Ok(found) => {
            let (median, least, most) = (found.median, found.least, found.most);
            fields.extend([("value", median), ("least", least), ("most", most)].map(|(k, v)| (k.to_owned(), json!(v))));
            fields.insert("unit".to_owned(), json!(figure.unit));
        }
        Err(why) => {
            fields.insert("why".to_owned(), json!(why));
        }
    }
    match figure.target {
        Some(Target::AtMost(most)) => fields.insert("at_most".to_owned(), json!(most)),
        Some(Target::AtLeast(least)) => fields.insert("at_least".to_owned(), json!(least)),
        None => None,
    };
    value
}

fn verdict(figure: &Figure) -> &'static str {
    match (&figure.found, figure.is_met()) {
        (Err(_), _) => "skipped",
        (Ok(_), Some(true)) => "ok",
        (Ok(_), Some(false)) => "missed",
        (Ok(_), None) => "",
    }
}

fn written(target: Target) -> String {
    match target {
        Target::AtMost(most) => format!("≤ {most}"),
        Target::AtLeast(least) => format!("≥ {least}"),
    }
}

/// Formats a number with three significant digits.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

/// Today's date in UTC.
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    date(seconds / 86_400)
}

/// Formats a day since 1970 as year, month and day (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn date(days: u64) -> String {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_1970_are_dates() {
        for (days, expected) in [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_088, "2024-12-31")]
        {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([9.876, 12.34, 0.5, 1234.5].map(number), ["9.88", "12.3", "0.50", "1234"]);
    }
}
