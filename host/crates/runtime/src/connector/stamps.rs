use std::borrow::Cow;

use super::csv_rows::CsvRows;
use super::event_time::{NoTime, microseconds};
use super::json_fields::{JsonFields, Value};
use sage_plan::{EventTimeSpec, FieldPath, StampSpec};

/// Takes a record's key, event time and headers from its fields.
///
/// A record without the field of its key or of its time is an error, because it would silently be grouped with
/// the wrong records. A missing header is left out.
pub(super) struct Stamps {
    spec: StampSpec,
    fields: JsonFields,
    stamp: Stamp,
}

/// The parts of a record besides its payload.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    key: Option<Vec<u8>>,
    pub(super) timestamp: Option<i64>,
    headers: Option<Vec<u8>>,
}

impl Stamp {
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }

    /// The headers in the encoding of the WIT contract.
    pub(super) fn headers(&self) -> Option<&[u8]> {
        self.headers.as_deref()
    }

    /// Number of bytes that the stamp adds to the record.
    pub(super) fn len(&self) -> usize {
        self.key().map_or(0, <[u8]>::len) + self.headers().map_or(0, <[u8]>::len)
    }
}

impl Stamps {
    pub(super) fn new(spec: &StampSpec) -> Self {
        let fields = JsonFields::new(spec.paths());
        let stamp = Stamp {
            key: spec.key.as_ref().map(|_| Vec::new()),
            timestamp: None,
            headers: (!spec.headers.is_empty()).then(Vec::new),
        };
        Self { spec: spec.clone(), fields, stamp }
    }

    /// Whether a record has only its payload.
    pub(super) fn are_none(&self) -> bool {
        self.spec.is_empty()
    }

    /// The stamp of a line of JSON.
    pub(super) fn of_json(&mut self, line: &[u8]) -> Result<&Stamp, String> {
        self.fields.read(line).map_err(|error| format!("not JSON: {error}"))?;
        let fields = &self.fields;
        fill(&self.spec, &mut self.stamp, |slot| fields.value(slot))?;
        Ok(&self.stamp)
    }

    /// The stamp of the row just completed, whose fields are text.
    pub(super) fn of_row(&mut self, rows: &CsvRows) -> Result<&Stamp, String> {
        fill(&self.spec, &mut self.stamp, |slot| Value::Text(String::from_utf8_lossy(rows.stamped_field(slot))))?;
        Ok(&self.stamp)
    }
}

/// Fills the stamp from the values in order: the key, the time, then the headers.
fn fill<'v>(spec: &StampSpec, stamp: &mut Stamp, value: impl Fn(usize) -> Value<'v>) -> Result<(), String> {
    let mut slot = 0..;
    let mut next = || slot.next().map_or(Value::Missing, &value);
    if let (Some(path), Some(key)) = (&spec.key, &mut stamp.key) {
        let text = next().text().map_err(|why| cannot("the key", path, why))?;
        key.clear();
        key.extend_from_slice(text.as_bytes());
    }
    if let Some(EventTimeSpec { field: path, format, timezone }) = &spec.event_time {
        let text = next().text().map_err(|why| cannot("the event time", path, why))?;
        let time = microseconds(&text, format, timezone.as_ref());
        stamp.timestamp =
            Some(time.map_err(|NoTime(why)| {
                format!("the event time, field \"{path}\", is \"{}\": {why}", shortened(&text))
            })?);
    }
    if let Some(headers) = &mut stamp.headers {
        headers.clear();
        for (name, path) in &spec.headers {
            let found = next();
            if matches!(found, Value::Missing | Value::Null) {
                continue;
            }
            let text = found.text().map_err(|why| cannot(&format!("the header \"{name}\""), path, why))?;
            for part in [name.as_bytes(), text.as_bytes()] {
                let length = u32::try_from(part.len()).map_err(|_| format!("the header \"{name}\" is too long"))?;
                headers.extend_from_slice(&length.to_le_bytes());
                headers.extend_from_slice(part);
            }
        }
    }
    Ok(())
}

fn cannot(what: &str, path: &FieldPath, why: &str) -> String {
    format!("{what}, field \"{path}\", {why}")
}

/// A value as messages quote it.
fn shortened(text: &str) -> Cow<'_, str> {
    const MOST: usize = 64;
    let mut escaped = text.escape_debug();
    let short: String = escaped.by_ref().take(MOST).collect();
    if escaped.next().is_none() { Cow::Owned(short) } else { Cow::Owned(format!("{short}…")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sage_plan::TimeFormat;

    fn spec() -> StampSpec {
        let path = |text| FieldPath::parse(text).unwrap();
        StampSpec {
            key: Some(path("/user/id")),
            event_time: Some(EventTimeSpec {
                field: path("ts"),
                format: TimeFormat::Unix { a_second: 1000 },
                timezone: None,
            }),
            headers: vec![("a".into(), path("x")), ("b".into(), path("/list/1"))],
        }
    }

    #[test]
    fn key_time_and_headers_come_out_of_the_fields() {
        let mut stamps = Stamps::new(&spec());
        let stamp = stamps.of_json(br#"{"list":[1,true],"ts":1500,"user":{"id":"J\u00e9"},"x":null}"#).unwrap();
        assert_eq!((stamp.key(), stamp.timestamp), (Some("Jé".as_bytes()), Some(1_500_000)));
        assert_eq!(stamp.headers(), Some(&b"\x01\0\0\0b\x04\0\0\0true"[..]));
        assert_eq!(stamp.len(), 3 + 13);
    }

    #[test]
    fn what_is_not_there_or_is_no_value_is_said_with_its_field() {
        let cases = [
            (r#"{"ts":1}"#, "the key, field \"/user/id\", is not there"),
            (r#"{"ts":1,"user":{"id":null}}"#, "the key, field \"/user/id\", is null"),
            (r#"{"ts":1,"user":{"id":{}}}"#, "the key, field \"/user/id\", is an object"),
            (r#"{"ts":1,"user":[{"id":1}]}"#, "the key, field \"/user/id\", is not there"),
            (r#"{"ts":"x","user":{"id":1}}"#, "the event time, field \"ts\", is \"x\": it is no number"),
            (r#"{"ts":1,"user":{"id":1},"x":[]}"#, "the header \"a\", field \"x\", is a list"),
            (
                r#"{"ts":1,"user":{"id":1e40}}"#,
                "the key, field \"/user/id\", is a number too large to be exact; write it as text",
            ),
            (r#"{"ts":1,}"#, "not JSON: trailing comma at line 1 column 9"),
            (r#"{"ts":1} {"ts":1}"#, "not JSON: trailing characters at line 1 column 10"),
        ];
        for (line, what) in cases {
            assert_eq!(Stamps::new(&spec()).of_json(line.as_bytes()).unwrap_err(), what, "{line}");
        }
    }
}
