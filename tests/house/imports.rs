//! Which file imports which, read from the sources, and the circles among them. Judges nothing.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// A module's path from the crate's root: `["upstream", "pool", "origin"]`.
type Module = Vec<String>;

/// The files of the library and what each of them names of the others; tests are left out.
pub struct Imports {
    /// By file: the files that it names.
    edges: BTreeMap<String, BTreeSet<String>>,
}

/// What is known of the modules before imports can be resolved.
struct Map {
    /// The files of a module: several where the platform chooses.
    files: BTreeMap<Module, Vec<String>>,
    /// What a module's file says with `pub use`: the name, and where it leads.
    exports: BTreeMap<(Module, String), Module>,
}

impl Imports {
    /// Reads the files below `src-tauri/src/` that belong to the library.
    pub fn of(library: &[Source]) -> Self {
        let files: Vec<_> = library.iter().filter(|file| !is_test(&file.path)).map(|f| (f, without_tests(&f.code))).collect();
        let mut map = Map { files: BTreeMap::new(), exports: BTreeMap::new() };
        for (file, _) in &files {
            map.files.entry(module_of(&file.path)).or_default().push(file.path.clone());
        }
        for (file, code) in &files {
            let own = module_of(&file.path);
            for (name, chosen) in chosen_modules(&file.text) {
                let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let mut alias = own.clone();
                alias.push(name);
                map.files.entry(alias).or_default().push(format!("{folder}/{chosen}"));
            }
            for (exported, path) in uses(code) {
                if exported && let Some(name) = path.last() {
                    let target = absolute(&own, &path, &children(code));
                    map.exports.extend(target.map(|target| ((own.clone(), name.clone()), target)));
                }
            }
        }
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, code) in &files {
            let (own, children) = (module_of(&file.path), children(code));
            let mut seen: Vec<Module> = uses(code).into_iter().map(|(_, path)| path).collect();
            seen.extend(inline_paths(code, &children));
            let named = seen.iter().filter_map(|path| absolute(&own, path, &children)).flat_map(|path| map.resolve(path));
            edges.insert(file.path.clone(), named.filter(|other| *other != file.path).collect());
        }
        Self { edges }
    }

    /// The circles: files of one room each of which reaches all others of its circle. Single files are none.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reach: BTreeMap<&String, BTreeSet<&String>> = self.edges.keys().map(|file| (file, self.reached_from(file))).collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for (file, reached) in &reach {
            let circle: Vec<String> = reached.iter().filter(|other| reach[*other].contains(file)).map(|f| (*f).clone()).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// Within the file's room: circles between rooms are `ROOMS`' to forbid.
    fn reached_from<'s>(&'s self, start: &'s String) -> BTreeSet<&'s String> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(file) = next.pop() {
            for other in self.edges.get(file).into_iter().flatten().filter(|other| room(other) == room(start)) {
                if self.edges.contains_key(other) && reached.insert(other) {
                    next.push(other);
                }
            }
        }
        reached
    }

    /// What a file names; for the tests of this reading.
    pub fn named_by(&self, file: &str) -> Vec<&str> {
        self.edges[file].iter().map(String::as_str).collect()
    }
}

impl Map {
    /// The files that a path leads to: of the longest module in it, or of what that module hands on.
    fn resolve(&self, path: Module) -> Vec<String> {
        let mut path = path;
        // A chain of re-exports is short; the limit only ends a circle of them.
        for _ in 0..8 {
            let Some(length) = (1..=path.len()).rev().find(|n| self.files.contains_key(&path[..*n])) else { return Vec::new() };
            let (module, rest) = path.split_at(length);
            let handed_on = rest.first().and_then(|name| self.exports.get(&(module.to_vec(), name.clone())));
            match handed_on {
                Some(target) if target[..] != path[..=length] => {
                    path = target.iter().chain(&rest[1..]).cloned().collect();
                }
                _ => return self.files[module].clone(),
            }
        }
        Vec::new()
    }
}

fn room(path: &str) -> &str {
    path.trim_start_matches("src-tauri/src/").split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.ends_with("/fuzz.rs") || path.contains("/tests/")
}

fn module_of(path: &str) -> Module {
    let below = path.trim_start_matches("src-tauri/src/").trim_end_matches(".rs");
    below.split('/').map(str::to_owned).collect()
}

/// The code up to the module of tests, which stands last in a file.
fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

/// `#[path = "listen/unix.rs"] mod platform;` gives `platform` and `listen/unix.rs`.
fn chosen_modules(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("path = \"") {
        let rest = &text[at + "path = \"".len()..];
        let (file, rest) = rest.split_once('"').unwrap_or_default();
        if let Some((_, rest)) = rest.split_once("mod ") {
            found.push((word(rest), file.to_owned()));
        }
    }
    found
}

/// Names of the modules that the code declares.
fn children(code: &str) -> BTreeSet<String> {
    let lines = code.lines().map(str::trim).filter(|line| line.ends_with(';'));
    let declared = lines.filter_map(|line| {
        let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
        line.strip_prefix("mod ").map(|name| name.trim_end_matches(';').to_owned())
    });
    declared.collect()
}

/// Every path of the `use` statements, groups opened, and whether it is exported.
fn uses(code: &str) -> Vec<(bool, Module)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = &code[..at];
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let exported = line.starts_with("pub");
        if !(line.is_empty() || (exported && (line == "pub" || line.ends_with(')')))) {
            continue;
        }
        let Some((tree, _)) = code[at + "use ".len()..].split_once(';') else { continue };
        found.extend(flatten(tree, &[]).into_iter().map(|path| (exported, path)));
    }
    found
}

/// `a::{b, c::{d, self}}` gives `a::b`, `a::c::d` and `a::c`.
fn flatten(tree: &str, prefix: &[String]) -> Vec<Module> {
    let tree = tree.trim();
    if let Some(group) = tree.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        let (mut depth, mut start, mut all) = (0, 0, Vec::new());
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !group[start..at].trim().is_empty() {
                        all.extend(flatten(&group[start..at], prefix));
                    }
                    start = at + 1;
                }
                _ => {}
            }
        }
        return all;
    }
    if let Some((first, rest)) = tree.split_once("::") {
        let prefix: Module = prefix.iter().cloned().chain([first.trim().to_owned()]).collect();
        return flatten(rest, &prefix);
    }
    let last = word(tree);
    let last = (last != "self").then_some(last);
    vec![prefix.iter().cloned().chain(last).collect()]
}

/// Paths that stand in the code itself: from `crate`, from `super`, or from a child.
fn inline_paths(code: &str, children: &BTreeSet<String>) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let first = code[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        // `pub(in crate::supervisor)` says who may see an item, and imports nothing.
        let before = &code[..at - first.len()];
        let starts = !before.ends_with("::") && !before.ends_with("(in ");
        if starts && (first == "crate" || first == "super" || children.contains(first)) {
            let end = code[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').map_or(code.len(), |n| at + n);
            let path = code[at - first.len()..end].split("::").filter(|part| !part.is_empty());
            let path: Module = path.map(str::to_owned).collect();
            // `super::{…}` is a group, which `uses` opens.
            found.extend(Some(path).filter(|path| path.len() > 1));
        }
    }
    found
}

/// From the crate's root; `None` for other crates' paths.
fn absolute(own: &[String], path: &[String], children: &BTreeSet<String>) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some(own.iter().chain(rest).cloned().collect()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            Some(own[..own.len().checked_sub(ups)?].iter().chain(&path[ups..]).cloned().collect())
        }
        _ if children.contains(first) => Some(own.iter().chain(path).cloned().collect()),
        _ => None,
    }
}

fn word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
