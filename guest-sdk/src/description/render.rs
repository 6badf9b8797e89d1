use super::{Description, Field, Fields, Object, PortFields, Schema};
use crate::fields::{DataType, FieldType};

/// Text written at compile time. `length` also counts bytes beyond `N`: with `N = 0` the text is only measured.
#[derive(Debug)]
pub struct Text<const N: usize> {
    /// The text, in the first `length` bytes.
    pub bytes: [u8; N],
    /// Length of the whole text in bytes; more than `N` if the text does not fit.
    pub length: usize,
}

/// Renders a description as JSON. The macros call it twice: with `N = 0` for the length, then with that length.
#[must_use]
pub const fn render<const N: usize>(description: &Description) -> Text<N> {
    let mut out = Text { bytes: [0; N], length: 0 };
    out.raw("{\"version\":1,\"docs\":");
    out.string(description.docs);
    out.raw(if description.stateful { ",\"state\":\"keyed\"" } else { ",\"state\":\"none\"" });
    if !matches!(description.config, Schema::Any) {
        out.raw(",\"config\":");
        out.schema(description.config, "");
    }
    if let Some(Fields { reads, gives, keeps_rest, ports }) = description.fields {
        out.raw(",\"reads\":");
        out.fields(reads);
        out.raw(",\"gives\":");
        out.fields(gives);
        out.rest(keeps_rest);
        if !ports.is_empty() {
            out.ports(ports);
        }
    }
    out.raw("}");
    out
}

/// Renders a description as JSON, at run time.
#[must_use]
pub fn text(description: &Description) -> String {
    // Long enough for every text that a test reads. The section itself has the exact length of its text.
    const LONGEST: usize = 16 << 10;
    let text = render::<LONGEST>(description);
    String::from_utf8_lossy(text.bytes.get(..text.length).unwrap_or(&text.bytes)).into_owned()
}

impl<const N: usize> Text<N> {
    const fn byte(&mut self, byte: u8) {
        if self.length < N {
            #[expect(clippy::indexing_slicing, reason = "checked; `get_mut` is not const")]
            {
                self.bytes[self.length] = byte;
            }
        }
        self.length += 1;
    }

