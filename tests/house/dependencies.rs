//! Which dependencies of a manifest no source of its package names. Reads nothing itself.

use toml::Table;

/// The tables that hold dependencies, at the top of a manifest and for a target.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The dependencies that none of `sources` names, as `table: name`. A source is its path within the package and its code;
/// `libraries` are package names and the names of their libraries, where the two differ. Only a dev-dependency may be
/// named by tests alone.
pub fn unnamed(manifest: &Table, sources: &[(String, String)], libraries: &[(String, String)]) -> Vec<String> {
    let targets = manifest.get("target").and_then(|t| t.as_table()).into_iter().flatten();
    let targets = targets.filter_map(|(target, tables)| Some((format!("target.{target}."), tables.as_table()?)));
    let mut found = Vec::new();
    for (place, tables) in targets.chain([(String::new(), manifest)]) {
        for table in TABLES {
            for name in tables.get(table).and_then(|t| t.as_table()).into_iter().flat_map(Table::keys) {
                let library = libraries.iter().find(|(package, _)| package == name).map_or(name, |(_, library)| library);
                let mut open = sources.iter().filter(|(path, _)| table == "dev-dependencies" || !path.starts_with("tests/"));
                if !open.any(|(_, code)| names(code, &library.replace('-', "_"))) {
                    found.push(format!("{place}{table}: {name}"));
                }
            }
        }
    }
    found
}

/// Whether code names a crate: `name::…`, also in an attribute, or `use name`.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let word = |c: char| c.is_alphanumeric() || c == '_';
        // Behind `::` it is a part of a path, unless the path begins there.
        let begins = match before.strip_suffix("::") {
            Some(path) => !path.ends_with(|c: char| word(c) || c == '>'),
            None => !before.ends_with(word),
        };
        begins && (after.starts_with("::") || before.ends_with("use ") && !after.starts_with(word))
    })
}
