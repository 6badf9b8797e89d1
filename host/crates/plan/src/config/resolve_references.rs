use serde_json::{Map, Value};

use super::{ConfigReference, Diagnostic, Diagnostics, NoValue, Pipeline};

impl Pipeline {
    /// Puts the values in the place of all references, and adds an error with its place for each that has none.
    pub fn resolve(
        &mut self,
        mut value_of: impl FnMut(&ConfigReference) -> Result<String, NoValue>,
        errors: &mut Diagnostics,
    ) {
        for component in self.components_mut() {
            for reference in &component.references {
                let Some(place) = value_at(&mut component.config, &reference.pointer) else { continue };
                match value_of(reference) {
                    Ok(value) => *place = Value::String(value),
                    Err(NoValue { why, hint }) => {
                        let span = component.config_places.value(&reference.pointer);
                        errors.push(Diagnostic::new(why).at(span.or(component.path.span)).hint(hint));
                    }
                }
            }
        }
    }

    /// The references of all components.
    pub fn references(&self) -> impl Iterator<Item = &ConfigReference> {
        self.components().flat_map(|component| &component.references)
    }
}

fn value_at<'v>(config: &'v mut Map<String, Value>, pointer: &str) -> Option<&'v mut Value> {
    let (key, rest) = match pointer.strip_prefix('/')?.split_once('/') {
        Some((key, rest)) => (key, format!("/{rest}")),
        None => (pointer.strip_prefix('/')?, String::new()),
    };
    config.get_mut(&key.replace("~1", "/").replace("~0", "~"))?.pointer_mut(&rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ReferenceKind, parse};

    const PIPELINE: &str = "[[source]]\nname = 'in'\ngenerate = {}\n[[operator]]\nname = 'a'\ncomponent = 'a.wasm'\n\
        input = 'in'\nconfig = { key = { secret = 'api-key' }, 'a/b' = [1, { env = 'HOME' }], \
        deep = { url = { file = 'url.txt' } }, other = { secret = 'x', more = 1 }, odd = { secret = 5 } }\n\
        [[sink]]\nname = 'out'\ninput = 'a'\ndiscard = {}\n";

    #[test]
    fn tables_with_one_known_key_and_a_text_are_references_wherever_they_are() {
        let mut parsed = parse("p.toml", PIPELINE.as_bytes());
        assert!(parsed.diagnostics.is_empty(), "{}", parsed.diagnostics.render(false));
        let found: Vec<(String, &str, String)> = parsed
            .pipeline
            .references()
            .map(|each| (each.pointer.clone(), each.kind.key(), each.name.clone()))
            .collect();
        let expected = [("/key", "secret", "api-key"), ("/a~1b/1", "env", "HOME"), ("/deep/url", "file", "url.txt")];
        for each in expected {
            assert!(found.contains(&(each.0.to_owned(), each.1, each.2.to_owned())), "{found:?}");
        }
        assert_eq!(found.len(), 3);
        let value_of = |reference: &ConfigReference| match reference.kind {
            ReferenceKind::File => Err(NoValue { why: "it is gone".to_owned(), hint: "look".to_owned() }),
            _ => Ok(format!("<{}>", reference.name)),
        };
        parsed.pipeline.resolve(value_of, &mut parsed.diagnostics);
        let config = &parsed.pipeline.operators[0].component.as_ref().unwrap().config;
        assert_eq!((config["key"].as_str(), config["a/b"][1].as_str()), (Some("<api-key>"), Some("<HOME>")));
        let drawn = parsed.diagnostics.render(false);
        assert!(drawn.contains("it is gone") && drawn.contains("{ file = 'url.txt' }"), "{drawn}");
    }
}
