use std::time::Duration;

use serde_json::{Map, Number, Value};
use toml::de::{DeInteger, DeTable, DeValue};

use super::units::{DURATION_HINT, duration_hint, size_hint};
use super::{Diagnostic, Diagnostics, Span, Spanned, parse_duration, parse_size, suggest};

/// A value of the parsed file.
pub(super) type Node<'i> = toml::Spanned<DeValue<'i>>;

/// Reads a table key by key. Each getter returns `None` for an absent key, and for a key with a value of
/// another type, which it reports. [`Table::finish`] reports the keys that were never read.
pub(super) struct Table<'t, 'i> {
    entries: &'t DeTable<'i>,
    span: Span,
    place: String,
    is_root: bool,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Table<'t, 'i> {
    /// Reads `entries`; `place` names the table in messages.
    pub(super) fn new(entries: &'t DeTable<'i>, span: Span, place: impl Into<String>) -> Self {
        Self { entries, span, place: place.into(), is_root: false, asked: Vec::new() }
    }

    /// The table of the whole file. Messages name its tables by their headers.
    pub(super) fn root(root: &'t toml::Spanned<DeTable<'i>>, place: &str) -> Self {
        Self { is_root: true, ..Self::new(root.get_ref(), root.span().into(), place) }
    }

    /// The same table under another name in messages.
    pub(super) fn called(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The value of `key`, of any type.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'t Node<'i>> {
        self.asked.push(key);
        #[cfg(test)]
        super::asked_keys::note(&self.place, key);
        self.entries.get(key)
    }

    /// The place of `key` itself.
    pub(super) fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.get_key_value(key).map(|(key, _)| key.span().into())
    }

    pub(super) fn string(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Spanned<String>> {
        let node = self.node(key)?;
        self.string_of(key, node, errors)
    }

    pub(super) fn string_of(&self, key: &str, node: &Node<'_>, errors: &mut Diagnostics) -> Option<Spanned<String>> {
        match node.get_ref() {
            DeValue::String(text) => Some(Spanned::at(text.clone().into_owned(), node.span().into())),
            _ => self.wrong_type(key, "a string", node, errors),
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<bool> {
        let node = self.node(key)?;
        match node.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type(key, "true or false", node, errors),
        }
    }

    /// `true` or `false`, with the place of the key.
    pub(super) fn flag(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Spanned<bool>> {
        let span = self.key_span(key);
        let value = self.boolean(key, errors)?;
        Some(Spanned { value, span })
    }

    /// A whole number, 0 or above.
    pub(super) fn count(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Spanned<u64>> {
        let node = self.node(key)?;
        match node.get_ref() {
            DeValue::Integer(number) => match unsigned(number) {
                Some(value) => Some(Spanned::at(value, node.span().into())),
                None => self.out_of_range(key, number, node, errors),
            },
            _ => self.wrong_type(key, "a whole number", node, errors),
        }
    }

    /// A number, whole or with a fraction.
    pub(super) fn amount(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Spanned<f64>> {
        let node = self.node(key)?;
        self.amount_of(key, node, errors)
    }

    pub(super) fn amount_of(&self, key: &str, node: &Node<'_>, errors: &mut Diagnostics) -> Option<Spanned<f64>> {
        let number = match node.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64),
            DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
            _ => return self.wrong_type(key, "a number", node, errors),
        };
        match number {
            Some(number) => Some(Spanned::at(number, node.span().into())),
            None => self.wrong_type(key, "a number that can be counted", node, errors),
        }
    }

    /// A size: a string with a unit or a plain number of bytes.
    pub(super) fn size(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Spanned<u64>> {
        let node = self.node(key)?;
        let span = node.span().into();
        match node.get_ref() {
            DeValue::Integer(number) => match unsigned(number) {
                Some(bytes) => Some(Spanned::at(bytes, span)),
                None => self.out_of_range(key, number, node, errors),
            },
            DeValue::String(text) => match parse_size(text) {
                Ok(bytes) => Some(Spanned::at(bytes, span)),
                Err(error) => {
                    let message = format!("{key} of {}: {error}", self.place);
                    errors.push(Diagnostic::new(message).at(Some(span)).hint(size_hint(&error)));
                    None
                }
            },
            DeValue::Float(number) => {
                let message = format!("{key} of {} is not a whole number of bytes", self.place);
                errors.push(Diagnostic::new(message).at(Some(span)).hint(bytes_hint(number.as_str())));
                None
            }
            _ => self.wrong_type(key, "a size", node, errors),
        }
    }

    pub(super) fn duration(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Spanned<Duration>> {
        let node = self.node(key)?;
        let span = node.span().into();
        match node.get_ref() {
            DeValue::String(text) => match parse_duration(text) {
                Ok(duration) => Some(Spanned::at(duration, span)),
                Err(error) => {
                    let message = format!("{key} of {}: {error}", self.place);
                    errors.push(Diagnostic::new(message).at(Some(span)).hint(duration_hint(&error)));
                    None
                }
            },
            DeValue::Integer(_) | DeValue::Float(_) => {
                let message = format!("{key} of {} has no unit", self.place);
                errors.push(Diagnostic::new(message).at(Some(span)).hint(DURATION_HINT));
                None
            }
            _ => self.wrong_type(key, "a duration", node, errors),
        }
    }

    /// An inner table; messages name it `key of place`.
    pub(super) fn table(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<Table<'t, 'i>> {
        let node = self.node(key)?;
        self.table_of(key, node, errors)
    }

    pub(super) fn table_of(&self, key: &str, node: &'t Node<'i>, errors: &mut Diagnostics) -> Option<Table<'t, 'i>> {
        match node.get_ref() {
            DeValue::Table(entries) => {
                let place = if self.is_root { format!("[{key}]") } else { format!("{key} of {}", self.place) };
                Some(Table::new(entries, node.span().into(), place))
            }
            _ => self.wrong_type(key, "a table", node, errors),
        }
    }

    pub(super) fn array(&mut self, key: &'static str, errors: &mut Diagnostics) -> Option<&'t [Node<'i>]> {
        let node = self.node(key)?;
        match node.get_ref() {
            DeValue::Array(items) => Some(items),
            _ => self.wrong_type(key, "a list", node, errors),
        }
    }

    /// All entries, in the order of the file, for tables whose keys the user chooses.
    pub(super) fn entries(&self) -> Vec<(Spanned<String>, &'t Node<'i>)> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(key, node)| (Spanned::at(key.get_ref().clone().into_owned(), key.span().into()), node))
            .collect();
        entries.sort_by_key(|(key, _)| key.span);
        entries
    }

    /// Reports a required key that is missing.
    pub(super) fn missing(&self, key: &str, hint: &str, errors: &mut Diagnostics) {
        let message = format!("{} has no {key}", self.place);
        errors.push_absence(Diagnostic::new(message).at(Some(self.span)).hint(hint));
    }

    /// Reports every key that was not read.
    pub(super) fn finish(self, errors: &mut Diagnostics) {
        for (key, _) in self.entries() {
            if !self.asked.iter().any(|asked| *asked == key.value) {
                let error = Diagnostic::new(format!("unknown key \"{}\" in {}", key.value, self.place)).on(&key);
                let known = self.asked.iter().copied();
                errors.push(if errors.is_full() {
                    error
                } else {
                    error.hint(suggest::hint(&key.value, known, "keys that go here"))
                });
            }
        }
    }

    pub(super) fn wrong_type<T>(
        &self,
        key: &str,
        wanted: &str,
        node: &Node<'_>,
        errors: &mut Diagnostics,
    ) -> Option<T> {
        let found = type_name(node.get_ref());
        let message = format!("{key} of {} is {found}, not {wanted}", self.place);
        errors.push(Diagnostic::new(message).at(Some(node.span().into())));
        None
    }

    fn out_of_range<T>(
        &self,
        key: &str,
        number: &DeInteger<'_>,
        node: &Node<'_>,
        errors: &mut Diagnostics,
    ) -> Option<T> {
        let message = format!("{key} of {} is {number}", self.place);
        let bound = if number.as_str().starts_with('-') { "it must be 0 or above" } else { "that is too large" };
        errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(bound));
        None
    }
}

/// A value as JSON; dates and times become strings. A number that JSON cannot hold is reported.
pub(super) fn to_json(node: &Node<'_>, place: &str, errors: &mut Diagnostics) -> Value {
    let not_json = |written: &str, errors: &mut Diagnostics| {
        let message = format!("{written} in {place} cannot be written as JSON");
        errors.push(Diagnostic::new(message).at(Some(node.span().into())));
        Value::Null
    };
    match node.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) => Value::Number(value.into()),
            Err(_) => match unsigned(number) {
                Some(value) => Value::Number(value.into()),
                None => not_json(number.as_str(), errors),
            },
        },
        DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64) {
            Some(value) => Value::Number(value),
            None => not_json(number.as_str(), errors),
        },
        DeValue::Array(items) => Value::Array(items.iter().map(|item| to_json(item, place, errors)).collect()),
        DeValue::Table(entries) => Value::Object(table_to_json(entries, place, errors)),
    }
}

pub(super) fn table_to_json(entries: &DeTable<'_>, place: &str, errors: &mut Diagnostics) -> Map<String, Value> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| key.span().start);
    sorted.into_iter().map(|(key, node)| (key.get_ref().clone().into_owned(), to_json(node, place, errors))).collect()
}

fn unsigned(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The hint for a number of bytes with a decimal point or an exponent.
fn bytes_hint(written: &str) -> String {
    match written.replace('_', "").parse::<f64>() {
        Ok(bytes) if bytes.fract() == 0.0 && (0.0..1e15).contains(&bytes) => {
            format!("write it out, {bytes}, or with a unit: \"80MB\"")
        }
        _ => "write a unit: \"1.5GB\"".to_owned(),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
