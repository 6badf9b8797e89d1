use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde_json::{Value, json};

use super::socket_source::{connect, lost};
use super::{ConnectorError, Sink, SinkOutcome};
use sage_batch::Batch;
use sage_batch::fields::{DataType, FieldType, Schema};
use sage_batch::frames::{FrameKind, HELLO, header};
use sage_batch::wire::WireError;
use sage_plan::{SinkForm, SocketSinkSpec};

/// Batches to another program over a unix socket, at which the program listens. The run is complete when the program
/// has said that it has taken them all.
pub(super) struct SocketSink {
    spec: SocketSinkSpec,
    /// The fields that cross, by name.
    names: Vec<String>,
    stream: UnixStream,
    /// The schema of the last frame, and the columns of it that cross.
    known: Option<(Arc<Schema>, Vec<usize>)>,
    frame: Vec<u8>,
    has_failed: bool,
}

impl SocketSink {
    pub(super) fn open(spec: &SocketSinkSpec, names: Vec<String>) -> Result<Self, ConnectorError> {
        let mut stream = connect(&spec.path)?;
        stream.write_all(&HELLO).map_err(lost(&spec.path))?;
        Ok(Self { spec: spec.clone(), names, stream, known: None, frame: Vec::new(), has_failed: false })
    }

    fn send(&mut self, kind: FrameKind, content: &[u8]) -> Result<(), ConnectorError> {
        let sent = self
            .stream
            .write_all(&header(kind, content.len()))
            .and_then(|()| self.stream.write_all(content))
            .map_err(lost(&self.spec.path));
        self.has_failed |= sent.is_err();
        sent
    }

    /// Writes the columns of a batch.
    fn columns(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        let Some(table) = batch.table() else { return Err(not_by_field()) };
        let schema = table.schema();
        if self.known.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, schema)) {
            let columns: Option<Vec<usize>> = self.names.iter().map(|name| schema.position(name)).collect();
            let columns = columns.ok_or_else(not_by_field)?;
            let fields: Vec<Value> =
                columns.iter().filter_map(|&column| schema.fields().get(column)).map(field).collect();
            let text = Value::Array(fields).to_string();
            self.send(FrameKind::Schema, text.as_bytes())?;
            self.known = Some((Arc::clone(schema), columns));
        }
        let Some((_, columns)) = &self.known else { return Err(not_by_field()) };
        let mut content = std::mem::take(&mut self.frame);
        content.clear();
        let written = batch.write_by_field(columns.iter().copied(), &mut content).map_err(|error| unwritten(&error));
        let sent = written.and_then(|()| self.send(FrameKind::Fields, &content));
        self.frame = content;
        sent
    }

    /// Writes the text of a batch.
    fn text(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        let mut content = std::mem::take(&mut self.frame);
        content.clear();
        let written = batch.write(&mut content, true).map_err(|error| unwritten(&error));
        let sent = written.and_then(|()| self.send(FrameKind::Payloads, &content));
        self.frame = content;
        sent
    }
}

/// A field as the program reads it.
fn field(field: &FieldType) -> Value {
    let (name, nullable) = (&field.name, field.nullable);
    match &field.data_type {
        DataType::Struct(members) => {
            let members: Vec<Value> = members.fields().iter().map(self::field).collect();
            json!({ "name": name, "type": "struct", "nullable": nullable, "fields": members })
        }
        other => json!({ "name": name, "type": other.to_string(), "nullable": nullable }),
    }
}

fn not_by_field() -> ConnectorError {
    ConnectorError::new("records without the fields that cross")
}

fn unwritten(error: &WireError) -> ConnectorError {
    ConnectorError::new(format!("a batch cannot be written: {error}"))
}

impl Sink for SocketSink {
    fn write(&mut self, batch: &Batch) -> Result<(), ConnectorError> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.spec.text.form == SinkForm::Columns { self.columns(batch) } else { self.text(batch) }
    }

    fn flush(&mut self) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn finish(&mut self, outcome: SinkOutcome) -> Result<(), ConnectorError> {
        if self.has_failed || outcome == SinkOutcome::Partial {
            // The program sees the end of the stream without the frame that says that all has come.
            return Ok(());
        }
        self.send(FrameKind::End, &[])?;
        let mut taken = [0; HELLO.len()];
        self.stream.read_exact(&mut taken).map_err(lost(&self.spec.path))?;
        if taken == HELLO {
            return Ok(());
        }
        let path = self.spec.path.display();
        Err(ConnectorError::new(format!("the program at \"{path}\" did not say that it has taken the records")))
    }
}
