use std::fmt::Write as _;

use crate::{EdgeId, EdgeSchema, Plan, Port, Projection};

impl Plan {
    /// The fields of every edge, as `validate --schema` prints them: a line for the edge with its name, a line for each
    /// field with its type, and a line for the key that the host makes.
    #[must_use]
    pub fn schema_listing(&self) -> String {
        let mut out = String::new();
        for (at, edge) in self.edges.iter().enumerate() {
            let port = match &edge.port {
                Port::Main => String::new(),
                Port::Rejects => ".rejects".to_owned(),
                Port::Side(_, name) => format!(".{name}"),
            };
            let name = edge.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let _ = writeln!(out, "{}{port} -> {}{name}", self.stage(edge.from).name, self.stage(edge.to).name);
            if let Some(schema) = self.schemas.edge(EdgeId(at)) {
                list(schema, &mut out);
            }
            if let Some(key) = &edge.key {
                let _ = writeln!(out, "  with a key of {}", key.fields.join(", "));
            }
        }
        out
    }
}

impl Plan {
    /// The keys that the host makes, as `run --explain` prints them: a line for each input. Empty if there are none.
    #[must_use]
    pub fn key_listing(&self) -> String {
        let mut out = String::new();
        for edge in &self.edges {
            let (Some(key), to) = (&edge.key, &self.stage(edge.to).name) else { continue };
            let what = if key.composite { "a composite key of" } else { "a key of" };
            let null = key.null_key.as_ref().map_or_else(String::new, |null| format!(", null is {null:?}"));
            let from = &self.stage(edge.from).name;
            let _ = writeln!(out, "{from} -> {to}: the host makes {what} {}{null}", key.fields.join(", "));
        }
        out
    }
}

fn list(schema: &EdgeSchema, out: &mut String) {
    let Some(fields) = &schema.fields else {
        out.push_str("  bytes\n");
        return;
    };
    let widest = fields.fields().iter().map(|field| field.name.chars().count()).max().unwrap_or_default();
    for field in fields.fields() {
        let mark = if field.nullable { "?" } else { "" };
        let unread = if schema.read.reads(&field.name) { "" } else { "  (unread)" };
        let _ = writeln!(out, "  {:widest$}  {}{mark}{unread}", field.name, field.data_type);
    }
    if schema.others {
        let unread = if schema.read == Projection::All { "" } else { "  (unread)" };
        let _ = writeln!(out, "  and other fields{unread}");
    } else if fields.fields().is_empty() {
        out.push_str("  no fields\n");
    }
}
