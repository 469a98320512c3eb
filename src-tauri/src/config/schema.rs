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

/// One key as the schema has it.
pub(super) struct Key {
    /// Dotted.
    pub(super) name: String,
    /// Its sentences, the default at the end.
    pub(super) description: String,
    /// `duration`, `size`, `integer`, `number`, `boolean`, `choice`, `text`, `list` or `table`.
    pub(super) kind: &'static str,
    /// Of a choice.
    pub(super) choices: Vec<String>,
}

impl Key {
    /// The description without its default.
    pub(super) fn help(&self) -> String {
        let help = self.description.rsplit_once("Default").map_or(self.description.as_str(), |(help, _)| help);
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The default as it would be written, where it is a plain value.
    pub(super) fn default(&self) -> Option<toml::Value> {
        literal(&self.description).and_then(|text| toml::from_str::<toml::Table>(&format!("v = {text}")).ok()?.remove("v"))
    }
}

/// All keys with what the schema tells of them, free tables such as `upstreams` included.
pub(super) fn described_keys() -> Vec<Key> {
    let schema = schema();
    let mut out = Vec::new();
    walk(&schema, &schema, "", &mut out);
    out
}

fn described() -> Vec<(String, String)> {
    described_keys().into_iter().filter(|k| k.kind != "table").map(|k| (k.name, k.description)).collect()
}

fn walk(root: &Value, node: &Value, prefix: &str, out: &mut Vec<Key>) {
    let Some(properties) = node.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let target = resolve(root, property);
        if target.get("properties").is_some() {
            walk(root, target, &key, out);
        } else {
            let description = property.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
            let (kind, choices) = kind(root, property);
            out.push(Key { name: key, description, kind, choices });
        }
    }
}

fn kind(root: &Value, property: &Value) -> (&'static str, Vec<String>) {
    // An optional value of a named type is "this type or null".
    let named = property.get("anyOf").and_then(Value::as_array).and_then(|any| any.iter().find(|v| v.get("$ref").is_some()));
    let property = named.unwrap_or(property);
    match property.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
        Some("Duration") => return ("duration", Vec::new()),
        Some("Size") => return ("size", Vec::new()),
        _ => {}
    }
    let target = resolve(root, property);
    if let Some(choices) = target.get("oneOf").and_then(Value::as_array) {
        let names = choices.iter().filter_map(|c| c.get("const").and_then(Value::as_str));
        return ("choice", names.map(str::to_owned).collect());
    }
    let kind = match target.get("type") {
        Some(Value::Array(types)) => types.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    let kind = match kind {
        Some("integer") => "integer",
        Some("number") => "number",
        Some("boolean") => "boolean",
        Some("array") => "list",
        Some("object") => "table",
        _ => "text",
    };
    (kind, Vec::new())
}

/// The default that a description ends with, if it can stand in a file.
fn literal(description: &str) -> Option<&str> {
    let default = description.rsplit_once("Default ").map(|(_, d)| d.trim_end_matches('.'))?;
    let is_value = default.starts_with('"') || default.parse::<f64>().is_ok() || default.parse::<bool>().is_ok();
    is_value.then_some(default)
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
        text.push_str(&format!("# {leaf} = {}\n", literal(&description).unwrap_or("…")));
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
