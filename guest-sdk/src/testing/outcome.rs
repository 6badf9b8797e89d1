use serde::de::DeserializeOwned;

use crate::types::Batch;

/// The result of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The output records, in order.
    pub outputs: Vec<Output>,
    /// The rejected records.
    pub failures: Vec<Failure>,
}

/// An output record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Name of the side output; empty for the main output.
    pub port: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The key, if the record has one.
    pub key: Option<Vec<u8>>,
    /// The event time, if the record has one.
    pub timestamp: Option<i64>,
    /// Index of the input record from which this record comes, counted from 0.
    pub parent: Option<usize>,
}

/// A rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Index of the record in the batch, counted from 0.
    pub record: usize,
    /// The reason.
    pub message: String,
}

impl Outcome {
    /// Returns the payloads of the main output, as text.
    pub fn texts(&self) -> Vec<String> {
        self.on("")
    }

    /// Returns the payloads of a side output, as text.
    pub fn on(&self, port: &str) -> Vec<String> {
        self.outputs.iter().filter(|output| output.port == port).map(Output::text).collect()
    }

    /// Returns the keys of the main output, as text. Records without a key are left out.
    pub fn keys(&self) -> Vec<String> {
        let main = self.outputs.iter().filter(|output| output.port.is_empty());
        main.filter_map(|output| output.key.as_deref()).map(lossy).collect()
    }

    /// Returns the messages of the rejected records.
    pub fn messages(&self) -> Vec<&str> {
        self.failures.iter().map(|failure| failure.message.as_str()).collect()
    }

    /// Adds the records of `output.emit`.
    pub(super) fn emitted(&mut self, ports: &[&str], told: Vec<(u32, Batch, Option<Vec<u32>>)>) {
        for (port, batch, parents) in told {
            let name = (port as usize).checked_sub(1).and_then(|side| ports.get(side)).copied().unwrap_or_default();
            for (row, payload) in batch.payloads.iter().enumerate() {
                self.outputs.push(Output {
                    port: name.to_owned(),
                    payload: payload.to_vec(),
                    key: batch.keys.as_ref().and_then(|keys| keys.get(row)).map(<[u8]>::to_vec),
                    timestamp: batch.timestamps.as_ref().and_then(|timestamps| timestamps.get(row).copied()),
                    parent: parents.as_ref().and_then(|parents| parents.get(row)).map(|parent| *parent as usize),
                });
            }
        }
    }
}

impl Output {
    /// Returns the payload as text.
    pub fn text(&self) -> String {
        lossy(&self.payload)
    }

    /// Deserializes the payload as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
