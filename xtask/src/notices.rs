//! What the packages owe the authors of what is in them: the licence of each crate and script that is linked or bundled,
//! with its text as it lies in its source.

use crate::shell::{Shell, root};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// What Vite puts into the panel's script, by folder of `ui/node_modules`.
const SCRIPTS: [&str; 3] = ["svelte", "uplot", "@tauri-apps/api"];
/// How a file with a licence is called, in capitals.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// One crate or script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    name: String,
    version: String,
    licence: String,
    home: String,
}

/// The page: all works with their licences, then each text once, with those that it covers.
pub(crate) fn page() -> Result<String> {
    let line = "tree --locked --package leeward-tray --features tray --edges normal,no-proc-macro --prefix none --format";
    let tree = Shell::cargo(line).arg("{p}|{l}|{r}").read()?;
    let mut works: BTreeMap<Work, PathBuf> = BTreeMap::new();
    for work in crates(&tree) {
        let source = source(&work)?;
        works.insert(work, source);
    }
    for name in SCRIPTS {
        let source = root().join("ui").join("node_modules").join(name);
        let about = fs::read_to_string(source.join("package.json")).with_context(|| format!("{name} is not installed"))?;
        let said = |key: &str| field(&about, key).with_context(|| format!("{name} does not say its {key}"));
        let work = Work { name: name.into(), version: said("version")?, licence: said("license")?, home: String::new() };
        works.insert(work, source);
    }
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut page = String::from("Leeward contains the following works of others, each under the licence named beside it.\n\n");
    for (work, source) in &works {
        let Work { name, version, licence, home } = work;
        page += &format!("{name} {version}: {licence} {home}\n");
        for text in read(source)? {
            texts.entry(text).or_default().insert(format!("{name} {version}"));
        }
    }
    ensure!(works.len() > 100 && texts.len() > 20, "only {} works with {} texts were found", works.len(), texts.len());
    for (text, covers) in texts {
        let covers = covers.into_iter().collect::<Vec<_>>().join(", ");
        page += &format!("\n\n{}\n{covers}\n\n{text}\n", "=".repeat(80));
    }
    Ok(page)
}

/// The crates of others in what `cargo tree` prints.
fn crates(tree: &str) -> BTreeSet<Work> {
    let work = |line: &str| {
        let mut parts = line.trim_end_matches(" (*)").split('|');
        let (name, version) = parts.next()?.split_once(" v")?;
        // With a folder after it, it is our own.
        (!version.contains(' ')).then(|| Work {
            name: name.into(),
            version: version.into(),
            licence: parts.next().unwrap_or_default().into(),
            home: parts.next().unwrap_or_default().into(),
        })
    };
    tree.lines().filter_map(work).collect()
}

/// Where cargo has unpacked a crate.
fn source(Work { name, version, .. }: &Work) -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let registries = home.context("there is no home folder")?.join("registry").join("src");
    let found = fs::read_dir(&registries).with_context(|| format!("cannot read {}", registries.display()))?;
    let mut folders = found.flatten().map(|registry| registry.path().join(format!("{name}-{version}")));
    match folders.find(|folder| folder.is_dir()) {
        Some(folder) => Ok(folder),
        None => bail!("the source of {name} {version} is not below {}: its licence is missing", registries.display()),
    }
}

/// The licences' texts that lie in a folder.
fn read(source: &Path) -> Result<Vec<String>> {
    let mut files: Vec<_> =
        fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?.flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    let is_licence = |file: &&fs::DirEntry| {
        let name = file.file_name().to_string_lossy().to_uppercase();
        NAMES.iter().any(|start| name.starts_with(start)) && file.path().is_file()
    };
    let text = |file: &fs::DirEntry| Some(String::from_utf8_lossy(&fs::read(file.path()).ok()?).trim().replace('\r', ""));
    Ok(files.iter().filter(is_licence).filter_map(text).collect())
}

/// A text at the top of a `package.json`, which npm writes with one key a line.
fn field(json: &str, key: &str) -> Option<String> {
    let line = json.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{key}\":")))?;
    Some(line.trim().trim_end_matches(',').trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_crates_are_no_works_of_others() {
        let tree =
            "leeward-tray v0.1.0 (/x)|Apache-2.0|\ntokio v1.2.3|MIT|https://tokio.rs\ntokio v1.2.3|MIT|https://tokio.rs (*)\n";
        let found: Vec<_> = crates(tree).into_iter().map(|w| (w.name, w.version, w.licence, w.home)).collect();
        assert_eq!(found, [("tokio".into(), "1.2.3".into(), "MIT".into(), "https://tokio.rs".into())]);
    }

    #[test]
    fn a_package_says_its_licence() {
        let json = "{\n  \"name\": \"uplot\",\n\t\"license\": \"MIT\",\n}";
        assert_eq!((field(json, "license").as_deref(), field(json, "version")), (Some("MIT"), None));
    }
}
