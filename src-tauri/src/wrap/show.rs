//! A plan as text for `--dry-run`: comments and one command to copy. Credentials in it are not shown.

use super::{mask::without_credentials, plan::Plan, shell::Shell};

impl Plan {
    /// What would be set and run, as a script for `shell`.
    pub fn script(&self, shell: Shell) -> String {
        let mut text = format!("# {} through Leeward\n", self.title);
        for note in &self.notes {
            text.push_str(&format!("# note: {note}\n"));
        }
        for warning in &self.warnings {
            text.push_str(&format!("# warning: {warning}\n"));
        }
        for (name, url) in &self.upstreams {
            text.push_str(&format!("# Leeward forwards /@{name} to {url}\n"));
        }
        let set = self.set.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
        let program = self.program.display().to_string();
        let words: Vec<String> =
            std::iter::once(program).chain(self.args.iter().map(|arg| without_credentials(&arg.to_string_lossy()))).collect();
        text.push_str(&shell.command(&set, &words));
        text.push('\n');
        text
    }
}

/// A variable's value, unless it is a credential as a whole.
fn shown(name: &str, value: &str) -> String {
    if name.ends_with("_HEADERS") || name.ends_with("_TOKEN") { "…".to_owned() } else { without_credentials(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wrap::private_argument::PrivateArguments;
    use std::collections::BTreeMap;

    #[test]
    fn a_script_is_complete_and_shows_no_credential() {
        let plan = Plan {
            agent: "opencode".into(),
            title: "opencode".into(),
            program: "/bin/opencode".into(),
            args: vec!["run".into(), r#"--settings={"env":{"ANTHROPIC_API_KEY":"sk-1","A":"b"}}"#.into()],
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
        assert!(!script.contains("sk-"), "{script}");
        assert_eq!(
            script,
            "# opencode through Leeward\n# note: n\n# warning: w\n# Leeward forwards /@gw-1 to https://gateway.corp\nenv \\\n  \
             'B_HEADERS=…' \\\n  'C={\"provider\":{\"x\":{\"options\":{\"apiKey\":\"…\",\"baseURL\":\"u\"}}}}' \\\n  \
             /bin/opencode run '--settings={\"env\":{\"ANTHROPIC_API_KEY\":\"…\",\"A\":\"b\"}}'\n"
        );
    }
}
