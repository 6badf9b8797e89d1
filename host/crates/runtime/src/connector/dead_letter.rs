use std::time::SystemTime;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use super::escaped::{cut_escaped, escaped_len};
use super::rfc3339::rfc3339;
use sage_time::Window;

/// A record that an operator could not process, with all known facts about it.
///
/// [`DeadLetter::write_line`] formats it as one line of JSON. Bytes that are valid UTF-8 are written as text
/// (`payload`, `key`). Other bytes are written in base64 under another name (`payload_base64`, `key_base64`),
/// so that the exact bytes can always be restored. Text that JSON escapes would more than double, such as
/// control characters, is in base64 too. The escaped message is cut at 8 KiB. A line is therefore at most three
/// times as long as the record, plus 16 KiB.
///
/// ```
/// use sage_runtime::connector::DeadLetter;
///
/// let letter = DeadLetter {
///     pipeline: "flights", run: "r1", operator: "parse", instance: 0, source: Some("flights"),
///     source_instance: Some(0), offset: Some(122), place: Some("flights.csv:124"), key: None, timestamp: None,
///     headers: None, payload: b"{\"dep_delay\":\"NA\"}",
///     code: "rejected", message: "dep_delay: not a number", attempts: 1, window: None, at: std::time::UNIX_EPOCH,
/// };
/// let mut line = Vec::new();
/// letter.write_line(&mut line);
/// assert_eq!(
///     String::from_utf8(line)?,
///     r#"{"pipeline":"flights","run":"r1","operator":"parse","instance":0,"#.to_owned()
///         + r#""source":"flights","source_instance":0,"offset":122,"place":"flights.csv:124","#
///         + r#""payload":"{\"dep_delay\":\"NA\"}","code":"rejected","#
///         + r#""message":"dep_delay: not a number","attempts":1,"at":"1970-01-01T00:00:00.000000Z"}"#
///         + "\n"
/// );
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// Name of the pipeline.
    pub pipeline: &'a str,
    /// Id of the run.
    pub run: &'a str,
    /// Name of the operator in which the record failed.
    pub operator: &'a str,
    /// Number of the operator's instance.
    pub instance: u32,
    /// Name of the source of the record. `None` for a record that does not come from exactly one input record.
    pub source: Option<&'a str>,
    /// Number of the source's instance; 0 for a built-in source. Source, instance and offset identify one
    /// record.
    pub source_instance: Option<u32>,
    /// Number of the record in its source, from 0. The instances of a component source number the records in
    /// turn: instance 1 of 3 has 1, 4, 7, ….
    pub offset: Option<u64>,
    /// Name of the record's place, given by the source.
    pub place: Option<&'a str>,
    /// Key of the record, if it had one.
    pub key: Option<&'a [u8]>,
    /// Event time of the record in microseconds since the Unix epoch, if it had one.
    pub timestamp: Option<i64>,
    /// Headers of the record in the encoding of the WIT contract (`types.batch`).
    pub headers: Option<&'a [u8]>,
    /// Payload of the record as the operator received it.
    pub payload: &'a [u8],
    /// Stable code of the error.
    pub code: &'a str,
    /// Text of the error.
    pub message: &'a str,
    /// Number of attempts to process the record.
    pub attempts: u32,
    /// The window that an operator could not finish; the payload is what the operator had summed up.
    pub window: Option<Window>,
    /// Time at which the record was given up.
    pub at: SystemTime,
}

impl DeadLetter<'_> {
    /// Appends the letter as one line of JSON with its line end. Fields without a value are left out.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        // Neither the fields nor the vector can fail.
        let _ = serde_json::to_writer(&mut *out, self);
        out.push(b'\n');
    }
}

/// Longest message in bytes, escapes included. More would not be read.
const LONGEST_MESSAGE: usize = 8 << 10;

