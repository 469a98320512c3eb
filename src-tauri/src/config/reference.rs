//! The reference page `docs/configuration.md`: what stands above its line `## Keys` is written by hand, the rest is made
//! here from the definition. For tests alone; the program knows nothing of it.

use super::{
    definition::{File, RENAMED, keys},
    key::{Group, Key, Range, Secrecy, Type, bare},
    section::Section,
};
use std::path::Path;

/// Set to write the page instead of comparing it, as for the panel's types.
const RENEW: &str = "LEEWARD_RENEW";
const KEYS: &str = "\n## Keys\n";

#[test]
fn the_reference_page_is_what_the_definition_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let stands = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    let (by_hand, _) = stands.split_once(KEYS).unwrap();
    let page = format!("{by_hand}{KEYS}{}", generated());
    #[allow(clippy::disallowed_methods, reason = "asked by whoever runs the test")]
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&path, &page).unwrap();
        return;
    }
    assert!(by_hand.contains(&format!("{RENEW}=1 cargo test --lib reference")), "the head does not say how to renew the page");
    assert!(stands == page, "docs/configuration.md is not what the definition says; renew it as its head says");
    let nothing_said = complete("");
    for key in keys() {
        let name = key.name();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        let told = row.split('|').nth(3).unwrap().trim();
        let Some(value) = told.strip_prefix('`').and_then(|told| told.strip_suffix('`')) else {
            assert!(matches!(key.default, None | Some("[]" | "{}")), "{name}: {told}");
            continue;
        };
        let plain = matches!(key.kind, Type::Integer | Type::Number | Type::Boolean);
        let value = if plain { value.to_owned() } else { format!("\"{value}\"") };
        assert_eq!(complete(&format!("{name} = {value}")), nothing_said, "{name}: the page tells another default");
    }
}

/// What the engine gets of a file with this text.
fn complete(text: &str) -> File {
    File::complete(toml::from_str(text).unwrap()).unwrap()
}

fn generated() -> String {
    let mut page = String::new();
    for Group { section, about, keys } in File::groups() {
        let heading = if section.is_empty() { "General".to_owned() } else { format!("`[{section}]`") };
        page += &format!("\n### {heading}\n\n{}\n\n", about.trim());
        page += "| key | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n";
        for key in keys {
            page += &row(key);
        }
    }
    page += "\n## Renamed keys\n\nAn old name is an error that tells the new one.\n\n| old | new |\n| --- | --- |\n";
    for (old, new) in RENAMED {
        page += &format!("| `{old}` | `{new}` |\n");
    }
    page
}

fn row(key: &Key) -> String {
    let default = match (key.default, key.otherwise) {
        (_, Some(sentence)) => sentence.into(),
        (None | Some("[]" | "{}"), None) => "none".into(),
        (Some(value), None) => format!("`{}`", bare(value)),
    };
    let unit = key.range.and_then(|range| range.unit).map_or(String::new(), |unit| format!(", {unit}"));
    let kind = format!("{}{unit}", key.kind.name());
    let range = key.range.map_or(String::new(), range);
    let mut meaning = key.help().to_owned();
    if let Type::Choice(choices) = key.kind {
        meaning.extend(choices.iter().map(|(name, means)| format!("<br>`{name}`: {}", means.trim())));
    }
    match key.secrecy {
        Some(Secrecy::Always) => meaning.push_str(" It is never shown."),
        Some(Secrecy::WithLogin) => meaning.push_str(" The last two are never shown."),
        None => {}
    }
    format!("| `{}` | {kind} | {default} | {range} | {meaning} |\n", key.name())
}

fn range(range: Range) -> String {
    let limit = |limit: super::key::Limit| {
        format!("`{}`{}", bare(limit.text), limit.why.map_or(String::new(), |why| format!(" ({why})")))
    };
    let off = range.off.map_or(String::new(), |off| format!("; `{}` switches it off", bare(off)));
    format!("{} to {}{off}", limit(range.min), limit(range.max))
}
