use serde_json::json;

use super::field_json::field_json;
use sage_batch::fields::FieldType;
use sage_plan::{Plan, Work};

/// The kind of a stage.
pub(super) fn what(work: &Work) -> &'static str {
    match work {
        Work::Source(_) => "source",
        Work::Component(_, kind) => kind.name(),
        Work::Sink(_) => "sink",
    }
}

/// The stages of a plan, upstream before downstream.
pub(super) fn stages(plan: &Plan) -> Vec<serde_json::Value> {
    plan.stages()
        .map(|(_, stage)| json!({ "name": stage.name, "kind": what(&stage.work), "parallelism": stage.parallelism }))
        .collect()
}

/// The edges of a plan, with the fields of each; `null` where records are bytes of which no field is known.
pub(super) fn edges(plan: &Plan) -> Vec<serde_json::Value> {
    let edges = plan.edges.iter().zip(&plan.schemas.edges);
    edges
        .map(|(edge, schema)| {
            let fields = schema.fields.as_ref().map(|fields| {
                let field = |field: &FieldType| {
                    let mut value = field_json(field);
                    if let Some(value) = value.as_object_mut() {
                        value.insert("read".to_owned(), schema.read.reads(&field.name).into());
                    }
                    value
                };
                fields.fields().iter().map(field).collect::<Vec<_>>()
            });
            json!({
                "from": plan.stage(edge.from).name,
                "port": edge.port.name(),
                "to": plan.stage(edge.to).name,
                "fields": fields,
                "other_fields": schema.others,
                "name": edge.name,
                "key": edge.key.as_ref().map(|key| &key.fields),
            })
        })
        .collect()
}
