//! `cargo xtask package npm`: the package `leeward` and one for each platform's programs, as `npm pack` makes them. No package
//! has an install script: newer npm runs none.

use crate::{
    release::{
        parts::{Built, Entry, Programs, version},
        platforms::{PLATFORMS, Platform},
        sha256,
    },
    shell::{Shell, built, root, target},
    ui,
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

const LAUNCHER: &str = include_str!("../../../packaging/npm/launch.js");
const README: &str = include_str!("../../../packaging/npm/README.md");
const ABOUT: &str = "The calm side of your coding agent's network: a hardened local proxy between coding agents and their APIs";
/// The oldest Node that knows all of the launcher's syntax.
const NODE: &str = ">=16";

/// `cargo xtask package npm [--program [PLATFORM=]PATH]… [--tray [PLATFORM=]PATH]… [--out FOLDER]`.
pub(crate) fn run(words: Vec<String>) -> Result<ExitCode> {
    let mut words = words.into_iter();
    ensure!(words.next().as_deref() == Some("npm"), "`cargo xtask package` knows `npm`");
    let (mut programs, mut out) = (Programs::default(), target().join("npm"));
    while let Some(flag) = words.next() {
        let word = words.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--program" | "--tray" => programs.add(&flag, &word)?,
            "--out" => out = std::path::absolute(word)?,
            _ => bail!("`cargo xtask package npm` does not know `{flag}`; it knows --program, --tray and --out"),
        }
    }
    let mut list = programs.list();
    if list.is_empty() {
        super::build()?;
        let platform = Platform::here().context("this machine's platform has no name here")?;
        list.push(Built { platform, program: built("leeward", true), tray: None });
    }
    for file in make(&list, &out)? {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Lays all packages out below `out` and packs those that have a program; the platforms' first, as they have to be published.
pub(crate) fn make(list: &[Built], out: &Path) -> Result<Vec<PathBuf>> {
    ui::require_node()?;
    let version = version()?;
    let laid = out.join("laid-out");
    if laid.exists() {
        fs::remove_dir_all(&laid)?;
    }
    let mut made = Vec::new();
    for platform in &PLATFORMS {
        let folder = laid.join(name(platform));
        match list.iter().find(|built| built.platform == platform) {
            Some(built) => {
                write(&folder, &of_platform(built, &version)?)?;
                made.push(pack(&folder, out)?);
            }
            None => write(&folder, &without_program(platform, &version)?)?,
        }
    }
    let folder = laid.join("leeward");
    write(&folder, &main(list, &version)?)?;
    made.push(pack(&folder, out)?);
    Ok(made)
}

fn name(platform: &Platform) -> String {
    format!("leeward-{}", platform.id)
}

fn manifest(name: &str, version: &str) -> Value {
    json!({ "name": name, "version": version, "description": ABOUT, "license": "Apache-2.0" })
}

fn json(value: &Value) -> Result<Entry> {
    Ok(Entry::text("package.json", serde_json::to_string_pretty(value)? + "\n"))
}

/// The package that people name: the launcher and which programs belong to it.
fn main(list: &[Built], version: &str) -> Result<Vec<Entry>> {
    let mut about = manifest("leeward", version);
    about["bin"] = json!({ "leeward": "bin/leeward.js", "leeward-tray": "bin/leeward-tray.js" });
    about["files"] = json!(["bin", "lib"]);
    about["engines"] = json!({ "node": NODE });
    let mut sums = json!({});
    for built in list {
        about["optionalDependencies"][name(built.platform)] = json!(version);
        sums[name(built.platform)] = json!(sha256(&fs::read(&built.program)?));
    }
    let trays: Vec<_> = list.iter().filter(|built| built.tray.is_some()).map(|built| built.platform.id).collect();
    about["leeward"] = json!({ "sha256": sums, "tray": trays });
    let start = |program: &str| Entry {
        path: format!("bin/{program}.js"),
        bytes: format!("#!/usr/bin/env node\n\"use strict\";\nrequire(\"../lib/launch.js\")(\"{program}\");\n").into_bytes(),
        program: true,
    };
    let licence = Entry::text("LICENSE", fs::read_to_string(root().join("LICENSE"))?);
    let (launcher, readme) = (Entry::text("lib/launch.js", LAUNCHER), Entry::text("README.md", README));
    Ok(vec![json(&about)?, start("leeward"), start("leeward-tray"), launcher, readme, licence])
}

/// A platform's package, without its program.
fn platform(platform: &Platform, version: &str) -> Value {
    let mut about = manifest(&name(platform), version);
    about["os"] = json!([platform.os]);
    about["cpu"] = json!([platform.cpu]);
    if let Some(libc) = platform.libc {
        about["libc"] = json!([libc]);
    }
    // A program can't be run out of yarn's archives.
    about["preferUnplugged"] = json!(true);
    about["files"] = json!(["bin", "share"]);
    about
}

fn of_platform(built: &Built, version: &str) -> Result<Vec<Entry>> {
    let mut entries = built.entries()?;
    entries.push(json(&platform(built.platform, version))?);
    entries.push(Entry::text("README.md", format!("The programs of `leeward` for {}.\n", built.platform.id)));
    Ok(entries)
}

/// Never packed and never published: npm refuses a private package.
fn without_program(missing: &Platform, version: &str) -> Result<Vec<Entry>> {
    let mut about = platform(missing, version);
    about["private"] = json!(true);
    let says = format!(
        "The program for {id} is missing: it was not built on this machine. Build it there for {triple}, then\n\
         `cargo xtask package npm --program {id}=PATH` makes this package.\n",
        id = missing.id,
        triple = missing.triple
    );
    Ok(vec![json(&about)?, Entry::text("README.md", says)])
}

fn write(folder: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries {
        let file = folder.join(&entry.path);
        fs::create_dir_all(file.parent().context("a file stands in a folder")?)?;
        fs::write(&file, &entry.bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if entry.program { 0o755 } else { 0o644 };
            fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}

fn pack(folder: &Path, out: &Path) -> Result<PathBuf> {
    let npm = Shell::new("npm pack --silent --ignore-scripts --offline --pack-destination").arg(out).within(folder);
    let name = npm.read()?;
    Ok(out.join(name.lines().last().context("npm pack named no file")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_has_a_script() {
        for entry in main(&[], "1.2.3").unwrap().iter().filter(|entry| entry.path == "package.json") {
            assert!(!String::from_utf8_lossy(&entry.bytes).contains("scripts"));
        }
        assert!(PLATFORMS.iter().all(|p| platform(p, "1.2.3").get("scripts").is_none()));
    }

    #[test]
    fn a_platform_without_a_program_cannot_be_published() {
        for missing in &PLATFORMS {
            let entries = without_program(missing, "1.2.3").unwrap();
            let about: Value = serde_json::from_slice(&entries[0].bytes).unwrap();
            assert_eq!((&about["private"], &about["os"]), (&json!(true), &json!([missing.os])));
            assert!(String::from_utf8_lossy(&entries[1].bytes).contains(missing.triple));
        }
    }
}
