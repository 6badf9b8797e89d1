//! `sensor-files`: appends each reading to the file of its sensor in the granted folder `/out`, as a CSV row. Shows a
//! sink by field that writes files and makes them durable in `flush`.
//!
//! `capabilities = { folders = [{ host = "by-sensor", guest = "/out", write = true }] }`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sage_guest::{Error, Record};

/// A reading.
#[derive(Debug, Record)]
pub struct Reading<'a> {
    /// Name of the sensor, and of its file: letters, digits, spaces, `-` and `_`.
    pub sensor: &'a str,
    /// Temperature in degrees Celsius.
    pub celsius: f64,
}

/// Rows that are not written yet, by sensor.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    rows: BTreeMap<String, String>,
}

/// Longest name of a sensor, in bytes.
const LONGEST_NAME: usize = 64;

impl Default for Files {
    fn default() -> Self {
        Self { folder: "/out".into(), rows: BTreeMap::new() }
    }
}

/// Appends each reading to the file of its sensor: event time in microseconds since the Unix epoch, and degrees
/// Celsius.
#[sage_guest::sink]
impl Files {
    fn write(&mut self, record: Record<'_, Reading<'_>>) -> Result<(), Error> {
        let Reading { sensor, celsius } = record.payload;
        let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        if sensor.is_empty() || sensor.len() > LONGEST_NAME || !sensor.chars().all(plain) {
            return Err(Error::new(format_args!("{sensor:?} is no name of a file")));
        }
        if !self.rows.contains_key(sensor) {
            self.rows.insert(sensor.to_owned(), String::new());
        }
        let Some(rows) = self.rows.get_mut(sensor) else { return Ok(()) };
        match record.timestamp() {
            Some(at) => writeln!(rows, "{at},{celsius}")?,
            None => writeln!(rows, ",{celsius}")?,
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        for (sensor, rows) in &self.rows {
            append(&self.folder.join(format!("{sensor}.csv")), rows)
                .map_err(|error| Error::new(format_args!("{sensor}.csv: {error}")))?;
        }
        self.rows.clear();
        Ok(())
    }
}

/// Appends rows to a file and waits until the disk has them.
fn append(path: &Path, rows: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(rows.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_is_no_file_is_rejected_and_the_others_stay() {
        let mut lane = testing::FieldsSink::<Files>::open(json!({})).unwrap();
        let reading = |sensor: &str| json!({ "sensor": sensor, "celsius": 1.5 }).to_string();
        let outcome = lane.run(["../etc", "", "roof", "a/b", "süd wand"].map(reading));
        let rejected: Vec<usize> = outcome.failures.iter().map(|failure| failure.record).collect();
        assert_eq!(rejected, [0, 1, 3]);
        assert_eq!(outcome.messages()[0], r#""../etc" is no name of a file"#);
        // Natively there is no folder `/out`.
        assert!(lane.flush().unwrap_err().contains("roof.csv: "));
    }

    #[test]
    fn rows_are_appended_to_the_file_of_their_sensor() {
        let folder = std::env::temp_dir().join(format!("sensor-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for rows in ["7,0\n", "7,1\n,-2.5\n"] {
            append(&folder.join("roof.csv"), rows).unwrap();
        }
        assert_eq!(std::fs::read_to_string(folder.join("roof.csv")).unwrap(), "7,0\n7,1\n,-2.5\n");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
