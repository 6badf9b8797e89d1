use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sage_serve::api::{ClientError, route_list};
use sage_test_support::{Need, skip, wait_until};
use serde_json::{Value, json};

use super::serving::{ENDLESS, Serving};

/// The document of a server, and answers of this server to compare with it.
struct Api<'a> {
    serving: &'a Serving,
    document: Value,
    checked: BTreeSet<String>,
    /// What is compared: the schema, the value, and whether they should agree.
    pairs: Vec<Value>,
}

impl<'a> Api<'a> {
    fn of(serving: &'a Serving) -> Self {
        let document = serving.client().get("/v1/openapi.json").unwrap();
        Self { serving, document, checked: BTreeSet::new(), pairs: Vec::new() }
    }

    /// Sends a request, and keeps its answer with what the document says about the operation.
    fn check(&mut self, method: &str, operation: &str, path: &str, body: Option<&Value>, status: u16) -> Value {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = self.serving.client().request(method, path, &[("x-sage-host", "1")], body);
        let (found, said) = match answer {
            Ok(answer) => (answer.status, String::from_utf8(answer.body).unwrap()),
            Err(ClientError::Refused(problem)) => {
                let mut said = json!({ "type": "about:blank", "title": "" });
                let own = serde_json::to_value(&problem).unwrap();
                said.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
                (problem.status, said.to_string())
            }
            Err(error) => panic!("{method} {path}: {error}"),
        };
        assert_eq!(found, status, "{method} {path}: {said}");
        let described = self.document["paths"][operation][method.to_ascii_lowercase()].clone();
        assert!(described.is_object(), "{method} {operation} is not in the document");
        self.checked.insert(format!("{method} {operation}"));
        let responses = &described["responses"];
        let response = match &responses[status.to_string()] {
            Value::Null => &responses["default"],
            response => response,
        };
        assert!(status < 400 || responses[status.to_string()].is_null(), "errors have one form");
        let content = response["content"].as_object().cloned().unwrap_or_default();
        let one = content.get("application/json").or_else(|| content.get("application/problem+json"));
        if let Some(one) = one {
            let value: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{path}: {said}"));
            self.compare(&format!("{method} {path}"), &one["schema"], value.clone(), true);
            return value;
        }
        if let Some(lines) = content.get("application/x-ndjson").filter(|lines| lines["schema"].is_object()) {
            assert!(!said.is_empty(), "{path} has no line to compare");
            for line in said.lines().filter(|line| !line.is_empty()) {
                self.compare(path, &lines["schema"], serde_json::from_str(line).unwrap(), true);
            }
        }
        Value::Null
    }

    fn compare(&mut self, what: &str, schema: &Value, value: Value, agrees: bool) {
        self.pairs.push(json!({ "what": what, "schema": schema, "value": value, "agrees": agrees }));
    }

    /// Compares everything with its schema, in which a property without a description is wrong.
    fn finish(&self) {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let packages = home.join(".cache/sage-host/jsonschema");
        if !packages.is_dir() {
            return skip(Need::Jsonschema, "make jsonschema has not installed it");
        }
        let mut schemas = self.document["components"]["schemas"].clone();
        inline_parts(&mut schemas);
        schemas.as_object_mut().unwrap().values_mut().for_each(close);
        let all = json!({ "schemas": schemas, "pairs": self.pairs }).to_string();
        let script = "\
import json, sys
from jsonschema import Draft202012Validator as Validator
given = json.load(open(sys.argv[1]))
wrong = []
for pair in given['pairs']:
    schema = {'components': {'schemas': given['schemas']}, 'allOf': [pair['schema']]}
    Validator.check_schema(schema)
    errors = [f'{error.json_path}: {error.message}'[:400] for error in Validator(schema).iter_errors(pair['value'])]
    if bool(errors) == pair['agrees']:
        wrong.append((pair['what'], errors))
for what, errors in wrong:
    print(what, *errors, sep='\\n    ')
sys.exit(len(wrong) > 0)
";
        let file = self.serving.file("pairs.json", all);
        let output =
            Command::new("python3").args(["-c", script]).arg(file).env("PYTHONPATH", packages).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
}

/// Forbids properties that a schema does not name, unless it says that there may be some.
fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for (name, part) in object.iter_mut() {
        match (name.as_str(), part) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(close),
            ("items" | "additionalProperties", part) => close(part),
            ("anyOf" | "oneOf", Value::Array(parts)) => parts.iter_mut().for_each(close),
            _ => {}
        }
    }
    let has = object.contains_key("properties") || object.contains_key("allOf");
    if has && !object.contains_key("additionalProperties") {
        object.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
    }
}

