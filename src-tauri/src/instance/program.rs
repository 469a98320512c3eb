//! Which file to start another Leeward from, when the program was removed or is being replaced under a running one.

use std::path::{Path, PathBuf};

/// The program itself where it is still there, a newer one included. Else, on Linux, the very file that runs here, which the
/// kernel keeps; elsewhere nothing can be started.
pub fn startable(program: &Path) -> PathBuf {
    let gone = cfg!(target_os = "linux") && !program.exists();
    if gone && is_own(program) { PathBuf::from(OWN) } else { program.to_owned() }
}

const OWN: &str = "/proc/self/exe";

/// The kernel appends a word to the name of a file that is gone.
fn is_own(program: &Path) -> bool {
    let Ok(own) = std::fs::read_link(OWN) else { return false };
    let own = own.to_string_lossy();
    own.strip_suffix(" (deleted)").unwrap_or(&own) == program.to_string_lossy().trim_end_matches(" (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_started_and_a_stranger_is_never_replaced_by_this_program() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(startable(&own), own);
        let stranger = Path::new("/nowhere/leeward");
        assert_eq!(startable(stranger), stranger);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_own_program_is_known_by_its_name() {
        let own = std::env::current_exe().unwrap();
        assert!(is_own(&own) && is_own(Path::new(&format!("{} (deleted)", own.display()))));
        assert!(!is_own(Path::new("/nowhere/leeward")));
    }
}
