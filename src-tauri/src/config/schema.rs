//! The config described for machines (JSON Schema) and for people (a commented file), both made from `Raw`.

use super::raw::Raw;
use serde_json::Value;

/// JSON Schema of the config file.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Raw).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), "Leeward config.toml".into());
    }
    schema
}

/// All settable keys, dotted (`retry.total`); free tables such as `upstreams` are not among them.
pub(super) fn keys() -> Vec<String> {
    described().into_iter().map(|(key, _)| key).collect()
}

fn described() -> Vec<(String, String)> {
    let schema = schema();
    let mut out = Vec::new();
    walk(&schema, &schema, "", &mut out);
    out
}

fn walk(root: &Value, node: &Value, prefix: &str, out: &mut Vec<(String, String)>) {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let target = resolve(root, property);
        if target.get("properties").is_some() {
            walk(root, target, &key, out);
        } else if target.get("additionalProperties").is_none() {
            let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
            out.push((key, text.to_owned()));
        }
    }
}

fn resolve<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property.get("$ref").and_then(Value::as_str);
    reference.and_then(|r| root.pointer(r.trim_start_matches('#'))).unwrap_or(property)
}

/// A config file that changes nothing: every key commented out, with its meaning and default.
pub fn default_file() -> String {
    let mut text = String::from("# Leeward's config. Every line is a comment: remove the # to change a value.\n");
    let mut section = String::new();
    for (key, description) in described() {
        let (group, leaf) = key.rsplit_once('.').unwrap_or(("", &key));
        if group != section {
            text.push_str(&format!("\n[{group}]\n"));
            section = group.to_owned();
        }
        text.push_str(&format!("\n# {}\n", description.replace('\n', "\n# ")));
        let default = description.rsplit_once("Default ").map_or("", |(_, d)| d.trim_end_matches('.'));
        let is_value = default.starts_with('"') || default.parse::<f64>().is_ok() || default.parse::<bool>().is_ok();
        text.push_str(&format!("# {leaf} = {}\n", if is_value { default } else { "…" }));
    }
    text.push_str("\n# More upstreams, reached as /@NAME/…\n[upstreams]\n# work = \"https://gateway.example.com/anthropic\"\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_key_is_described_and_reachable() {
        let described = described();
        assert!(
            described.iter().any(|(k, _)| k == "retry.total") && described.iter().any(|(k, _)| k == "listen"),
            "{described:?}"
        );
        for (key, text) in described {
            assert!(text.contains("Default"), "{key} does not say its default: {text:?}");
        }
    }

    #[test]
    fn the_default_file_is_valid_and_states_the_real_defaults() {
        let text = default_file();
        super::super::load::parse(&text, Path::new("config.toml")).unwrap();
        // With every comment sign removed that stands before a value, it must load to the very defaults.
        let live: String = text
            .lines()
            .map(|l| match l.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") && !rest.contains('…') && !rest.starts_with("work") => format!("{rest}\n"),
                _ => format!("{l}\n"),
            })
            .collect();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), &live).unwrap();
        let env = |n: &str| (n == "LEEWARD_HOME").then(|| home.path().display().to_string());
        let load = || super::super::load(&super::super::Sources { env: &env, flags: Default::default() }).unwrap();
        let spelled_out = load();
        std::fs::write(home.path().join("config.toml"), "").unwrap();
        assert_eq!(spelled_out, load());
    }
}
