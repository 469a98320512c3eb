//! Which file imports which, read from the sources, and the circles among them. Judges nothing.
//!
//! A `pub use` is followed to what it hands on, so a name that comes through a door leads to its own file. A re-export by
//! glob is not followed: it counts as the door's own name. Macros, methods and trait impls name no file and are not seen.

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
    /// What a module's file says with `pub use`: the name, and where it leads; several where the platform chooses.
    exports: BTreeMap<(Module, String), Vec<Module>>,
}

/// One path of a `use` statement.
struct Use {
    exported: bool,
    path: Module,
    /// How it is called where the statement stands; `*` for everything below the path.
    name: String,
}

/// A `mod` line with its attributes.
struct Declared {
    name: String,
    /// What `path = "…"` says: nothing, one file, or one for each platform.
    chosen: Vec<String>,
    for_tests: bool,
}

impl Imports {
    /// Reads the files below `src-tauri/src/` that belong to the library.
    pub fn of(library: &[Source]) -> Self {
        let tests: Vec<_> = library.iter().flat_map(test_modules).collect();
        let is_test =
            |path: &str| tests.iter().any(|test| path.trim_end_matches(".rs") == test || path.starts_with(&format!("{test}/")));
        let files: Vec<_> = library.iter().filter(|file| !is_test(&file.path)).collect();
        let files: Vec<_> = files.into_iter().map(|file| (file, without_tests(&file.code))).collect();
        let mut map = Map { files: BTreeMap::new(), exports: BTreeMap::new() };
        for (file, code) in &files {
            let own = module_of(&file.path);
            map.files.entry(own.clone()).or_default().push(file.path.clone());
            for Declared { name, chosen, .. } in declared(&file.text) {
                let alias: Module = own.iter().cloned().chain([name]).collect();
                let chosen = chosen.into_iter().map(|chosen| format!("{}/{chosen}", folder(&file.path)));
                map.files.entry(alias).or_default().extend(chosen);
            }
            let children = children(code);
            for Use { path, name, .. } in uses(code).into_iter().filter(|found| found.exported) {
                map.exports.entry((own.clone(), name)).or_default().extend(absolute(&own, &path, &children));
            }
        }
        map.files.retain(|_, files| !files.is_empty());
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, code) in &files {
            let (own, children) = (module_of(&file.path), children(code));
            let mut seen: Vec<Module> = uses(code).into_iter().map(|found| found.path).collect();
            seen.extend(inline_paths(&without_uses(code), &children));
            let named = seen.iter().filter_map(|path| absolute(&own, path, &children)).flat_map(|path| map.resolve(&path, 8));
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

    /// What a file names, nothing for a file of tests; for the tests of this reading.
    pub fn named_by(&self, file: &str) -> Vec<&str> {
        self.edges.get(file).into_iter().flatten().map(String::as_str).collect()
    }
}

impl Map {
    /// The files that a path leads to: of the longest module in it, or of what that module hands on. A chain of re-exports
    /// is short; `limit` only ends a circle of them.
    fn resolve(&self, path: &[String], limit: usize) -> Vec<String> {
        let Some(length) = (1..=path.len()).rev().find(|n| self.files.contains_key(&path[..*n])) else { return Vec::new() };
        let (module, rest) = path.split_at(length);
        let handed_on = rest.first().and_then(|name| self.exports.get(&(module.to_vec(), name.clone())));
        match handed_on.filter(|targets| limit > 0 && !targets.is_empty()) {
            Some(targets) => targets.iter().flat_map(|to| self.resolve(&[to, &rest[1..]].concat(), limit - 1)).collect(),
            None => self.files[module].clone(),
        }
    }
}

fn room(path: &str) -> &str {
    path.trim_start_matches("src-tauri/src/").split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

fn module_of(path: &str) -> Module {
    let below = path.trim_start_matches("src-tauri/src/").trim_end_matches(".rs");
    below.split('/').map(str::to_owned).collect()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The code up to the module of tests, which stands last in a file.
fn without_tests(code: &str) -> String {
    let starts = ["#[cfg(test)]\nmod ", "#[cfg(all(test"].iter().flat_map(|start| code.match_indices(start));
    let modules = starts.map(|(at, _)| at).filter(|at| code[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
    code[..modules.min().unwrap_or(code.len())].to_owned()
}

/// Paths, without `.rs`, of the modules that the file declares for tests alone.
fn test_modules(file: &Source) -> Vec<String> {
    let below = file.path.trim_end_matches(".rs");
    let modules = declared(&file.text).into_iter().filter(|module| module.for_tests);
    let paths = modules.flat_map(|Declared { name, chosen, .. }| {
        let chosen = chosen.into_iter().map(|chosen| format!("{}/{}", folder(&file.path), chosen.trim_end_matches(".rs")));
        chosen.chain([format!("{below}/{name}")])
    });
    paths.collect()
}

/// `#[path = "listen/unix.rs"] mod platform;` declares `platform` and chooses `listen/unix.rs`.
fn declared(text: &str) -> Vec<Declared> {
    let (mut found, mut attributes) = (Vec::new(), String::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes += line;
        } else if !line.starts_with("//") {
            if let Some(name) = module_name(line) {
                let chosen = attributes.split("path = \"").skip(1).filter_map(|rest| rest.split('"').next());
                let for_tests = attributes.contains("cfg(test)") || attributes.contains("cfg(all(test");
                found.push(Declared { name, chosen: chosen.map(str::to_owned).collect(), for_tests });
            }
            attributes.clear();
        }
    }
    found
}

/// `pub(crate) mod name;` gives `name`.
fn module_name(line: &str) -> Option<String> {
    let line = line.strip_suffix(';')?;
    let (before, name) = line.split_once("mod ")?;
    let before = before.trim_end();
    (before.is_empty() || before == "pub" || (before.starts_with("pub(") && before.ends_with(')'))).then(|| name.to_owned())
}

/// Names of the modules that the code declares.
fn children(code: &str) -> BTreeSet<String> {
    code.lines().map(str::trim).filter_map(module_name).collect()
}

/// The `use` statements: where each begins and ends, whether it is exported, and its tree of paths.
fn use_statements(code: &str) -> Vec<(usize, usize, bool, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let exported = line == "pub" || (line.starts_with("pub(") && line.ends_with(')'));
        let tree = code[at + "use ".len()..].split_once(';').map(|(tree, _)| tree);
        let before = code[..at].trim_end();
        let begins = before.is_empty() || before.ends_with(['{', '}', ';', ']']);
        if let Some(tree) = tree.filter(|_| exported || begins) {
            found.push((at, at + "use ".len() + tree.len(), exported, tree));
        }
    }
    found
}

/// Every path of the `use` statements, groups opened.
fn uses(code: &str) -> Vec<Use> {
    let statements = use_statements(code).into_iter();
    let paths = statements
        .flat_map(|(_, _, exported, tree)| flatten(tree, &[]).into_iter().map(move |(path, name)| Use { exported, path, name }));
    paths.collect()
}

fn without_uses(code: &str) -> String {
    let (mut rest, mut from) = (String::new(), 0);
    for (start, end, ..) in use_statements(code) {
        rest += &code[from..start];
        from = end;
    }
    rest + &code[from..]
}

/// `a::{b, c::{d as e, self}}` gives `a::b`, `a::c::d` and `a::c`, called `b`, `e` and `c`.
fn flatten(tree: &str, prefix: &[String]) -> Vec<(Module, String)> {
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
        // A macro's `$crate` is the crate that defines it: this one.
        let first = first.trim().trim_start_matches('$').to_owned();
        return flatten(rest, &[prefix, &[first]].concat());
    }
    let (last, alias) = tree.split_once(" as ").unwrap_or((tree, tree));
    let (last, alias) = (last.trim(), alias.trim());
    match last {
        "*" => vec![(prefix.to_vec(), "*".to_owned())],
        "self" if alias == "self" => vec![(prefix.to_vec(), prefix.last().cloned().unwrap_or_default())],
        "self" => vec![(prefix.to_vec(), alias.to_owned())],
        _ => vec![([prefix, &[last.to_owned()]].concat(), alias.to_owned())],
    }
}

/// Paths that stand in the code itself: from `crate`, from `super`, or from a child.
fn inline_paths(code: &str, children: &BTreeSet<String>) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("::") {
        let first = code[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        let before = &code[..at - first.len()];
        // `pub(in crate::room)` says who may see a thing, and imports none.
        let starts = !before.ends_with("::") && !before.ends_with("(in ");
        if starts && (["crate", "self", "super"].contains(&first) || children.contains(first)) {
            let end = code[at..].find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').map_or(code.len(), |n| at + n);
            let path = code[at - first.len()..end].split("::").filter(|part| !part.is_empty());
            found.push(path.map(str::to_owned).collect());
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