impl Serialize for DeadLetter<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        put(&mut fields, "pipeline", Some(self.pipeline))?;
        put(&mut fields, "run", Some(self.run))?;
        put(&mut fields, "operator", Some(self.operator))?;
        put(&mut fields, "instance", Some(self.instance))?;
        put(&mut fields, "source", self.source)?;
        put(&mut fields, "source_instance", self.source_instance)?;
        put(&mut fields, "offset", self.offset)?;
        put(&mut fields, "place", self.place)?;
        put_bytes(&mut fields, "key", self.key)?;
        put(&mut fields, "timestamp", self.timestamp)?;
        put_headers(&mut fields, self.headers)?;
        put_bytes(&mut fields, "payload", Some(self.payload))?;
        put(&mut fields, "code", Some(self.code))?;
        put(&mut fields, "message", Some(cut_escaped(self.message, LONGEST_MESSAGE)))?;
        put(&mut fields, "attempts", Some(self.attempts))?;
        put(&mut fields, "window_start", self.window.map(|window| window.start))?;
        put(&mut fields, "window_end", self.window.map(|window| window.end))?;
        put(&mut fields, "at", Some(rfc3339(self.at)))?;
        fields.end()
    }
}

fn put<M: SerializeMap>(fields: &mut M, name: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| fields.serialize_entry(name, &value))
}

fn put_bytes<M: SerializeMap>(fields: &mut M, name: &str, bytes: Option<&[u8]>) -> Result<(), M::Error> {
    let Some(bytes) = bytes else { return Ok(()) };
    match std::str::from_utf8(bytes) {
        Ok(text) if escaped_len(text) <= 2 * text.len() + SHORT => fields.serialize_entry(name, text),
        _ => fields.serialize_entry(&format!("{name}_base64"), &InBase64(bytes)),
    }
}

/// Bytes that escapes may add to any text, however short it is.
const SHORT: usize = 64;

struct InBase64<'a>(&'a [u8]);

impl Serialize for InBase64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &BASE64))
    }
}

/// Writes headers as a list of objects with `name` and `value`, in order. Headers with a wrong encoding are
/// written unchanged, in base64.
fn put_headers<M: SerializeMap>(fields: &mut M, headers: Option<&[u8]>) -> Result<(), M::Error> {
    let Some(encoded) = headers.filter(|headers| !headers.is_empty()) else { return Ok(()) };
    let mut rest = encoded;
    while !rest.is_empty() {
        if take_text(&mut rest).zip(take_text(&mut rest)).is_none() {
            return fields.serialize_entry("headers_base64", &InBase64(encoded));
        }
    }
    fields.serialize_entry("headers", &Headers(encoded))
}

/// Headers with a correct encoding.
struct Headers<'a>(&'a [u8]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let mut rest = self.0;
        while let Some((name, value)) = take_text(&mut rest).zip(take_text(&mut rest)) {
            list.serialize_element(&Header { name, value })?;
        }
        list.end()
    }
}

struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        put_bytes(&mut fields, "name", Some(self.name))?;
        put_bytes(&mut fields, "value", Some(self.value))?;
        fields.end()
    }
}

