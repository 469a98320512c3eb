//! nginx as a reverse proxy: one worker, connections to the upstream kept, responses sent on as they come.

use super::{Peer, Place, Reload, write};
use crate::machine;
use anyhow::Result;
use std::process::Command;

/// Debian puts it where not every PATH leads.
const PROGRAM: &str = "/usr/sbin/nginx";

pub(super) struct Nginx {
    /// Configured to send a POST again, which it does only to "another" server: the same one, named twice.
    pub(super) retries: bool,
}

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        if self.retries { "nginx-retry" } else { "nginx" }
    }

    fn version(&self) -> String {
        machine::said(PROGRAM, &["-v"]).replace("nginx version: ", "")
    }

    fn command(&self, place: &Place<'_>) -> Result<Command> {
        let folder = place.folder.display();
        let scheme = place.scheme();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n"))
            .collect();
        let (again, more) = match self.retries {
            true => (
                "    proxy_next_upstream error timeout invalid_header non_idempotent; proxy_next_upstream_tries 3;\n",
                format!("server {} max_fails=0; server {} max_fails=0;", place.upstream, place.upstream),
            ),
            false => ("", String::new()),
        };
        let file = place.folder.join("nginx.conf");
        // As the user who runs all this: only so may the torture lower its limits.
        let user = machine::said("id", &["-un"]);
        // It reads a body whole before it sends it, as Leeward does and for the same reason; the buffer spares it the
        // temporary file that its default of 16 KiB would mean.
        write(
            &file,
            &format!(
                "daemon off;\nuser {user};\nworker_processes 1;\nworker_rlimit_nofile 20000;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
                 events {{ worker_connections 16000; }}\n\
                 http {{\n{temporary}  access_log off;\n  keepalive_timeout 600s;\n  keepalive_requests 100000000;\n\
                 \x20 client_max_body_size 0;\n  client_body_buffer_size 16m;\n  tcp_nodelay on;\n\
                 \x20 upstream behind {{ server {} max_fails=0; {more} keepalive 128; keepalive_requests 100000000; }}\n\
                 \x20 server {{ listen {} backlog=8192;\n    location / {{ proxy_pass {scheme}://behind; proxy_http_version 1.1;\n\
                 \x20   proxy_set_header Connection \"\"; proxy_set_header Host $http_host; proxy_buffering off;\n\
                 \x20   proxy_ssl_session_reuse on; proxy_read_timeout 600s; proxy_send_timeout 600s;\n{again}  }} }}\n}}\n",
                place.upstream, place.listen
            ),
        )?;
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(file).arg("-e").arg(place.folder.join("error.log"));
        Ok(command)
    }

    fn reload(&self, _: &Place<'_>) -> Reload {
        Reload::Signal(rustix::process::Signal::HUP)
    }
}
