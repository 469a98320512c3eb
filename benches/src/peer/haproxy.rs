//! HAProxy as a reverse proxy: one thread, connections to the upstream kept and shared, nothing held back.

use super::{Peer, Place, Reload, write};
use crate::machine;
use anyhow::Result;
use std::process::Command;

/// Debian puts it where not every PATH leads.
const PROGRAM: &str = "/usr/sbin/haproxy";

pub(super) struct Haproxy {
    /// Configured to send requests again; a request must then fit into its buffer, which is 1 MiB for each direction of each
    /// connection.
    pub(super) retries: bool,
}

impl Peer for Haproxy {
    fn name(&self) -> &'static str {
        if self.retries { "haproxy-retry" } else { "haproxy" }
    }

    fn version(&self) -> String {
        machine::said(PROGRAM, &["-v"])
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let tls = if place.authority.is_some() { " ssl verify none" } else { "" };
        let (buffers, again) = match self.retries {
            true => ("  tune.bufsize 1048576\n", "  option http-buffer-request\n  retries 3\n  retry-on all-retryable-errors\n"),
            false => ("", ""),
        };
        let file = place.folder.join("haproxy.cfg");
        write(
            &file,
            &format!(
                "global\n  nbthread 1\n  maxconn 9000\n{buffers}\
                 defaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  timeout server 600s\n\
                 \x20 timeout http-keep-alive 600s\n  option http-no-delay\n  http-reuse always\n{again}\
                 frontend here\n  bind {} backlog 8192\n  default_backend behind\n\
                 backend behind\n  server upstream {}{tls}\n",
                place.listen, place.upstream
            ),
        )?;
        let mut command = Command::new(PROGRAM);
        command.arg("-W").arg("-f").arg(file);
        Ok(command)
    }

    fn reload(&self, _: &Place<'_>) -> Reload {
        Reload::Signal(rustix::process::Signal::USR2)
    }
}