/// Takes a length (u32, little endian) and that number of bytes from the front.
fn take_text<'a>(encoded: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = encoded.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *encoded = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::Engine as _;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn letter<'a>(payload: &'a [u8], key: Option<&'a [u8]>, headers: Option<&'a [u8]>) -> DeadLetter<'a> {
        DeadLetter {
            pipeline: "p",
            run: "r",
            operator: "o",
            instance: 3,
            source: Some("s"),
            source_instance: Some(1),
            offset: Some(17),
            place: Some("s.csv:19"),
            key,
            timestamp: Some(-5),
            headers,
            payload,
            code: "trap",
            message: "line one\nline two",
            attempts: 2,
            window: None,
            at: UNIX_EPOCH,
        }
    }

    fn line(letter: &DeadLetter<'_>) -> Value {
        let mut line = Vec::new();
        letter.write_line(&mut line);
        assert_eq!(line.iter().position(|&b| b == b'\n'), Some(line.len() - 1), "one line");
        serde_json::from_slice(&line).unwrap()
    }

    fn bytes(fields: &Value, name: &str) -> Option<Vec<u8>> {
        match (fields.get(name), fields.get(format!("{name}_base64"))) {
            (Some(text), None) => Some(text.as_str().unwrap().as_bytes().to_vec()),
            (None, Some(base64)) => Some(BASE64.decode(base64.as_str().unwrap()).unwrap()),
            (None, None) => None,
            both => panic!("{both:?}"),
        }
    }

    fn encode(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let sized = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat();
        headers.iter().flat_map(|(name, value)| [sized(name), sized(value)].concat()).collect()
    }

    #[test]
    fn everything_known_about_the_record_is_in_the_line() {
        let fields = line(&letter(b"{\"a\":1}", Some(b"AA"), Some(&encode(&[(b"trace".to_vec(), b"x1".to_vec())]))));
        let expected = serde_json::json!({
            "pipeline": "p", "run": "r", "operator": "o", "instance": 3, "source": "s", "source_instance": 1,
            "offset": 17, "place": "s.csv:19",
            "key": "AA", "timestamp": -5, "headers": [{"name": "trace", "value": "x1"}], "payload": "{\"a\":1}",
            "code": "trap", "message": "line one\nline two", "attempts": 2, "at": "1970-01-01T00:00:00.000000Z",
        });
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_line_is_short_whatever_the_guest_says_and_whatever_the_record_is_made_of() {
        let escapes = "\u{1b}".repeat(8192);
        let written = |letter: DeadLetter<'_>| {
            let mut line = Vec::new();
            letter.write_line(&mut line);
            line.len()
        };
        let said = DeadLetter { message: &escapes, ..letter(b"x", None, None) };
        assert!(written(said) < LONGEST_MESSAGE + 600, "{}", written(said));
        let long = line(&said)["message"].as_str().unwrap().to_owned();
        assert!(long.starts_with("\u{1b}\u{1b}") && long.ends_with(" more bytes)"), "{long}");
        let record = written(letter(escapes.as_bytes(), Some(escapes.as_bytes()), None));
        assert!(record < 3 * 2 * escapes.len(), "{record}");
        assert_eq!(bytes(&line(&letter(escapes.as_bytes(), None, None)), "payload").unwrap(), escapes.as_bytes());
        // Ordinary text stays text.
        assert_eq!(line(&letter(b"{\"a\":\"\\n\"}\t", None, None))["payload"], "{\"a\":\"\\n\"}\t");
    }

    #[test]
    fn headers_that_are_not_encoded_as_they_should_be_are_kept_as_they_are() {
        for broken in [&b"\x05"[..], b"\xff\xff\xff\xffname", b"\x01\0\0\0a"] {
            assert_eq!(bytes(&line(&letter(b"", None, Some(broken))), "headers").unwrap(), broken);
        }
        assert!(line(&letter(b"", None, Some(b""))).get("headers").is_none());
    }

    proptest! {
        #[test]
        fn payload_key_and_headers_can_be_had_back_exactly(
            payload in prop::collection::vec(any::<u8>(), 0..20),
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..5)),
            headers in prop::collection::vec(("[a-z]{0,4}", prop::collection::vec(any::<u8>(), 0..4)), 0..4),
        ) {
            let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
            let fields = line(&letter(&payload, key.as_deref(), Some(&encode(&headers))));
            prop_assert_eq!(bytes(&fields, "payload"), Some(payload));
            prop_assert_eq!(bytes(&fields, "key"), key);
            let found: Vec<_> = fields.get("headers").and_then(Value::as_array).into_iter().flatten()
                .map(|header| (bytes(header, "name").unwrap(), bytes(header, "value").unwrap())).collect();
            prop_assert_eq!(found, headers);
        }
    }
}
