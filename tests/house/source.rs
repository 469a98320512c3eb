//! Reads this project's files for the rules in `house.rs`. Judges nothing.

use std::{fs, path::Path};

/// One Rust file.
pub struct Source {
    /// From the project's root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without comments and the content of strings; the lines are the same.
    pub code: String,
}

impl Source {
    /// The room of the library the file belongs to; none for the door, `lib.rs`.
    pub fn room(&self) -> Option<String> {
        let below = self.path.strip_prefix("src-tauri/src/")?;
        let room = below.split('/').next()?.trim_end_matches(".rs");
        (room != "lib").then(|| room.to_owned())
    }

    /// True for a file that holds tests only.
    pub fn in_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

/// Every Rust file of the project.
pub fn sources() -> Vec<Source> {
    let folders = ["src-tauri/", "scripted/", "tests/", "windows/", "xtask/", "benches/"];
    let rust = folders.iter().flat_map(|start| texts(start, &["rs"]));
    rust.map(|(path, text)| Source { code: code(&text), path, text }).collect()
}

/// The files whose path begins with `start` and ends in one of `endings`, with their text, sorted.
pub fn texts(start: &str, endings: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    // A prefix may end within a name: walk its folder, then compare.
    walk(root, start.rsplit_once('/').map_or("", |(folder, _)| folder), &mut found);
    found.retain(|path| path.starts_with(start) && endings.iter().any(|e| path.ends_with(&format!(".{e}"))));
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(root.join(&path)).unwrap())).collect()
}

fn walk(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let made = name.starts_with('.')
            || name == "target"
            || name.starts_with("target-")
            || ["node_modules", "dist", "gen"].contains(&&*name);
        if made {
            continue;
        } else if entry.file_type().unwrap().is_dir() {
            walk(root, &path, found);
        } else {
            found.push(path);
        }
    }
}

/// The code without comments and without the content of strings.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = hashes + 2;
            rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len())
        } else if c == '"' {
            string_end(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(1, |end| end + 2).max(3)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.extend(rest[..skip].chars().filter(|c| *c == '\n'));
        rest = &rest[skip..];
    }
    out
}

fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.bytes().take_while(|b| *b == b'#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// What follows `root::` in the code, groups opened, and what follows `super::` where it is one of `rooms`.
pub fn crate_paths(code: &str, root: &str, rooms: &[&str]) -> Vec<(usize, String)> {
    let mut seen = Vec::new();
    for (prefix, only) in [(format!("{root}::"), None), ("super::".to_owned(), Some(rooms))] {
        for (at, _) in code.match_indices(&prefix) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let names = names(&code[at + prefix.len()..]);
            seen.extend(names.into_iter().filter(|n| only.is_none_or(|rooms| rooms.contains(&&**n))).map(|n| (line, n)));
        }
    }
    seen.sort_by_key(|(line, _)| *line);
    seen
}

/// `a::b` gives `a`; `{a, b::{c, d}}` gives `a` and `b`.
fn names(path: &str) -> Vec<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.push(word(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|n| !n.is_empty());
    names
}

/// The fields of a TypeScript interface; `None` when there is none of this name.
pub fn interface(text: &str, name: &str) -> Option<Vec<String>> {
    let (_, body) = text.split_once(&format!("interface {name} {{"))?;
    let (mut depth, mut fields) = (1, Vec::new());
    for line in body.lines().map(str::trim) {
        if depth == 1
            && let Some((field, _)) = line.split_once(':')
        {
            let field = field.trim_start_matches("readonly ").trim_end_matches('?');
            let is_name = !field.is_empty() && field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            fields.extend(is_name.then(|| field.to_owned()));
        }
        depth += line.matches('{').count();
        depth -= line.matches('}').count().min(depth);
        if depth == 0 {
            return Some(fields);
        }
    }
    None
}
