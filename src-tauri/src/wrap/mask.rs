//! Credentials in an argument or a variable, made unreadable for whoever is shown it.

use serde_json::Value;

/// JSON (also after `--settings=`) with the values of keys that hold credentials replaced; other text as it is.
pub(super) fn without_credentials(text: &str) -> String {
    let at = text.find('{').unwrap_or(0);
    let (prefix, json) = text.split_at(at);
    match serde_json::from_str::<Value>(json) {
        Ok(mut value) if value.is_object() => {
            mask(&mut value);
            format!("{prefix}{value}")
        }
        _ => text.to_owned(),
    }
}

fn mask(value: &mut Value) {
    const SECRET: [&str; 6] = ["key", "token", "secret", "password", "authorization", "cookie"];
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let name = name.to_ascii_lowercase();
                match inner {
                    Value::Object(_) | Value::Array(_) => mask(inner),
                    _ if SECRET.iter().any(|word| name.contains(word)) || name.contains("headers") => *inner = "…".into(),
                    _ => {}
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}
