//! What surrounds an agent about to start: environment, folders, files. Looked up through functions, so that
//! planning stays pure and tests need no real home folder.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Looks up what a plan depends on.
pub struct AgentContext<'a> {
    /// An environment variable; an empty one counts as unset where the agent sees it so.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A file's text.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The files of a folder, sorted; empty when there is none.
    pub list: &'a dyn Fn(&Path) -> Vec<PathBuf>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder in which the agent starts.
    pub cwd: PathBuf,
}

impl std::fmt::Debug for AgentContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentContext").field("home", &self.home).field("cwd", &self.cwd).finish_non_exhaustive()
    }
}

impl AgentContext<'_> {
    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|v| !v.is_empty())
    }

    /// `~/x`, `^/x` and `./x` as paths; `None` for `~` without a home folder and `^` outside a Git work tree.
    pub fn path(&self, text: &str) -> Option<PathBuf> {
        if let Some(rest) = text.strip_prefix("~/") {
            return self.home.as_ref().map(|h| h.join(rest));
        }
        if let Some(rest) = text.strip_prefix("^/") {
            // `.git` is a folder, or in a linked work tree a file.
            let is_root =
                |folder: &&Path| !(self.list)(&folder.join(".git")).is_empty() || (self.read)(&folder.join(".git")).is_ok();
            return self.cwd.ancestors().find(is_root).map(|root| root.join(rest));
        }
        Some(self.cwd.join(text.strip_prefix("./").unwrap_or(text)))
    }

    /// True for a file of the project: it belongs to the folder, so whoever wrote the project may have written it. What
    /// stands in the home folder itself is the user's own, also when an agent starts there.
    pub(super) fn is_of_project(&self, text: &str) -> bool {
        let folder = match text.split_at_checked(2) {
            Some(("~/", _)) => return false,
            Some(("^/", _)) => self.path("^/"),
            _ => self.path("./"),
        };
        folder.is_some_and(|folder| !self.is_home(&folder))
    }

    /// True for the user's home folder.
    pub(super) fn is_home(&self, folder: &Path) -> bool {
        // Components, because `^/` and `./` leave an empty one at the end.
        self.home.as_ref().is_some_and(|home| home.components().eq(folder.components()))
    }

    /// Where an agent keeps its files: a folder that a variable names, else one below the home folder.
    pub(super) fn home_of(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        self.var(variable)
            .map(|folder| self.cwd.join(folder))
            .or_else(|| self.home.as_ref().map(|h| h.join(Path::new(below_home))))
    }

    /// A file's text; `None` when there is no such file, and a warning when it cannot be read.
    pub(super) fn text(&self, path: &Path, warnings: &mut Vec<String>) -> Option<String> {
        match (self.read)(path) {
            Ok(text) => Some(text),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(e) => {
                warnings
                    .push(format!("cannot read {}: {e}; if it names a base URL, requests may bypass Leeward", path.display()));
                None
            }
        }
    }
}

/// The process's own surroundings.
pub fn with_own<T>(plan: impl FnOnce(&AgentContext<'_>) -> T) -> T {
    let list = |folder: &Path| {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|entries| entries.filter_map(Result::ok).map(|e| e.path()).collect())
            .unwrap_or_default();
        files.sort();
        files
    };
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf());
    let context = AgentContext {
        env: &crate::config::environment,
        read: &|path| std::fs::read_to_string(path),
        list: &list,
        home,
        // A working folder that is gone has no files, and programs run in it all the same.
        cwd: std::env::current_dir().unwrap_or_default(),
    };
    plan(&context)
}

/// `KEY=value` and `key: value` lines, as in `.env` files and flat YAML: the value of `key`, unquoted.
pub(super) fn value_in_lines(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        // An indented line of YAML belongs to another key.
        let rest = line.strip_prefix("export ").unwrap_or(line).strip_prefix(key)?;
        let rest = rest.trim_start();
        let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix(": "))?.trim();
        let quoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.split_once(*q).map(|(inside, _)| inside));
        let value = quoted.unwrap_or_else(|| value.split(" #").next().unwrap_or_default().trim());
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_env_files_and_flat_yaml() {
        let text = "# OPENAI_API_BASE=no\nexport A='one two' # x\nB = three # why\nC: \"four\"\nopenai-api-base: http://x/v1\n  D: no\nE=\nAB=no";
        for (key, value) in [
            ("A", Some("one two")),
            ("B", Some("three")),
            ("C", Some("four")),
            ("openai-api-base", Some("http://x/v1")),
            ("OPENAI_API_BASE", None),
            ("D", None),
            ("E", None),
        ] {
            assert_eq!(value_in_lines(text, key).as_deref(), value, "{key}");
        }
    }
}