    #[expect(clippy::indexing_slicing, reason = "a loop over an array's own length; iterators are not const")]
    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self.byte(bytes[at]);
            at += 1;
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a loop over an array's own length; iterators are not const")]
    const fn string(&mut self, text: &str) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = text.as_bytes();
        self.byte(b'"');
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'"' => self.raw("\\\""),
                b'\\' => self.raw("\\\\"),
                b'\n' => self.raw("\\n"),
                control if control < 0x20 => {
                    self.raw("\\u00");
                    self.byte(DIGITS[(control >> 4) as usize]);
                    self.byte(DIGITS[(control & 15) as usize]);
                }
                byte => self.byte(byte),
            }
            at += 1;
        }
        self.byte(b'"');
    }

    #[expect(clippy::indexing_slicing, reason = "40 digits hold 2^127; iterators are not const")]
    const fn number(&mut self, number: i128) {
        if number < 0 {
            self.byte(b'-');
        }
        let mut digits = [0_u8; 40];
        let mut left = number.unsigned_abs();
        let mut count = 0;
        loop {
            digits[count] = b'0' + (left % 10) as u8;
            left /= 10;
            count += 1;
            if left == 0 {
                break;
            }
        }
        while count > 0 {
            count -= 1;
            self.byte(digits[count]);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a loop over an array's own length; iterators are not const")]
    const fn fields(&mut self, fields: &[FieldType]) {
        self.byte(b'[');
        let mut at = 0;
        while at < fields.len() {
            let FieldType { name, data_type, nullable, docs } = &fields[at];
            self.raw(if at > 0 { ",{\"name\":" } else { "{\"name\":" });
            self.string(name);
            self.raw(",\"type\":\"");
            self.data_type(*data_type);
            self.raw(if *nullable { "\",\"nullable\":true,\"docs\":" } else { "\",\"nullable\":false,\"docs\":" });
            self.string(docs);
            if let DataType::Struct(members) = data_type {
                self.raw(",\"fields\":");
                self.fields(members);
            }
            self.byte(b'}');
            at += 1;
        }
        self.byte(b']');
    }

    const fn rest(&mut self, keeps_rest: bool) {
        self.raw(if keeps_rest { ",\"rest\":\"keep\"" } else { ",\"rest\":\"drop\"" });
    }

    #[expect(clippy::indexing_slicing, reason = "a loop over an array's own length; iterators are not const")]
    const fn ports(&mut self, ports: &[PortFields]) {
        self.raw(",\"ports\":[");
        let mut at = 0;
        while at < ports.len() {
            self.raw(if at > 0 { ",{\"name\":" } else { "{\"name\":" });
            self.string(ports[at].name);
            self.raw(",\"gives\":");
            self.fields(ports[at].gives);
            self.rest(ports[at].keeps_rest);
            self.byte(b'}');
            at += 1;
        }
        self.byte(b']');
    }

    const fn data_type(&mut self, data_type: DataType) {
        self.raw(data_type.name());
        match data_type {
            DataType::Decimal { precision, scale } => {
                self.byte(b'(');
                self.number(precision as i128);
                self.raw(", ");
                self.number(scale as i128);
                self.byte(b')');
            }
            DataType::List(element) => {
                self.byte(b'<');
                self.data_type(element.data_type);
                self.raw(if element.nullable { "?>" } else { ">" });
            }
            _ => {}
        }
    }

    const fn schema(&mut self, schema: &Schema, docs: &str) {
        let inner = match schema {
            Schema::Object(object) => object.docs,
            _ => "",
        };
        self.byte(b'{');
        let shown = if docs.is_empty() { inner } else { docs };
        if !shown.is_empty() {
            self.raw("\"description\":");
            self.string(shown);
            if !matches!(schema, Schema::Any) {
                self.byte(b',');
            }
        }
        match schema {
            Schema::Any => {}
            Schema::Boolean => self.raw("\"type\":\"boolean\""),
            Schema::Integer { minimum, maximum } => {
                self.raw("\"type\":\"integer\",\"minimum\":");
                self.number(*minimum);
                self.raw(",\"maximum\":");
                self.number(*maximum);
            }
            Schema::Number => self.raw("\"type\":\"number\""),
            Schema::Text => self.raw("\"type\":\"string\""),
            Schema::Character => self.raw("\"type\":\"string\",\"minLength\":1,\"maxLength\":1"),
            Schema::OneOf(names) => {
                self.raw("\"enum\":");
                self.names(names);
            }
            Schema::List(items) => {
                self.raw("\"type\":\"array\",\"items\":");
                self.schema(items, "");
            }
            Schema::Map(values) => {
                self.raw("\"type\":\"object\",\"additionalProperties\":");
                self.schema(values, "");
            }
            Schema::Nullable(value) => {
                self.raw("\"anyOf\":[");
                self.schema(value, "");
                self.raw(",{\"type\":\"null\"}]");
            }
            Schema::Object(object) => self.object(object),
        }
        self.byte(b'}');
    }

    #[expect(clippy::indexing_slicing, reason = "a loop over an array's own length; iterators are not const")]
    const fn names(&mut self, names: &[&str]) {
        self.byte(b'[');
        let mut at = 0;
        while at < names.len() {
            if at > 0 {
                self.byte(b',');
            }
            self.string(names[at]);
            at += 1;
        }
        self.byte(b']');
    }

    #[expect(clippy::indexing_slicing, reason = "a loop over an array's own length; iterators are not const")]
    const fn object(&mut self, object: &Object) {
        self.raw("\"type\":\"object\",\"properties\":{");
        let mut at = 0;
        while at < object.fields.len() {
            let Field { name, docs, schema, .. } = &object.fields[at];
            if at > 0 {
                self.byte(b',');
            }
            self.string(name);
            self.byte(b':');
            self.schema(schema, docs);
            at += 1;
        }
        self.raw("},\"required\":[");
        let (mut at, mut first) = (0, true);
        while at < object.fields.len() {
            if object.fields[at].required {
                if !first {
                    self.byte(b',');
                }
                self.string(object.fields[at].name);
                first = false;
            }
            at += 1;
        }
        self.raw("],\"additionalProperties\":");
        self.raw(if object.closed { "false" } else { "true" });
    }
}
