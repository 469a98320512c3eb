//! Changes the text of a config file key by key; comments, order and spelling of everything else stay. Checks no value.

use serde_json::Value as Json;
use toml_edit::{Array, DocumentMut, Item, Key, Table, TableLike, Value, value};

/// What is set (or, with null, taken out) by dotted key.
pub type Changes = std::collections::BTreeMap<String, Json>;

/// The text with the changes made.
///
/// # Errors
/// The key and a sentence: the file is no TOML, or the value cannot stand in it.
pub(super) fn edit(text: &str, changes: &Changes) -> Result<String, (String, String)> {
    let mut document: DocumentMut =
        text.parse().map_err(|e: toml_edit::TomlError| (String::new(), format!("the file is not TOML: {}", e.message())))?;
    for (key, wanted) in changes {
        // Names of upstreams may have dots in them.
        let (section, leaf) = key.split_once('.').map_or((None, key.as_str()), |(section, leaf)| (Some(section), leaf));
        let refuse = |why: &str| (key.clone(), why.to_owned());
        if wanted.is_null() {
            remove(&mut document, section, leaf);
            continue;
        }
        let item = item(wanted).map_err(refuse)?;
        let table = match section {
            None => document.as_table_mut() as &mut dyn TableLike,
            Some(section) => {
                let entry = document.entry(section).or_insert_with(|| Item::Table(Table::new()));
                entry.as_table_like_mut().ok_or_else(|| refuse("its section is not a table in the file"))?
            }
        };
        put(table, leaf, item);
    }
    Ok(document.to_string())
}

fn put(table: &mut dyn TableLike, leaf: &str, mut item: Item) {
    if let Some(old) = table.get_mut(leaf) {
        // The comment after a value belongs to the line.
        if let (Some(old), Some(new)) = (old.as_value(), item.as_value_mut()) {
            *new.decor_mut() = old.decor().clone();
        }
        *old = item;
    } else {
        table.insert(leaf, item);
    }
}

fn item(json: &Json) -> Result<Item, &'static str> {
    if let Json::Object(entries) = json {
        let mut table = Table::new();
        for (name, entry) in entries {
            table.insert(name, value(plain(entry).ok_or("a table of texts is wanted")?));
        }
        return Ok(Item::Table(table));
    }
    plain(json).map(value).ok_or("this kind of value cannot stand in the config")
}

fn plain(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Bool(b) => (*b).into(),
        Json::Number(n) => match n.as_i64() {
            Some(n) => n.into(),
            None => n.as_f64()?.into(),
        },
        Json::String(s) => s.as_str().into(),
        Json::Array(items) => Value::Array(items.iter().map(plain).collect::<Option<Array>>()?),
        Json::Object(entries) if !entries.is_empty() => {
            let entries = entries.iter().map(|(name, entry)| Some((name.as_str(), plain(entry)?)));
            Value::InlineTable(entries.collect::<Option<_>>()?)
        }
        Json::Null | Json::Object(_) => return None,
    })
}

/// Takes a key out; the comments above it stay, since they may be about other keys as well.
fn remove(document: &mut DocumentMut, section: Option<&str>, leaf: &str) {
    let table: &mut dyn TableLike = match section {
        None => document.as_table_mut(),
        Some(section) => match document.get_mut(section).and_then(Item::as_table_like_mut) {
            Some(table) => table,
            None => return,
        },
    };
    let names: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
    let Some(at) = names.iter().position(|name| name == leaf) else { return };
    let mut above = table.key(leaf).map(comments).unwrap_or_default();
    if let Some(Item::Table(old)) = table.remove(leaf) {
        above = old.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned();
    }
    if !above.contains('#') {
        return;
    }
    // The key after it takes them over, or the next section, or the end of the file.
    let next = names.get(at + 1).filter(|name| table.get(name).is_some_and(Item::is_value));
    if let Some(mut key) = next.and_then(|name| table.key_mut(name)) {
        let own = key.leaf_decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned();
        key.leaf_decor_mut().set_prefix(above + &own);
        return;
    }
    let position = section.and_then(|s| document.get(s)?.as_table()?.position()).unwrap_or(isize::MIN);
    let sections = document.iter_mut().filter_map(|(_, item)| item.as_table_mut());
    let behind = sections.filter(|t| t.position().is_some_and(|p| p > position)).min_by_key(|t| t.position());
    match behind {
        Some(table) => {
            let own = table.decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned();
            table.decor_mut().set_prefix(above + &own);
        }
        None => {
            let own = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(above + &own);
        }
    }
}

