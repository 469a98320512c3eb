//! Asks a program of the system, within a limit. Runs nothing of the user's and changes nothing.

use std::{io, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// They answer in milliseconds; on a machine that is busy it takes longer.
const WITHIN: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The program is not there.
    Missing,
    /// It failed, or did not end; a clause.
    Failed(String),
}

/// What the program prints.
pub(super) async fn ask(program: &str, args: &[&str]) -> Result<String, Unanswered> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(WITHIN, command.output()).await {
        Err(_) => Err(Unanswered::Failed(format!("`{program}` did not end within {WITHIN:?}"))),
        Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => Err(Unanswered::Missing),
        Ok(Err(e)) => Err(Unanswered::Failed(format!("`{program}` cannot be started ({e})"))),
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => Err(Unanswered::Failed(format!("`{program}` failed ({})", output.status))),
    }
}
