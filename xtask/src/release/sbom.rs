//! What is in a release, as CycloneDX: every crate that is linked on some platform, with the checksum that Cargo.lock has.
//! Without a random serial number: the same crates give the same bytes.

use crate::{
    release::archive::date,
    shell::{Shell, root},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The text of the file.
pub(crate) fn make(version: &str, time: u64) -> Result<String> {
    let metadata = Shell::cargo("metadata --locked --offline --format-version 1 --features tray").read()?;
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let bom = bom(&serde_json::from_str(&metadata)?, &checksums(&lock), version, time)?;
    Ok(serde_json::to_string_pretty(&bom)? + "\n")
}

fn bom(metadata: &Value, sums: &BTreeMap<String, String>, version: &str, time: u64) -> Result<Value> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<_, _> =
        list(&metadata["packages"]).into_iter().map(|package| (text(&package, "id"), package)).collect();
    let top = packages.values().find(|package| package["name"] == "leeward-tray").context("cargo names no leeward-tray")?;
    // What is linked: neither what builds it nor what tests it.
    let linked = |node: &Value| -> BTreeSet<String> {
        let deps = list(&node["deps"]).into_iter();
        deps.filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
            .map(|dep| text(&dep, "pkg"))
            .collect()
    };
    let graph: BTreeMap<_, _> = list(&metadata["resolve"]["nodes"]).iter().map(|node| (text(node, "id"), linked(node))).collect();
    let (mut open, mut seen) = (vec![text(top, "id")], BTreeSet::new());
    while let Some(id) = open.pop() {
        if seen.insert(id.clone()) {
            open.extend(graph.get(&id).into_iter().flatten().cloned());
        }
    }
    ensure!(seen.len() > 1, "cargo names nothing that leeward-tray is linked to");
    let purl = |id: &String| {
        let package = &packages[id];
        format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
    };
    let mut components = BTreeMap::new();
    let mut dependencies = BTreeMap::new();
    for id in &seen {
        let package = packages.get(id).with_context(|| format!("cargo does not describe {id}"))?;
        let purl_ = purl(id);
        let on: BTreeSet<_> = graph[id].iter().map(purl).collect();
        dependencies.insert(purl_.clone(), json!({ "ref": purl_, "dependsOn": on }));
        if id == &text(top, "id") {
            continue;
        }
        let (name, version) = (text(package, "name"), text(package, "version"));
        let mut component = json!({ "type": "library", "bom-ref": purl_, "name": name, "version": version, "purl": purl_ });
        if let Some(licence) = package["license"].as_str() {
            // The older way to write it.
            component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
        }
        if let Some(sum) = sums.get(&format!("{name} {version}")) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        components.insert(purl_, component);
    }
    let ((year, month, day), clock) = (date(time), time % 86_400);
    let stamp = format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", clock / 3600, clock / 60 % 60, clock % 60);
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": stamp,
            "component": {
                "type": "application",
                "bom-ref": purl(&text(top, "id")),
                "name": "leeward",
                "version": version,
                "licenses": [{ "license": { "id": "Apache-2.0" } }],
            },
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    }))
}

/// By `name version`.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let package = |block: &str| {
        let field = |key: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")))?;
            Some(line.trim_end_matches('"').to_owned())
        };
        Some((format!("{} {}", field("name")?, field("version")?), field("checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_is_named() {
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let dep = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("leeward-tray"), package("linked"), package("below"), package("builds"), package("tests")],
            "resolve": { "nodes": [
                { "id": "leeward-tray", "deps": [dep("linked", Value::Null), dep("builds", json!("build")), dep("tests", json!("dev"))] },
                { "id": "linked", "deps": [dep("below", Value::Null)] },
                { "id": "below", "deps": [] },
            ] },
        });
        let sums = checksums(
            "[[package]]\nname = \"linked\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n\n[[package]]\nname = \"own\"\nversion = \"1\"\n",
        );
        let bom = bom(&metadata, &sums, "1.2.3", 0).unwrap();
        let names: Vec<_> = bom["components"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["below", "linked"]);
        assert_eq!(bom["components"][1]["hashes"][0]["content"], "abc");
        assert_eq!(bom["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bom["metadata"]["timestamp"], "1970-01-01T00:00:00Z");
    }
}
