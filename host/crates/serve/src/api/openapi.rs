use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The description of a route, beside the table of routes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    summary: String,
    /// Names of parameters in `parameters.json`.
    #[serde(default)]
    query: Vec<String>,
    /// The schema of the body, or `bytes`.
    body: Option<String>,
    /// Schemas by status: a name, several names, or null. `stream` adds a stream of the schema before it, and `stream
    /// only` replaces the JSON of one.
    answers: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    #[serde(rename = "in")]
    place: String,
    schema: Value,
    description: String,
}

/// A route for the document.
#[derive(Debug, Clone)]
pub(super) struct Described<'a> {
    /// The method.
    pub(super) method: &'a str,
    /// The path below `/v1`, by which `operations.json` knows it.
    pub(super) key: &'a str,
    /// The whole path.
    pub(super) path: String,
    /// The lowest role. `None`: everyone.
    pub(super) role: Option<&'a str>,
}

/// The OpenAPI 3.1 document of routes. A route that nothing is said about is in it without answers, which a test finds.
pub(super) fn document<'a>(routes: impl Iterator<Item = Described<'a>>) -> Value {
    let operations: BTreeMap<String, Operation> = parsed(include_str!("openapi/operations.json"));
    let parameters: BTreeMap<String, Parameter> = parsed(include_str!("openapi/parameters.json"));
    let schemas: Value = parsed(include_str!("openapi/schemas.json"));
    let mut paths = Map::new();
    for route in routes {
        let about = operations.get(&format!("{} {}", route.method, route.key));
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_ascii_lowercase(), operation(&route, about, &parameters));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "sage-host",
            "description": "The API of sage-host serve. Times are milliseconds since the Unix epoch, or milliseconds.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token of `sage-host token new`." },
                "session": { "type": "apiKey", "in": "cookie", "name": "sage_session" },
            },
        },
    })
}

fn parsed<T: for<'a> Deserialize<'a> + Default>(text: &str) -> T {
    // The files are part of the program, and a test reads them.
    serde_json::from_str(text).unwrap_or_default()
}

fn operation(route: &Described<'_>, about: Option<&Operation>, known: &BTreeMap<String, Parameter>) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_query = about.into_iter().flat_map(|about| &about.query).map(String::as_str);
    let parameters: Vec<Value> = in_path.chain(in_query).filter_map(|name| parameter(name, known)).collect();
    let mut answers = Map::new();
    for (status, schemas) in about.into_iter().flat_map(|about| &about.answers) {
        answers.insert(status.clone(), answer(schemas));
    }
    let problem = json!({ "application/problem+json": { "schema": reference("Problem") } });
    answers.insert("default".to_owned(), json!({ "description": "An error.", "content": problem }));
    let security = match route.role {
        None => json!([]),
        Some(_) => json!([{ "token": [] }, { "session": [] }]),
    };
    let mut operation = json!({
        "summary": about.map(|about| about.summary.as_str()).unwrap_or_default(),
        "parameters": parameters,
        "responses": answers,
        "security": security,
    });
    let role = route.role.map(|role| json!(role));
    let body = about.and_then(|about| about.body.as_deref()).map(|body| {
        let content = match body {
            "bytes" => json!({ "application/octet-stream": {} }),
            name => json!({ "application/json": { "schema": reference(name) } }),
        };
        json!({ "required": true, "content": content })
    });
    if let Some(operation) = operation.as_object_mut() {
        operation.extend(role.map(|role| ("x-role".to_owned(), role)));
        operation.extend(body.map(|body| ("requestBody".to_owned(), body)));
    }
    operation
}

/// A parameter. A name with a place before it, `query.name`, is told apart from another one of that name.
fn parameter(name: &str, known: &BTreeMap<String, Parameter>) -> Option<Value> {
    let Parameter { place, schema, description } = known.get(name)?;
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    Some(
        json!({ "name": name, "in": place, "required": place == "path", "schema": schema, "description": description }),
    )
}

fn answer(schemas: &Value) -> Value {
    let names: Vec<&str> = match schemas {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let streams = names.iter().any(|name| name.starts_with("stream"));
    let is_stream_only = names.contains(&"stream only");
    let schemas: Vec<Value> = names
        .iter()
        .filter(|name| !name.starts_with("stream") && !name.contains('/'))
        .map(|name| reference(name))
        .collect();
    let schema = match schemas.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(json!({ "oneOf": several })),
    };
    let mut content = Map::new();
    if let Some(schema) = schema {
        let item = json!({ "schema": schema });
        if streams {
            content.insert("application/x-ndjson".to_owned(), item.clone());
            content.insert("text/event-stream".to_owned(), item.clone());
        }
        if !is_stream_only {
            content.insert("application/json".to_owned(), item);
        }
    }
    for kind in names.iter().filter(|name| name.contains('/')) {
        content.insert((*kind).to_owned(), json!({}));
    }
    let description = if streams { "An item a line, or an event an item." } else { "It worked." };
    if content.is_empty() {
        json!({ "description": description })
    } else {
        json!({ "description": description, "content": content })
    }
}

fn reference(name: &str) -> Value {
    match name {
        "object" => json!({ "type": "object" }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}
