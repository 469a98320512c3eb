//! Every key with its value, its default and who decides it, for the panel. Secrets are never in it.

use super::{
    company_proxy::ProxyChoice,
    definition,
    key::{Key, Secrecy, bare},
    types::Config,
    written::written,
};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// `GET /_leeward/v1/config`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "ConfigView"))]
pub struct View {
    /// The file.
    pub path: String,
    /// False while there is no file: everything is at its default then.
    pub exists: bool,
    /// Why the file as it is now is not in force; the values are those in force then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub problem: Option<String>,
    /// In the order of the definition.
    pub keys: Vec<KeyView>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "ConfigKey"))]
pub struct KeyView {
    /// Dotted: `retry.total`.
    pub key: String,
    /// `retry`; empty at the top.
    pub section: String,
    /// `duration`, `size`, `integer`, `number`, `boolean`, `choice`, `text`, `list` or `table`.
    #[cfg_attr(
        test,
        ts(
            type = "\"duration\" | \"size\" | \"integer\" | \"number\" | \"boolean\" | \"choice\" | \"text\" | \"list\" | \"table\""
        )
    )]
    pub kind: &'static str,
    /// Of a choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(as = "Option<Vec<String>>", optional))]
    pub choices: Vec<String>,
    /// What it means, in a sentence or two; of a choice, what each one means.
    pub help: String,
    /// The least value, as it would be written in the file without quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub min: Option<&'static str>,
    /// The greatest value, written likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub max: Option<&'static str>,
    /// A value below `min` that switches the feature off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub off: Option<&'static str>,
    /// What an integer counts: `threads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub unit: Option<&'static str>,
    /// As it would be written in the file; null where there is none.
    #[cfg_attr(test, ts(type = "unknown"))]
    pub default: Json,
    /// The value in force, as it is or would be written in the file; of `upstreams`, what the file adds.
    #[cfg_attr(test, ts(type = "unknown"))]
    pub value: Json,
    /// `default`, `file`, `environment` or `flag`.
    #[cfg_attr(test, ts(type = "\"default\" | \"file\" | \"environment\" | \"flag\""))]
    pub from: &'static str,
    /// The variable or flag that decides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub variable: Option<String>,
    /// True when the value is not shown.
    pub secret: bool,
    /// True when it is anything but the default.
    pub set: bool,
}

/// What a view is made from.
pub(super) struct Parts<'a> {
    /// In force.
    pub(super) config: &'a Config,
    /// What nobody says anything about.
    pub(super) defaults: &'a Config,
    /// The file's text, as far as it is TOML.
    pub(super) file: Table,
    /// As `load::overlay`.
    pub(super) overlay: BTreeMap<String, String>,
}

pub(super) fn all(parts: &Parts<'_>) -> Vec<KeyView> {
    let (in_force, defaults) = (written(parts.config), written(parts.defaults));
    definition::keys().map(|key| one(key, parts, &in_force, &defaults)).collect()
}

fn one(key: &Key, parts: &Parts<'_>, in_force: &Table, defaults: &Table) -> KeyView {
    let name = key.name();
    let variable = parts.overlay.get(&name).cloned();
    let in_file = find(&parts.file, &name);
    let from = match &variable {
        Some(name) if name.starts_with("--") => "flag",
        Some(_) => "environment",
        None if in_file.is_some() => "file",
        None => "default",
    };
    let default = key.default().as_ref().or(find(defaults, &name)).map(json).unwrap_or_default();
    let secret = is_secret(key, parts.config);
    let value = match (secret, from, in_file) {
        (true, ..) => Json::Null,
        (false, "default", _) => default.clone(),
        (false, "file", Some(value)) => json(value),
        _ => find(in_force, &name).map(json).unwrap_or_default(),
    };
    let range = key.range;
    KeyView {
        section: key.section.to_owned(),
        kind: key.kind.name(),
        choices: key.kind.choices().map(str::to_owned).collect(),
        help: key.meaning(),
        min: range.map(|range| bare(range.min.text)),
        max: range.map(|range| bare(range.max.text)),
        off: range.and_then(|range| range.off).map(bare),
        unit: range.and_then(|range| range.unit),
        default,
        value,
        from,
        variable,
        secret,
        set: from != "default",
        key: name,
    }
}

fn is_secret(key: &Key, config: &Config) -> bool {
    match key.secrecy {
        Some(Secrecy::Always) => true,
        Some(Secrecy::WithLogin) => matches!(&config.proxy.url, ProxyChoice::Named(proxy) if proxy.login.is_some()),
        None => false,
    }
}

fn find<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((section, leaf)) => table.get(section)?.get(leaf),
        None => table.get(key),
    }
}

fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}
