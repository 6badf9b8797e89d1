//! Appends records to a file in a folder that the pipeline grants it.

use std::fs::File;
use std::io::{BufWriter, Write};

use sage_guest::{Context, Error, log};
use serde::Deserialize;

/// The sink's `config` in the pipeline file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    file: String,
}

/// The sink.
#[derive(Debug)]
pub struct Append {
    file: BufWriter<File>,
}

#[sage_guest::sink]
impl Append {
    fn open(context: &Context) -> Result<Self, Error> {
        let Settings { file } = context.config()?;
        log::info!("writing to {file}");
        let opened = File::options().create(true).append(true).open(&file);
        let opened =
            opened.map_err(|error| Error::new(format_args!("cannot open {file}: {error}")))?;
        Ok(Self {
            file: BufWriter::new(opened),
        })
    }

    fn write(&mut self, record: &[u8]) -> Result<(), Error> {
        self.file.write_all(record)?;
        Ok(self.file.write_all(b"\n")?)
    }

    /// Makes the data written so far durable.
    fn flush(&mut self) -> Result<(), Error> {
        self.file.flush()?;
        Ok(self.file.get_ref().sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use sage_guest::testing;
    use serde_json::json;

    use super::*;

    #[test]
    fn records_become_lines() {
        let file = std::env::temp_dir().join(format!(
            "{}-{}.txt",
            env!("CARGO_PKG_NAME"),
            std::process::id()
        ));
        let mut lane = testing::Sink::<Append>::open(json!({ "file": file })).unwrap();
        let outcome = lane.run(["one", "two"]);
        assert!(outcome.failures.is_empty());
        lane.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_opened_stops_the_start() {
        let error =
            testing::Sink::<Append>::open(json!({ "file": "/no/such/folder/file" })).unwrap_err();
        assert!(
            error.starts_with("cannot open /no/such/folder/file"),
            "{error}"
        );
    }
}
