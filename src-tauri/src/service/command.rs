//! One question to a service manager's own program, with a limit. Reads no meaning out of what it says.

use super::error::Error;
use std::{io, process::Stdio, time::Duration};
use tokio::{process::Command, time::timeout};

/// To end a Leeward takes the manager's own limit, 30 s; everything else takes milliseconds.
const LIMIT: Duration = Duration::from_secs(45);

/// What a program said.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs it; an error of the system is `io::Error`.
pub(super) async fn ask(program: &str, args: &[&str], variables: &[(&str, String)]) -> io::Result<Reply> {
    let mut command = Command::new(program);
    command.args(args).envs(variables.iter().map(|(name, value)| (name, value)));
    // The words of a German manager are not ours to read.
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    #[cfg(windows)]
    command.creation_flags(0x0800_0000); // CREATE_NO_WINDOW: no console flashes up
    let output = timeout(LIMIT, command.output()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(Reply { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// The same where nothing but success will do.
pub(super) async fn tell(program: &str, args: &[&str], variables: &[(&str, String)]) -> Result<String, Error> {
    let refused = |said: String| Error::Refused { command: format!("{program} {}", args.join(" ")), said };
    match ask(program, args, variables).await {
        Ok(Reply { success: true, stdout, .. }) => Ok(stdout),
        Ok(Reply { stdout, stderr, .. }) => Err(refused(if stderr.is_empty() { stdout } else { stderr })),
        Err(why) => Err(refused(why.to_string())),
    }
}
