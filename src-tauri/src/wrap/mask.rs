//! Credentials in an argument or a variable, made unreadable for whoever is shown it.

use serde_json::Value;

/// A URL without its password, JSON (also after `--settings=`) with the values of keys that hold credentials replaced; other text as it is.
pub(super) fn without_credentials(text: &str) -> String {
    if let Some(url) = without_password(text) {
        return url;
    }
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

/// A URL that has a password, without it.
fn without_password(text: &str) -> Option<String> {
    let (scheme, rest) =
        text.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+'))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (login, host) = authority.rsplit_once('@')?;
    let (user, _) = login.split_once(':')?;
    Some(format!("{scheme}://{user}:…@{host}{}", &rest[authority.len()..]))
}

fn mask(value: &mut Value) {
    const SECRET: [&str; 6] = ["key", "token", "secret", "password", "authorization", "cookie"];
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let name = name.to_ascii_lowercase();
                match inner {
                    Value::Object(_) | Value::Array(_) => mask(inner),
                    Value::String(text) if without_password(text).is_some() => {
                        *inner = without_password(text).into();
                    }
                    _ if SECRET.iter().any(|word| name.contains(word)) || name.contains("headers") => *inner = "…".into(),
                    _ => {}
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}
