//! The processes of this user, and of one of them the folder and those variables that are asked for. Reads only; keeps no other
//! variable, writes none to a log.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod others;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(not(target_os = "linux"))]
use others as platform;

use super::process::{Inside, Process};

/// How processes are asked for. The system's own, or a test's.
pub(super) trait Processes {
    /// All of this user.
    ///
    /// # Errors
    /// Why they are not known.
    fn list(&self) -> Result<Vec<Process>, String>;

    /// One of them, with the variables that have one of these names.
    fn inside(&self, pid: u32, names: &[String]) -> Inside;
}

/// Those that the system tells of.
#[derive(Debug)]
pub(super) struct OfSystem;

impl Processes for OfSystem {
    fn list(&self) -> Result<Vec<Process>, String> {
        platform::list()
    }

    fn inside(&self, pid: u32, names: &[String]) -> Inside {
        platform::inside(pid, names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeMap,
        process::{Child, Command, Stdio},
    };

    /// A program that waits until its input ends, with nothing but these variables.
    fn waits(variables: &[(&str, &str)], folder: &std::path::Path) -> Child {
        let program = which::which(if cfg!(windows) { "sort" } else { "cat" }).unwrap();
        let mut command = Command::new(program);
        command.env_clear().envs(variables.iter().copied()).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_child_is_listed_with_its_folder_and_only_the_variables_that_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let secret = [("ANTHROPIC_BASE_URL", "http://127.0.0.1:8787"), ("ANTHROPIC_API_KEY", "hush")];
        let mut child = waits(&secret, folder.path());
        let own = std::process::id();
        let listed = OfSystem.list().unwrap();
        let process = listed.iter().find(|process| process.pid == child.id()).expect("the child is listed");
        assert_eq!(process.parent, Some(own));
        assert!(process.since_unix_ms.is_some_and(|at| crate::health::unix_ms().abs_diff(at) < 600_000), "{process:?}");
        let inside = OfSystem.inside(child.id(), &["ANTHROPIC_BASE_URL".to_owned()]);
        assert_eq!(inside.folder.unwrap().canonicalize().unwrap(), folder.path().canonicalize().unwrap());
        let variables = BTreeMap::from([("ANTHROPIC_BASE_URL".to_owned(), "http://127.0.0.1:8787".to_owned())]);
        assert_eq!(inside.variables, Ok(variables));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(OfSystem.inside(child.id(), &[]).variables.is_err(), "what is gone was not asked");
    }
}
