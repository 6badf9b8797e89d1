use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::figure::Problem;

/// Writes a file of sensor readings as JSON lines of 136 bytes, including the line end. The content is always
/// the same.
pub(crate) fn write_readings(path: &Path, count: u64) -> Result<(), Problem> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for number in 0..count {
        writeln!(file, "{}", reading(number))?;
    }
    file.flush()?;
    Ok(())
}

fn reading(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let (sensor, tenths) = (mixed % 1000, 200 + mixed / 1000 % 800);
    let (degrees, tenth) = (tenths / 10, tenths % 10);
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    format!(
        r#"{{"sensor":"sensor-{sensor:04}","fahrenheit":{degrees}.{tenth},"at":"2013-01-01T{hour:02}:{minute:02}:{second:02}Z","site":"Newark, garden roof","battery":0.8{},"number":"{number:09}"}}"#,
        number % 10
    )
}

#[cfg(test)]
mod tests {
    use super::reading;

    #[test]
    fn readings_are_json_of_the_length_that_is_promised() {
        for number in [0, 1, 999, 1_000_000] {
            let line = reading(number);
            assert_eq!(line.len() + 1, 136, "{line}");
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert!(value["fahrenheit"].is_f64() && value["sensor"].is_string(), "{line}");
        }
    }
}
