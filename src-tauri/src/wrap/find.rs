//! Where an agent's executable is: PATH first, then where its installer puts it. Starts nothing.

use super::{context::AgentContext, table::Profile};
use std::{ffi::OsStr, path::PathBuf};

/// The program is nowhere, or is none.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// Nothing has that name.
    #[error("cannot find {what}: searched {searched}; {advice}")]
    Nowhere {
        /// What was searched for.
        what: String,
        /// Where.
        searched: String,
        /// What to do.
        advice: String,
    },
    /// What has that name cannot be executed.
    #[error("cannot execute {}: {why}", path.display())]
    NotExecutable {
        /// The file or folder.
        path: PathBuf,
        /// Why not, and what to do.
        why: &'static str,
    },
}

/// Finds the executable of a profile.
///
/// # Errors
/// `NotFound`, which names what was searched and where the installation is described.
pub fn find_agent(profile: &Profile, context: &AgentContext<'_>) -> Result<PathBuf, NotFound> {
    let others: Vec<PathBuf> = profile.also_in.iter().filter_map(|folder| context.path(folder)).collect();
    for program in &profile.programs {
        let in_others =
            || std::env::join_paths(&others).ok().and_then(|list| which::which_in(program, Some(list), &context.cwd).ok());
        if let Some(found) = in_path(program.as_ref(), context).or_else(in_others) {
            return Ok(found);
        }
    }
    if let Some(found) = profile.programs.iter().find_map(|program| unusable(program.as_ref(), context)) {
        return Err(found);
    }
    Err(NotFound::Nowhere {
        what: format!("{} (`{}`)", profile.title, profile.programs.join("` or `")),
        searched: searched(context, &others),
        advice: format!("how to install it is described at {}; if it is installed, add its folder to PATH", profile.about),
    })
}

/// Finds any program, by name or path.
///
/// # Errors
/// `NotFound`, which names what was searched.
pub fn find_program(program: &OsStr, context: &AgentContext<'_>) -> Result<PathBuf, NotFound> {
    if let Some(found) = in_path(program, context) {
        return Ok(found);
    }
    let name = program.to_string_lossy();
    Err(unusable(program, context).unwrap_or_else(|| NotFound::Nowhere {
        what: format!("`{name}`"),
        searched: if is_path(&name) { "exactly there".into() } else { searched(context, &[]) },
        advice: "check the spelling".into(),
    }))
}

fn is_path(name: &str) -> bool {
    name.contains(['/', std::path::MAIN_SEPARATOR])
}

/// What has the name of the program and cannot be executed, as a shell finds it: a folder only by its path.
fn unusable(program: &OsStr, context: &AgentContext<'_>) -> Option<NotFound> {
    if program.is_empty() {
        return None;
    }
    let (path, is_path) = ((context.env)("PATH").unwrap_or_default(), is_path(&program.to_string_lossy()));
    let folders = if is_path { vec![PathBuf::new()] } else { std::env::split_paths(&path).collect() };
    let candidates = folders.into_iter().map(|folder| context.cwd.join(folder).join(program));
    let path = candidates.into_iter().find(|path| path.is_file() || (is_path && path.is_dir()))?;
    let why = if path.is_dir() { "it is a folder" } else { "it is not marked as executable (`chmod +x` does that)" };
    Some(NotFound::NotExecutable { path, why })
}

fn in_path(program: &OsStr, context: &AgentContext<'_>) -> Option<PathBuf> {
    which::which_in(program, (context.env)("PATH"), &context.cwd).ok()
}

fn searched(context: &AgentContext<'_>, others: &[PathBuf]) -> String {
    let path = (context.env)("PATH").unwrap_or_default();
    let count = std::env::split_paths(&path).filter(|p| !p.as_os_str().is_empty()).count();
    let mut text = format!("the {count} {} of PATH", if count == 1 { "folder" } else { "folders" });
    for folder in others {
        text.push_str(&format!(", {}", folder.display()));
    }
    text
}
