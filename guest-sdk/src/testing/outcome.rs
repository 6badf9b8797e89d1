use serde::de::DeserializeOwned;

use crate::types::Batch;

/// What came of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The records that came out, in order.
    pub outputs: Vec<Output>,
    /// The records that were rejected.
    pub failures: Vec<Failure>,
}

/// A record that came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The side output it came out of; empty for the main one.
    pub port: String,
    /// The record itself.
    pub payload: Vec<u8>,
    /// Its key, if it has one.
    pub key: Option<Vec<u8>>,
    /// Its event time, if it has one.
    pub timestamp: Option<i64>,
    /// Which record of the batch it comes from, counted from 0.
    pub parent: Option<usize>,
}

/// A record that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which record of the batch, counted from 0.
    pub record: usize,
    /// Why.
    pub message: String,
}

impl Outcome {
    /// The payloads of the main output, as text.
    pub fn texts(&self) -> Vec<String> {
        self.on("")
    }

    /// The payloads of a side output, as text.
    pub fn on(&self, port: &str) -> Vec<String> {
        self.outputs.iter().filter(|output| output.port == port).map(Output::text).collect()
    }

    /// The keys of the main output, as text; those of records without are left out.
    pub fn keys(&self) -> Vec<String> {
        let main = self.outputs.iter().filter(|output| output.port.is_empty());
        main.filter_map(|output| output.key.as_deref()).map(lossy).collect()
    }

    /// The messages of the rejected records.
    pub fn messages(&self) -> Vec<&str> {
        self.failures.iter().map(|failure| failure.message.as_str()).collect()
    }

    /// Add what was told by `output.emit`.
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
    /// The payload as text.
    pub fn text(&self) -> String {
        lossy(&self.payload)
    }

    /// The payload read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
