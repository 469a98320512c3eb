//! All keys of the definition, one by one: what is out of range is refused by name, wherever it was said, and the rest is taken.

use super::*;
use crate::config::{
    Changes, Config, Flags, Paths, Settings, Sources,
    definition::{File, RENAMED, Raw, keys},
    load as load_config, parse_size, schema,
    section::Section,
};
use serde_json::json;
use std::{path::Path, time::Duration};

/// Loads a file with this text and an environment with this variable; where its home is, is nobody's business.
fn load(text: &str, variable: Option<(&str, &str)>) -> Result<Config, String> {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), text).unwrap();
    let env = |name: &str| match (name, variable) {
        ("LEEWARD_HOME", _) => Some(home.path().display().to_string()),
        (name, Some((set, value))) if set == name => Some(value.to_owned()),
        _ => None,
    };
    let loaded = load_config(&Sources { env: &env, flags: Flags::default() });
    let loaded = loaded.map(|config| Config { paths: Paths::under(Path::new("/")), ..config });
    loaded.map_err(|e| e.to_string().replace(&home.path().display().to_string(), "HOME").replace('\\', "/"))
}

/// A file that sets one key; the key stands on its last line.
fn file(section: &str, leaf: &str, value: &str) -> String {
    if section.is_empty() { format!("{leaf} = {value}\n") } else { format!("[{section}]\n{leaf} = {value}\n") }
}

fn place(section: &str) -> &'static str {
    if section.is_empty() { "HOME/config.toml:1" } else { "HOME/config.toml:2" }
}

/// What the engine gets of a file with this text, relations between keys aside.
fn complete(text: &str) -> Result<File, Refusal> {
    File::complete(toml::from_str::<Raw>(text).unwrap())
}

/// The value one step further, as TOML; none where the type has no such value.
fn step(key: &Key, text: &'static str, up: bool) -> Option<String> {
    let value = bare(text);
    Some(match key.kind {
        Type::Duration => {
            let (value, step) = (humantime::parse_duration(value).unwrap(), Duration::from_millis(1));
            let value = if up { value.checked_add(step) } else { value.checked_sub(step) };
            format!("\"{}ms\"", value?.as_millis())
        }
        Type::Size => {
            let value = parse_size(value).unwrap();
            let value = if up { value.checked_add(1) } else { value.checked_sub(1) };
            value?.to_string()
        }
        Type::Integer => {
            let value: u64 = value.parse().unwrap();
            let value = if up { value.checked_add(1) } else { value.checked_sub(1) };
            value?.to_string()
        }
        Type::Number => (value.parse::<f64>().unwrap() + if up { 0.001 } else { -0.001 }).to_string(),
        other => panic!("{}: what is the step of a {}?", key.name(), other.name()),
    })
}

#[test]
fn whatever_can_be_compared_has_a_range() {
    let mut ranges = 0;
    for key in keys() {
        let compared = matches!(key.kind, Type::Duration | Type::Size | Type::Integer | Type::Number);
        assert_eq!(key.range.is_some(), compared, "{}", key.name());
        ranges += usize::from(compared);
    }
    assert!(ranges > 40, "{ranges}");
}

#[test]
fn below_the_least_and_above_the_most_is_refused_by_name() {
    for key in keys() {
        let Some(range) = key.range else { continue };
        let name = key.name();
        for (limit, up, words) in [(range.min, false, "least"), (range.max, true, "most")] {
            let Some(value) = step(key, limit.text, up) else { continue };
            let refused = format!("must be at {words} {}", bare(limit.text));
            let got = load(&file(key.section, key.leaf, &value), None).unwrap_err();
            assert!(got.starts_with(&format!("{}: {name}: {refused}", place(key.section))), "{name} = {value}: {got}");
            assert!(got.contains(limit.why.unwrap_or_default()), "{name} = {value}: {got}");
            let variable = key.variable().unwrap();
            let got = load("", Some((&variable, bare(&value)))).unwrap_err();
            assert!(got.starts_with(&format!("{variable}: {refused}")), "{name} = {value}: {got}");
        }
        // What no type of number holds is refused as well.
        for value in ["-1", "nan", "'999999999y'", "'99999999999GiB'"] {
            assert!(load(&file(key.section, key.leaf, value), None).is_err(), "{name} = {value}");
        }
    }
}