/// Puts copies of schemas in the places in which they are parts of others. The copies stay open for the other parts.
fn inline_parts(schemas: &mut Value) {
    let all = schemas.clone();
    for schema in schemas.as_object_mut().unwrap().values_mut() {
        for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(name) = part["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
                *part = all[name].clone();
            }
        }
    }
}

#[test]
fn the_document_and_the_router_list_the_same_routes() {
    let serving = Serving::started();
    let document: Value = serving.client().get("/v1/openapi.json").unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let route = format!("{} {path}", method.to_ascii_uppercase());
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{route} says nothing");
            assert!(operation["responses"].as_object().unwrap().len() > 1, "{route} has no answers");
            let named = path.matches('{').count();
            let in_path = operation["parameters"].as_array().unwrap().iter().filter(|known| known["in"] == "path");
            assert_eq!(in_path.count(), named, "{route} describes its path");
            described.insert(route);
        }
    }
    let routes = route_list().into_iter();
    let routes: BTreeSet<String> = routes
        .flat_map(|route| route.paths().map(move |path| format!("{} {path}", route.method)).collect::<Vec<_>>())
        .collect();
    assert_eq!(described, routes);
}

#[test]
fn real_answers_are_what_the_document_says() {
    let mut serving = Serving::with_host("[tenant.default]\n[tenant.blue]\ncpus = 1\n");
    serving.start();
    let mut api = Api::of(&serving);
    let pipeline = ENDLESS.replace("discard = {}", "stdout = {}");
    let path = serving.file("p.toml", &pipeline);
    let request = json!({ "name": "a", "pipeline": pipeline, "path": path, "labels": { "team": "blue" } });
    let of_request = json!({ "$ref": "#/components/schemas/JobRequest" });
    api.compare("a request", &of_request, request.clone(), true);
    for wrong in [json!({ "pipeline": 5, "path": path }), json!({ "pipeline": "", "path": path, "colour": "red" })] {
        api.compare("a wrong request", &of_request, wrong, false);
    }

    api.check("GET", "/v1/healthz", "/v1/healthz", None, 200);
    api.check("GET", "/v1/version", "/v1/version", None, 200);
    api.check("GET", "/v1/openapi.json", "/v1/openapi.json", None, 200);
    api.check("POST", "/v1/jobs", "/v1/jobs", Some(&request), 202);
    api.check(
        "POST",
        "/v1/jobs",
        "/v1/jobs",
        Some(&json!({ "dry_run": true, "pipeline": pipeline, "path": path })),
        200,
    );
    api.check("POST", "/v1/jobs", "/v1/jobs", Some(&request), 409);
    api.check("POST", "/v1/jobs", "/v1/jobs", Some(&json!({ "pipeline": "[[", "path": path })), 422);
    serving.until("a", "running");
    let of_job = |rest: &str| (format!("/v1/jobs/{{name}}{rest}"), format!("/v1/jobs/a{rest}"));
    for rest in ["", "/status", "/graph", "/explain", "/metrics", "/logs", "/events"] {
        let (operation, path) = of_job(rest);
        api.check("GET", &operation, &path, None, 200);
    }
    let list = api.check("GET", "/v1/jobs", "/v1/jobs?limit=1&name=a&state=running", None, 200);
    assert_eq!(list["jobs"].as_array().unwrap().len(), 1);
    api.check("GET", "/v1/jobs", "/v1/jobs?limit=0", None, 400);
    api.check("GET", "/v1/events", "/v1/events", None, 200);
    api.check("GET", "/v1/devices", "/v1/devices", None, 200);
    api.check("GET", "/metrics", "/metrics", None, 200);
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let (operation, file) = ("/v1/components/{digest}", format!("/v1/components/{digest}"));
    api.check("PUT", operation, &file, None, 201);
    api.check("GET", operation, &file, None, 200);
    api.check("GET", "/v1/components", "/v1/components", None, 200);
    // Its pipeline has no checkpoints.
    let (operation, savepoint) = of_job("/savepoint");
    api.check("POST", &operation, &savepoint, Some(&json!({ "name": "first", "stop": false })), 409);
    for (verb, status) in [("restart", 202), ("stop", 202)] {
        let (operation, path) = of_job(&format!("/{verb}"));
        api.check("POST", &operation, &path, Some(&json!({})), status);
    }
    serving.until("a", "stopped");
    check_revisions(&mut api, &path, &pipeline);
    let (operation, path) = of_job("/start");
    api.check("POST", &operation, &path, None, 202);
    serving.done(&["stop", "a", "--abort"]);
    let (operation, path) = of_job("");
    api.check("GET", &operation, &path, None, 200);
    let (operation_of_status, path_of_status) = of_job("/status");
    api.check("GET", &operation_of_status, &path_of_status, None, 409);
    api.check("DELETE", &operation, &path, None, 204);
    check_access(&mut api);

    let all = api.document["paths"].as_object().unwrap().iter();
    let all = all.flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
    });
    let rest: Vec<String> =
        all.filter(|route| !route.contains("/v1/tenants/{tenant}/") && !api.checked.contains(route)).collect();
    assert_eq!(rest, Vec::<String>::new(), "routes without an answer that was compared");
    api.finish();
}

