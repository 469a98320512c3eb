//! Where an agent's executable is: PATH first, then where its installer puts it. Starts nothing.

use super::{context::AgentContext, table::Profile};
use std::{ffi::OsStr, path::PathBuf};

/// The program is nowhere.
#[derive(Debug, thiserror::Error)]
#[error("cannot find {what}: searched {searched}; {advice}")]
pub struct NotFound {
    what: String,
    searched: String,
    advice: String,
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
    Err(NotFound {
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
    in_path(program, context).ok_or_else(|| {
        let name = program.to_string_lossy();
        let is_path = name.contains(['/', std::path::MAIN_SEPARATOR]);
        NotFound {
            what: format!("`{name}`"),
            searched: if is_path { "exactly there".into() } else { searched(context, &[]) },
            advice: "check the spelling, and that the file may be executed".into(),
        }
    })
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
