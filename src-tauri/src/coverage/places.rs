//! What this user has, as far as places go: home folder, variables, folders. Reads names of files only.

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// More entries of a folder than anybody has there.
const MOST: usize = 500;

/// Looks up an environment variable.
pub(super) type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where is looked.
#[derive(Clone)]
pub(super) struct Places {
    pub(super) home: Option<PathBuf>,
    pub(super) env: Env,
    /// What stands before absolute paths; a test's own folder, else nothing.
    pub(super) root: Option<PathBuf>,
    /// As Rust calls it.
    pub(super) system: &'static str,
}

impl Places {
    pub(super) fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    /// The files and folders that a place of the table names and that are there, sorted.
    pub(super) fn find(&self, place: &str) -> Vec<PathBuf> {
        let (start, rest) = match (place.strip_prefix("~/"), place.strip_prefix('$')) {
            (Some(rest), _) => (self.home.clone(), rest),
            (None, Some(rest)) => {
                let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
                (self.var(name).map(PathBuf::from), rest)
            }
            (None, None) => {
                let rest = place.trim_start_matches('/');
                (Some(self.root.clone().unwrap_or_else(|| PathBuf::from("/"))), rest)
            }
        };
        // A variable that holds a relative path means another folder in each program.
        let Some(start) = start.filter(|folder| folder.is_absolute()) else { return Vec::new() };
        let mut found = vec![start];
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            found = match part {
                "*" => found.iter().flat_map(|folder| entries(folder)).collect(),
                part => found.into_iter().map(|folder| folder.join(part)).collect(),
            };
        }
        found.retain(|path| path.exists());
        found
    }

    /// A file of a setting: `~/x`, or `./x` in the folder of a project.
    pub(super) fn setting(&self, file: &str, cwd: Option<&Path>) -> Option<PathBuf> {
        match file.strip_prefix("./") {
            Some(rest) => cwd.map(|cwd| cwd.join(rest)),
            None => self.find(file).into_iter().next(),
        }
    }
}

/// The entries of a folder, sorted; none of one that cannot be read.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(folder).into_iter().flatten().take(MOST);
    let mut found: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}

/// A path with `/` between its parts, as the table writes it.
pub(super) fn slashed(path: &Path) -> String {
    let parts = path.components().map(|part| match part {
        Component::RootDir => String::new(),
        part => part.as_os_str().to_string_lossy().into_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_below_home_variables_and_root() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for made in ["home/.nvm/versions/node/v20.1.0/bin", "home/.nvm/versions/node/v22.0.0/bin", "var/x", "root/opt/y"] {
            std::fs::create_dir_all(base.join(made)).unwrap();
        }
        let var = base.join("var").display().to_string();
        let env: Env = Arc::new(move |name| match name {
            "SET" => Some(var.clone()),
            "RELATIVE" => Some("var".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        });
        let places = Places { home: Some(base.join("home")), env, root: Some(base.join("root")), system: "linux" };
        for (place, want) in [
            ("~/.nvm/versions/node/*/bin", &["home/.nvm/versions/node/v20.1.0/bin", "home/.nvm/versions/node/v22.0.0/bin"][..]),
            ("~/.nvm/gone/*/bin", &[]),
            ("$SET/x", &["var/x"]),
            ("$SET", &["var"]),
            ("$RELATIVE/x", &[]),
            ("$EMPTY/x", &[]),
            ("$UNSET/x", &[]),
            ("/opt/y", &["root/opt/y"]),
            ("/opt/z", &[]),
        ] {
            let want: Vec<PathBuf> = want.iter().map(|path| base.join(path)).collect();
            assert_eq!(places.find(place), want, "{place}");
        }
        assert_eq!(Places { home: None, ..places }.find("~/.nvm"), Vec::<PathBuf>::new());
    }
}
