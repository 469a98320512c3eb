//! Where an agent is: PATH, folders of package managers, extensions of editors, plugins of IDEs, desktop applications. Reads names
//! and manifests; starts nothing.

use super::{
    places::{Places, entries, slashed},
    table::{Known, Table},
};
use crate::{
    doctor::installed_version,
    status::coverage::{Install, InstallKind},
    wrap::Profile,
};
use serde_json::Value;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Every place in which an agent is, PATH first.
pub(super) fn installs(profile: &Profile, known: &Known, table: &Table, places: &Places) -> Vec<Install> {
    let mut found = programs(profile, known, table, places);
    for editor in &table.editor {
        let folders = editor.at.iter().flat_map(|place| places.find(place));
        found.extend(folders.flat_map(|folder| extensions(&folder, known, &editor.of)));
    }
    for ide in table.ide.iter().filter(|ide| ide.system == places.system) {
        let folders = ide.at.iter().flat_map(|place| places.find(place));
        found.extend(folders.flat_map(|folder| plugins(&folder, known)));
    }
    for app in known.apps.iter().filter(|app| app.system == places.system) {
        for path in places.find(&app.file) {
            let version = installed_version(&path, None).or_else(|| bundle_version(&path));
            found.push(Install { kind: InstallKind::App, of: app.title.clone(), path, version });
        }
    }
    found
}

fn programs(profile: &Profile, known: &Known, table: &Table, places: &Places) -> Vec<Install> {
    let mut found: Vec<(PathBuf, Install)> = Vec::new();
    let path = places.var("PATH").unwrap_or_default();
    // A relative entry of PATH means another folder in each program.
    let in_path = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let of_path = in_path.map(|folder| (folder, InstallKind::Program, "PATH"));
    let own = profile.also_in.iter().flat_map(|place| places.find(place));
    let own = own.map(|folder| (folder, InstallKind::Program, "its installer"));
    let others = table.folder.iter().flat_map(|folder| {
        let at = folder.at.iter().flat_map(|place| places.find(place));
        at.map(|at| (at, folder.kind.into(), folder.of.as_str()))
    });
    for (folder, kind, of) in of_path.chain(own).chain(others) {
        for path in executables(&profile.programs, &folder) {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if found.iter().any(|(known, _)| *known == real) {
                continue;
            }
            let (kind, of) = who(&real, known, table).unwrap_or((kind, of.to_owned()));
            let version = installed_version(&path, known.package.as_deref()).or_else(|| python_version(&real, known));
            found.push((real, Install { kind, of, path, version }));
        }
    }
    found.into_iter().map(|(_, install)| install).collect()
}

/// The programs of these names in a folder, as the system would start them.
fn executables(names: &[String], folder: &Path) -> Vec<PathBuf> {
    let folder: OsString = folder.into();
    let found = names.iter().filter_map(|name| which::which_in_global(name, Some(folder.clone())).ok()?.next());
    found.collect()
}

/// Who put a program where it really is, if that can be seen.
fn who(real: &Path, known: &Known, table: &Table) -> Option<(InstallKind, String)> {
    let path = slashed(real);
    if let Some(trace) = table.trace.iter().find(|trace| path.contains(&trace.part)) {
        return Some((trace.kind.into(), trace.of.clone()));
    }
    let package = known.package.as_ref()?;
    path.contains(&format!("/node_modules/{package}/")).then(|| (InstallKind::Npm, "npm".to_owned()))
}

/// The version of a Python distribution: its dist-info folder is beside what its program runs.
fn python_version(real: &Path, known: &Known) -> Option<String> {
    let name = format!("{}-", known.python.as_ref()?);
    let environment = real.parent()?.parent()?;
    let libraries = entries(&environment.join("lib")).into_iter().map(|python| python.join("site-packages"));
    let libraries = libraries.chain([environment.join("Lib").join("site-packages")]);
    let info = libraries.flat_map(|folder| entries(&folder)).find_map(|info| {
        let info = info.file_name()?.to_str()?.strip_suffix(".dist-info")?.strip_prefix(&name)?.to_owned();
        Some(info)
    });
    info.filter(|version| is_version(version))
}

/// The extensions of an agent in a folder; those that the editor is about to remove are left out.
fn extensions(folder: &Path, known: &Known, of: &str) -> Vec<Install> {
    let gone: Option<Value> = std::fs::read(folder.join(".obsolete")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let is_gone = |name: &str| gone.as_ref().and_then(|gone| gone.get(name)) == Some(&Value::Bool(true));
    let found = entries(folder).into_iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let id = known.extensions.iter().find(|id| name.strip_prefix(id.as_str()).is_some_and(|rest| rest.starts_with('-')))?;
        if is_gone(&name) || !path.is_dir() {
            return None;
        }
        let version = manifest_version(&path).or_else(|| first_version(&name[id.len()..]));
        Some(Install { kind: InstallKind::Extension, of: of.to_owned(), path, version })
    });
    found.collect()
}

fn manifest_version(extension: &Path) -> Option<String> {
    let text = std::fs::read_to_string(extension.join("package.json")).ok()?;
    let manifest: Value = serde_json::from_str(&text).ok()?;
    manifest.get("version")?.as_str().filter(|version| is_version(version)).map(str::to_owned)
}

/// The plugins of an agent in the folder of an IDE.
fn plugins(folder: &Path, known: &Known) -> Vec<Install> {
    let ide = folder.iter().rev().filter_map(|part| part.to_str()).find(|part| *part != "plugins").unwrap_or_default();
    let found = known.plugins.iter().map(|plugin| (plugin, folder.join(plugin))).filter(|(_, path)| path.is_dir());
    let found = found.map(|(plugin, path)| {
        let jars = entries(&path.join("lib")).into_iter();
        let version = jars.filter_map(|jar| Some(jar.file_stem()?.to_str()?.strip_prefix(plugin.as_str())?.to_owned()));
        let version = version.filter_map(|rest| first_version(&rest)).next();
        Install { kind: InstallKind::Extension, of: ide.to_owned(), path, version }
    });
    found.collect()
}

/// The version in the Info.plist of an application's folder, where that is text.
fn bundle_version(app: &Path) -> Option<String> {
    let text = std::fs::read_to_string(app.join("Contents").join("Info.plist")).ok()?;
    let (_, after) = text.split_once("<key>CFBundleShortVersionString</key>")?;
    let (version, _) = after.split_once("<string>")?.1.split_once("</string>")?;
    Some(version.trim().to_owned()).filter(|version| is_version(version))
}

/// The first part between `-` that is a version.
fn first_version(text: &str) -> Option<String> {
    text.split(['-', '_']).find(|part| part.contains('.') && is_version(part)).map(str::to_owned)
}

/// Begins with a digit, and has nothing in it that no version has.
pub(super) fn is_version(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

#[cfg(test)]
#[path = "installs_tests.rs"]
mod tests;
