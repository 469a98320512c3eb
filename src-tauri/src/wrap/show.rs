//! A plan as text for `--dry-run`: comments and one command to copy. Credentials in it are not shown.

use super::{mask::without_credentials, plan::Plan, shell::Shell};
use crate::config::{NOT_SET, OUTER_PROXY};

impl Plan {
    /// What would be set and run, and why, as a script for `shell`.
    pub fn script(&self, shell: Shell) -> String {
        let mut text = format!("# {} through Leeward, mode {}\n", self.title, self.covers.sentence());
        for (names, why) in self.reasons() {
            text.push_str(&format!("# {}: {why}\n", names.join(", ")));
        }
        for note in &self.notes {
            text.push_str(&format!("# note: {note}\n"));
        }
        for warning in &self.warnings {
            text.push_str(&format!("# warning: {warning}\n"));
        }
        for (name, url) in &self.upstreams {
            text.push_str(&format!("# Leeward forwards /@{name} to {url}\n"));
        }
        let mut set: std::collections::BTreeMap<_, _> =
            self.set.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
        set.extend(self.secret.iter().map(|(name, secret)| (name.clone(), without_credentials(secret.reveal()))));
        let program = self.program.display().to_string();
        let words: Vec<String> =
            std::iter::once(program).chain(self.args.iter().map(|arg| without_credentials(&arg.to_string_lossy()))).collect();
        text.push_str(&shell.command(&self.unset, &set, &words));
        text.push('\n');
        text
    }

    /// The variables of the plan, grouped by what they are for.
    fn reasons(&self) -> Vec<(Vec<&str>, &'static str)> {
        let unset = self.unset.iter().map(|name| (name.as_str(), "taken away: it belongs to an outer session of Leeward"));
        let secret = self.secret.iter().map(|(name, secret)| (name.as_str(), secret_reason(name, secret.reveal())));
        let set = self.set.keys().map(|name| (name.as_str(), reason(name)));
        let mut reasons: Vec<(Vec<&str>, &'static str)> = Vec::new();
        for (name, why) in set.chain(secret).chain(unset) {
            match reasons.iter_mut().find(|(_, known)| *known == why) {
                Some((names, _)) => names.push(name),
                None => reasons.push((vec![name], why)),
            }
        }
        reasons
    }
}

fn secret_reason(name: &str, value: &str) -> &'static str {
    match name {
        OUTER_PROXY if value == NOT_SET => "no proxy is set outside of this session",
        OUTER_PROXY => "the proxy outside of this session; Leeward goes through it",
        _ if crate::config::is_tunnel_proxy(value) => {
            "all requests that use no base URL come through a tunnel; its token is made for each session, opens tunnels alone and ends with it"
        }
        _ => "the proxy outside of the outer session",
    }
}

fn reason(name: &str) -> &'static str {
    match name {
        "NO_PROXY" | "no_proxy" => "this machine is reached without a proxy, as is what you list yourself",
        "NODE_EXTRA_CA_CERTS" | "CODEX_CA_CERTIFICATE" => "Leeward's certificate authority, and those that you trust yourself",
        "ENABLE_CLAUDEAI_MCP_SERVERS" => "connectors are switched off",
        super::route::MARKER => "how a Leeward inside this session knows the outer one",
        "ENABLE_TOOL_SEARCH" | "CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING" => "gives back what a base URL costs",
        _ if name.ends_with("_HEADERS") || name.ends_with("_TOKEN") => "the client token of Leeward's config",
        _ => "requests to models come to Leeward, which repairs them as a whole",
    }
}

/// A variable's value, unless it is a credential as a whole.
fn shown(name: &str, value: &str) -> String {
    if name.ends_with("_HEADERS") || name.ends_with("_TOKEN") { "…".to_owned() } else { without_credentials(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Covers, Secret},
        wrap::private_argument::PrivateArguments,
    };
    use std::collections::BTreeMap;

    #[test]
    fn a_script_is_complete_and_shows_no_credential() {
        let plan = Plan {
            agent: "opencode".into(),
            title: "opencode".into(),
            program: "/bin/opencode".into(),
            args: vec!["run".into(), r#"--settings={"env":{"ANTHROPIC_API_KEY":"sk-1","A":"b"}}"#.into()],
            secret: BTreeMap::from([(
                "HTTPS_PROXY".into(),
                crate::config::tunnel_proxy("http://h:1", &Secret::new("0123456789abcdef".repeat(2))),
            )]),
            unset: ["OLD".to_owned()].into(),
            token: None,
            authority: None,
            connectors: crate::config::Connectors::default(),
            covers: Covers::default(),
            set: BTreeMap::from([
                ("B_HEADERS".into(), "x: sk-3".into()),
                ("C".into(), r#"{"provider":{"x":{"options":{"apiKey":"sk-2","baseURL":"u"}}}}"#.into()),
            ]),
            upstreams: BTreeMap::from([("gw-1".into(), "https://gateway.corp".into())]),
            egress: None,
            warm: None,
            private: PrivateArguments::default(),
            notes: vec!["n".into()],
            warnings: vec!["w".into()],
        };
        let script = plan.script(Shell::Sh);
        assert!(!script.contains("sk-") && !script.contains("0123"), "{script}");
        let (comments, command) = script.split_once("env \\\n").unwrap();
        assert!(comments.lines().all(|line| line.starts_with("# ")), "{comments}");
        assert!(
            comments.starts_with("# opencode through Leeward, mode base-url: inference by base URL, the rest past Leeward\n")
        );
        for line in [
            "# note: n\n",
            "# warning: w\n",
            "# Leeward forwards /@gw-1 to https://gateway.corp\n",
            "# OLD: taken away",
            "# HTTPS_PROXY: all",
        ] {
            assert!(comments.contains(line), "{line}: {comments}");
        }
        assert_eq!(
            command,
            "  -u OLD \\\n  'B_HEADERS=…' \\\n  'C={\"provider\":{\"x\":{\"options\":{\"apiKey\":\"…\",\"baseURL\":\"u\"}}}}' \\\n  \
             'HTTPS_PROXY=http://leeward:…@h:1' \\\n  /bin/opencode run '--settings={\"env\":{\"ANTHROPIC_API_KEY\":\"…\",\"A\":\"b\"}}'\n"
        );
    }
}
