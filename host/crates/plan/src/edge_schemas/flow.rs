use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sage_batch::fields::{FieldType, Schema};

use crate::config::{ChosenField, ChosenFields, Spanned};

/// Fields of the records on an output.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// Fields that every record has. `None` for text of which no field is known.
    pub(super) fields: Option<Arc<Schema>>,
    /// Whether a record may have other fields.
    pub(super) open: bool,
}

impl Flow {
    /// Text of which no field is known.
    pub(super) fn text() -> Self {
        Self { fields: None, open: true }
    }

    /// Records with these fields only.
    pub(super) fn closed(fields: &Arc<Schema>) -> Self {
        Self { fields: Some(fields.clone()), open: false }
    }

    /// The records behind an input that chooses these fields. Of text, nothing is known before it is parsed.
    pub(super) fn choose(&self, chosen: &ChosenFields) -> Self {
        let Some(fields) = &self.fields else { return Self::text() };
        let by_name: HashMap<&str, &FieldType> =
            fields.fields().iter().map(|field| (field.name.as_str(), field)).collect();
        let renamed = |item: &Spanned<ChosenField>| {
            let field = by_name.get(item.value.field.as_str())?;
            Some(FieldType { name: item.value.name.clone(), ..(*field).clone() })
        };
        let fields: Vec<FieldType> = chosen.list.iter().filter_map(renamed).collect();
        // A field that is not known yet may still be found by the records' reader.
        let open = self.open && fields.len() < chosen.list.len();
        // The names of an input without errors differ.
        Self { fields: Some(Arc::new(Schema::new(fields).unwrap_or_default())), open }
    }

    /// The names of the known fields.
    pub(super) fn names(&self) -> Vec<&str> {
        self.fields.iter().flat_map(|schema| schema.fields()).map(|field| field.name.as_str()).collect()
    }

    /// The records of several outputs together. A field is known if it is known on each, with types of which one
    /// widens to the other.
    pub(super) fn merged<'f>(flows: impl IntoIterator<Item = &'f Self>) -> Self {
        let mut flows = flows.into_iter();
        let Some(first) = flows.next() else { return Self::text() };
        flows.fold(first.clone(), |merged, flow| merged.and(flow))
    }

    fn and(self, other: &Self) -> Self {
        let (ours, theirs) = match (&self.fields, &other.fields) {
            (None, None) => return Self { fields: None, open: self.open || other.open },
            (Some(ours), Some(theirs)) if Arc::ptr_eq(ours, theirs) => {
                return Self { open: self.open || other.open, ..self };
            }
            (ours, theirs) => (ours.clone().unwrap_or_default(), theirs.clone().unwrap_or_default()),
        };
        let by_name: HashMap<&str, &FieldType> =
            theirs.fields().iter().map(|field| (field.name.as_str(), field)).collect();
        let common = |field: &FieldType| {
            let other = by_name.get(field.name.as_str())?;
            let data_type = match (&field.data_type, &other.data_type) {
                (narrow, wide) if narrow.widens_to(wide) => wide.clone(),
                (wide, narrow) if narrow.widens_to(wide) => wide.clone(),
                _ => return None,
            };
            Some(FieldType { data_type, nullable: field.nullable || other.nullable, ..field.clone() })
        };
        let fields: Vec<FieldType> = ours.fields().iter().filter_map(common).collect();
        let dropped = fields.len() < ours.fields().len().max(theirs.fields().len());
        let open = self.open || other.open || dropped;
        // A part of a schema has no name twice, so an error is not expected.
        Self { fields: Some(Arc::new(Schema::new(fields).unwrap_or_default())), open }
    }

    /// The records after an operator gave these fields and kept the others.
    pub(super) fn with(&self, given: &Arc<Schema>) -> Self {
        let names: HashSet<&str> = given.fields().iter().map(|field| field.name.as_str()).collect();
        let others = self.fields.iter().flat_map(|schema| schema.fields());
        let others = others.filter(|field| !names.contains(field.name.as_str()));
        let fields = given.fields().iter().chain(others).cloned().collect();
        // The names of both parts differ, so an error is not expected.
        Self { fields: Some(Arc::new(Schema::new(fields).unwrap_or_default())), open: self.open }
    }
}

#[cfg(test)]
mod tests {
    use sage_batch::fields::DataType;

    use super::*;

    /// `a: s32, b: f64?, ..`
    fn flow(text: &str) -> Flow {
        if text == "text" {
            return Flow::text();
        }
        let parts = || text.split(", ").filter(|part| !part.is_empty());
        let field = |part: &str| {
            let (name, data_type) = part.split_once(": ").unwrap();
            let nullable = data_type.ends_with('?');
            let data_type: DataType = data_type.trim_end_matches('?').parse().unwrap();
            FieldType { name: name.to_owned(), data_type, nullable, docs: String::new() }
        };
        let fields = parts().filter(|part| *part != "..").map(field).collect();
        Flow { fields: Some(Arc::new(Schema::new(fields).unwrap())), open: parts().any(|part| part == "..") }
    }

    fn shown(flow: &Flow) -> String {
        let Some(fields) = &flow.fields else { return "text".to_owned() };
        let mark = |field: &FieldType| if field.nullable { "?" } else { "" };
        let shown = fields.fields().iter().map(|field| format!("{}: {}{}", field.name, field.data_type, mark(field)));
        shown.chain(flow.open.then(|| "..".to_owned())).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn outputs_together_have_the_fields_that_each_has() {
        for (one, other, together) in [
            ("text", "text", "text"),
            ("text", "a: s32", ".."),
            ("a: s32, b: f64", "b: f64, a: s32", "a: s32, b: f64"),
            ("a: s32, b: f64", "a: s32", "a: s32, .."),
            ("a: s32", "a: s32, ..", "a: s32, .."),
            ("a: s32", "a: s64?", "a: s64?"),
            ("a: s32, b: u8", "a: string, b: u8", "b: u8, .."),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                let mut found = shown(&Flow::merged([&flow(one), &flow(other)]));
                if found == "b: f64, a: s32" {
                    found = "a: s32, b: f64".to_owned();
                }
                assert_eq!(found, together, "{one} and {other}");
            }
        }
    }

    #[test]
    fn a_given_field_replaces_one_of_the_same_name() {
        for (input, given, result) in [
            ("a: s32, b: f64", "b: string, c: u8", "b: string, c: u8, a: s32"),
            ("a: s32, ..", "b: u8", "b: u8, a: s32, .."),
            ("text", "b: u8", "b: u8, .."),
        ] {
            assert_eq!(shown(&flow(input).with(&flow(given).fields.unwrap())), result, "{input} with {given}");
        }
    }
}
