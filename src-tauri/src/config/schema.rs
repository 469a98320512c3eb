//! The config described for machines (JSON Schema) and for people (a commented file), both made from the definition.

use super::{
    definition::{File, WebSocket},
    key::{Group, Key, Type, constant},
    section::Section,
};
use serde_json::{Map, Value as Json, json};

/// JSON Schema of the config file.
pub fn schema() -> Json {
    let (mut top, mut definitions) = (Map::new(), Map::new());
    definitions.insert(
        "Duration".into(),
        json!({ "type": "string", "description": "a number with a unit: ms, s, m, h, d", "examples": ["250ms", "30s", "5m"] }),
    );
    definitions.insert(
        "Size".into(),
        json!({
            "type": ["integer", "string"],
            "description": "bytes, or a number with B, KiB, MiB, GiB",
            "examples": [65536, "32MiB"],
        }),
    );
    let table = json!({
        "type": "object",
        "properties": {
            "url": { "type": "string", "description": "where it is" },
            "replay": {
                "type": "array",
                "items": { "type": "string" },
                "description": "paths that only ask a model, beside those that Leeward knows; * stands for any characters",
                "examples": [["/v2/complete", "/models/*/generate"]],
            },
            "websocket": {
                "oneOf": WebSocket::CHOICES.iter().map(|(_, name, help)| json!({ "const": name, "description": help.trim() })).collect::<Vec<_>>(),
                "description": "what becomes of WebSockets; without it they are carried, except at …/responses",
            },
        },
        "additionalProperties": false,
    });
    definitions.insert(
        "Upstream".into(),
        json!({ "anyOf": [{ "type": "string" }, table], "description": "its URL, or a table that says more of it" }),
    );
    for group in File::groups() {
        let keys: Map<_, _> = group.keys.iter().map(|key| (key.leaf.to_owned(), property(key))).collect();
        if group.section.is_empty() {
            top.extend(keys);
        } else {
            let about = json!({ "$ref": format!("#/$defs/{}", group.section), "description": group.about.trim() });
            top.insert(group.section.into(), about);
            let section = json!({ "type": "object", "properties": keys, "additionalProperties": false });
            definitions.insert(group.section.into(), section);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Leeward config.toml",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn property(key: &Key) -> Json {
    let mut property = match key.kind {
        Type::Duration => json!({ "$ref": "#/$defs/Duration" }),
        Type::Size => json!({ "$ref": "#/$defs/Size" }),
        Type::Integer | Type::Number | Type::Boolean => json!({ "type": key.kind.name() }),
        Type::Choice(_) => json!({ "enum": key.kind.choices().collect::<Vec<_>>() }),
        Type::Text => json!({ "type": "string" }),
        Type::List => json!({ "type": "array", "items": { "type": "string" } }),
        Type::Table => json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/Upstream" } }),
    };
    if key.section.is_empty() && key.leaf == "upstream" {
        property = json!({ "$ref": "#/$defs/Upstream" });
    }
    let range = key.range.map_or(String::new(), |range| format!(" {}", range.in_words()));
    property["description"] = (key.meaning() + &range).into();
    if let Some(default) = key.default() {
        property["default"] = json!(default);
    }
    if let (Type::Integer | Type::Number, Some(range)) = (key.kind, key.range) {
        let number = |text| json!(constant::<toml::Value>(text));
        (property["minimum"], property["maximum"]) = (number(range.min.text), number(range.max.text));
    }
    property
}

/// A config file that changes nothing: every key commented out, with its meaning and default.
pub fn default_file() -> String {
    let mut text = String::from("# Leeward's config. Every line is a comment: remove the # to change a value.\n");
    for Group { section, about, keys } in File::groups() {
        if !section.is_empty() {
            text.push_str(&format!("\n# {}\n[{section}]\n", about.trim()));
        }
        for key in keys.iter().filter(|key| key.kind != Type::Table) {
            text.push('\n');
            comment(&mut text, key.help());
            if let Type::Choice(choices) = key.kind {
                choices.iter().for_each(|(name, meaning)| comment(&mut text, &format!("{name}: {meaning}")));
            }
            if let Some(range) = key.range {
                comment(&mut text, &range.in_words());
            }
            if let Some(otherwise) = key.otherwise {
                comment(&mut text, &format!("Default: {otherwise}."));
            }
            text.push_str(&format!("# {} = {}\n", key.leaf, key.default.unwrap_or("…")));
        }
    }
    text.push_str("\n# More upstreams, reached as /@NAME/…\n[upstreams]\n# work = \"https://gateway.example.com/anthropic\"\n");
    text
}

/// Words as comments of at most 100 characters a line.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 100 {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::definition::keys;
    use std::path::Path;

    #[test]
    fn every_key_is_described_and_reachable() {
        let (schema, template) = (schema(), default_file());
        for key in keys() {
            let section = if key.section.is_empty() { &schema } else { &schema["$defs"][key.section] };
            assert!(section["properties"][key.leaf]["description"].is_string(), "{} is not in the schema", key.name());
            let line = format!("\n# {} = {}\n", key.leaf, key.default.unwrap_or("…"));
            assert!(key.kind == Type::Table || template.contains(&line), "{} does not say its default", key.name());
        }
        for section in ["retry", "listen"] {
            assert!(schema["properties"][section].is_object(), "{section}");
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