/// Another revision of a job that has ended, and the way back.
fn check_revisions(api: &mut Api<'_>, path: &Path, pipeline: &str) {
    let serving = api.serving;
    let other = pipeline.replace("1000", "900");
    let change = json!({ "pipeline": other, "path": path, "note": "slower", "watch": 0, "accept_loss": true });
    let of_request = json!({ "$ref": "#/components/schemas/RevisionRequest" });
    api.compare("a revision", &of_request, change.clone(), true);
    api.compare("a wrong revision", &of_request, json!({ "pipeline": other, "path": path, "watch": -1 }), false);
    let over = || wait_until("the rollout is over", || Some(()).filter(|()| serving.detail("a").rollout.is_none()));
    api.check("PUT", "/v1/jobs/{name}", "/v1/jobs/a", Some(&change), 202);
    over();
    api.check("PUT", "/v1/jobs/{name}", "/v1/jobs/a", Some(&change), 200);
    for rest in ["/revisions", "/diff", "/diff?from=2&to=1"] {
        let operation = format!("/v1/jobs/{{name}}{}", rest.split('?').next().unwrap());
        api.check("GET", &operation, &format!("/v1/jobs/a{rest}"), None, 200);
    }
    api.check("GET", "/v1/jobs/{name}/revisions/{revision}", "/v1/jobs/a/revisions/2", None, 200);
    let back = json!({ "watch": 0, "accept_loss": true });
    api.check("POST", "/v1/jobs/{name}/rollback", "/v1/jobs/a/rollback", Some(&back), 202);
    over();
    api.check("GET", "/v1/jobs/{name}/events", "/v1/jobs/a/events", None, 200);
    serving.done(&["stop", "a", "--abort"]);
}

/// Sessions, tokens and tenants.
fn check_access(api: &mut Api<'_>) {
    api.check("GET", "/v1/session", "/v1/session", None, 200);
    let made = api.check("POST", "/v1/tokens", "/v1/tokens", Some(&json!({ "role": "read" })), 201);
    api.check("GET", "/v1/tokens", "/v1/tokens", None, 200);
    api.check("PUT", "/v1/secrets/{secret}", "/v1/secrets/key", Some(&json!({ "a": "value" })), 201);
    api.check("GET", "/v1/secrets", "/v1/secrets", None, 200);
    api.check("DELETE", "/v1/secrets/{secret}", "/v1/secrets/key", None, 204);
    api.check("POST", "/v1/session", "/v1/session", Some(&json!({ "token": made["token"] })), 201);
    api.check("DELETE", "/v1/session", "/v1/session", None, 204);
    let others = ["/v1/tenants", "/v1/tenants/{tenant}", "/v1/audit"];
    for (operation, path) in others.into_iter().zip(["/v1/tenants", "/v1/tenants/blue", "/v1/audit"]) {
        api.check("GET", operation, path, None, 200);
    }
    let path = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    api.check("DELETE", "/v1/tokens/{id}", &path, None, 204);
}