fn comments(key: &Key) -> String {
    key.leaf_decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edited(text: &str, changes: Json) -> String {
        edit(text, &serde_json::from_value(changes).unwrap()).unwrap()
    }

    const FILE: &str = "# mine\nlisten = '127.0.0.1:1' # here\n\n# retries\n[retry]\n# why two\nreplays = 2 # two\n# long\ntotal='9s'\n\n[pool]\nsize = 3\n# end\n";

    #[test]
    fn what_is_not_changed_stays_as_it_is() {
        assert_eq!(edited(FILE, json!({})), FILE);
        let text = edited(FILE, json!({ "retry.replays": 5, "listen": "127.0.0.1:2" }));
        assert_eq!(text, FILE.replace("replays = 2", "replays = 5").replace("'127.0.0.1:1'", "\"127.0.0.1:2\""));
    }

    #[test]
    fn new_keys_find_their_section() {
        let text = edited(FILE, json!({ "drain": "1m", "retry.budget": 0.5, "stream.ping": true, "allowed_hosts": ["a"] }));
        assert!(text.contains("drain = \"1m\"\n") && text.find("drain") < text.find("[retry]"), "{text}");
        assert!(text.contains("total='9s'\nbudget = 0.5\n") && text.contains("[stream]\nping = true\n"), "{text}");
        assert!(text.contains("allowed_hosts = [\"a\"]\n"), "{text}");
        assert_eq!(edited("", json!({ "retry.total": "3s" })), "[retry]\ntotal = \"3s\"\n");
        assert_eq!(edited("retry.base = '1s'\n", json!({ "retry.cap": "3s" })), "retry.base = '1s'\nretry.cap = \"3s\"\n");
        assert_eq!(edited("retry = { base = '1s' }\n", json!({ "retry.cap": "3s" })), "retry = { base = '1s' , cap = \"3s\" }\n");
    }

    #[test]
    fn comments_above_a_removed_key_stay() {
        assert_eq!(edited(FILE, json!({ "retry.replays": null })), FILE.replace("replays = 2 # two\n", ""));
        assert_eq!(edited(FILE, json!({ "retry.total": null })), FILE.replace("total='9s'\n", ""));
        assert_eq!(edited(FILE, json!({ "listen": null })), FILE.replace("listen = '127.0.0.1:1' # here\n", ""));
        assert_eq!(edited("# a\nlog = 'x'\n", json!({ "log": null })), "# a\n");
        assert_eq!(edited(FILE, json!({ "retry.cap": null, "tls.client_key": null })), FILE);
    }

    #[test]
    fn tables_of_names_are_set_whole_or_one_by_one() {
        let text = "[upstreams]\n# work\na = 'https://a'\n";
        let one = edited(text, json!({ "upstreams.b.c": "https://b" }));
        assert_eq!(one, "[upstreams]\n# work\na = 'https://a'\n\"b.c\" = \"https://b\"\n");
        let whole = edited(text, json!({ "upstreams": { "x": "https://x" } }));
        assert!(whole.contains("[upstreams]\nx = \"https://x\"") && !whole.contains("https://a"), "{whole}");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for (text, changes, key) in [
            ("= broken", json!({ "log": "x" }), ""),
            ("", json!({ "log": { "a": {} } }), "log"),
            ("", json!({ "log": [null] }), "log"),
            ("retry = 3\n", json!({ "retry.total": "3s" }), "retry.total"),
        ] {
            assert_eq!(edit(text, &serde_json::from_value(changes).unwrap()).unwrap_err().0, key, "{text}");
        }
    }
}