#[test]
fn both_limits_and_off_are_taken() {
    for key in keys() {
        let Some(range) = key.range else { continue };
        for text in [Some(range.min.text), Some(range.max.text), range.off].into_iter().flatten() {
            assert_eq!(complete(&file(key.section, key.leaf, text)).err(), None, "{} = {text}", key.name());
        }
        if let Some(off) = range.off {
            let (off, min): (Value, Value) = (constant(off), constant(range.min.text));
            assert_ne!(off, min, "{}: what is in the range needs no exception", key.name());
        }
    }
}

#[test]
fn a_default_is_in_range_and_is_what_the_engine_gets() {
    let nothing_said = complete("").unwrap();
    assert_eq!(load("", None).unwrap().limits, nothing_said.limits);
    for key in keys() {
        let Some(text) = key.default else { continue };
        let said = complete(&file(key.section, key.leaf, text)).unwrap_or_else(|e| panic!("{} = {text}: {e:?}", key.name()));
        assert_eq!(said, nothing_said, "{} = {text}", key.name());
        if let Type::Choice(_) = key.kind {
            assert_eq!(key.kind.choices().next(), Some(bare(text)), "{}: the type's own default is its first", key.name());
        }
    }
}

#[test]
fn each_key_can_be_said_in_the_environment() {
    for key in keys() {
        let (Some(variable), Some(default)) = (key.variable(), key.default) else { continue };
        assert_eq!(load("", Some((&variable, bare(default)))), load("", None), "{variable}={default}");
        if key.kind != Type::Text && key.kind != Type::List {
            let got = load("", Some((&variable, "nonsense"))).unwrap_err();
            assert!(got.starts_with(&format!("{variable}: ")) && got.contains("nonsense"), "{got}");
        }
    }
}

#[test]
fn a_misspelt_key_is_refused_with_its_place_and_the_nearest_one() {
    for key in keys() {
        let wrong = format!("{}x", key.leaf);
        let got = load(&file(key.section, &wrong, "1"), None).unwrap_err();
        let want = format!("{}:1: there is no key `{wrong}`; did you mean `{}`?", place(key.section), key.leaf);
        assert_eq!(got, want);
    }
}

#[test]
fn a_renamed_key_is_refused_with_its_place_and_its_new_name() {
    let settings = Settings::with(|name| (name == "LEEWARD_HOME").then(|| "/nowhere".into()), Flags::default());
    for (old, new) in RENAMED {
        assert!(keys().any(|key| key.name() == new) && !keys().any(|key| key.name() == old), "{old} is {new}");
        let (section, leaf) = old.split_once('.').unwrap();
        assert_eq!(new.split_once('.').unwrap().0, section, "the place of a key is not looked for in other sections");
        let sentence = format!("`{old}` is called `{new}` now");
        assert_eq!(
            load(&format!("\n[{section}]\n  {leaf} = '1s'"), None).unwrap_err(),
            format!("HOME/config.toml:3:3: {sentence}")
        );
        let got = load("", Some((&variable(old), "1s"))).unwrap_err();
        assert_eq!(got, format!("{}: this variable is called {} now", variable(old), variable(new)));
        let changes = Changes::from([(old.to_owned(), json!("1s"))]);
        assert_eq!(settings.check(&changes).unwrap()[0].message, sentence);
    }
}

#[test]
fn each_key_says_what_it_means() {
    for key in keys() {
        let (name, help) = (key.name(), key.help());
        assert!(help.ends_with('.') && !help.contains(['\n', '|']) && !help.contains("  "), "{name}: {help:?}");
        let schema = schema();
        let property = match key.section {
            "" => &schema["properties"][key.leaf],
            section => &schema["$defs"][section]["properties"][key.leaf],
        };
        assert!(property["description"].as_str().unwrap().starts_with(help), "{name}: {property}");
        let default = key.default.map(|_| serde_json::to_value(key.default()).unwrap());
        assert_eq!(property.get("default"), default.as_ref(), "{name}");
    }
}
