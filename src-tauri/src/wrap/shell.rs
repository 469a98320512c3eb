//! Text that a shell reads back as the very same words. Knows quoting and nothing of agents.

use std::collections::{BTreeMap, BTreeSet};

/// The shells that text is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// sh, bash, zsh, dash, ksh.
    Sh,
    /// fish.
    Fish,
    /// Windows PowerShell and PowerShell 7.
    PowerShell,
}

impl Shell {
    /// The user's shell by the value of `SHELL`; PowerShell on Windows, where it is not set.
    pub fn of_user(shell_variable: Option<&str>) -> Self {
        match shell_variable.and_then(|path| path.rsplit(['/', '\\']).next()) {
            Some("fish") => Self::Fish,
            Some("pwsh") => Self::PowerShell,
            None if cfg!(windows) => Self::PowerShell,
            _ => Self::Sh,
        }
    }

    /// One word, quoted if it needs to be.
    pub fn quote(self, word: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@=,+%".contains(c);
        // PowerShell reads `@` and `,` outside quotes as operators.
        let plain_here = |c: char| plain(c) && !(self == Self::PowerShell && "@,=%".contains(c));
        if !word.is_empty() && !word.starts_with('=') && word.chars().all(plain_here) {
            return word.to_owned();
        }
        match self {
            Self::Sh => format!("'{}'", word.replace('\'', r"'\''")),
            Self::Fish => format!("'{}'", word.replace('\\', r"\\").replace('\'', r"\'")),
            Self::PowerShell => {
                // Typographic quotes end a string there as well.
                let mut text = String::from("'");
                for c in word.chars() {
                    text.push(c);
                    if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
                        text.push(c);
                    }
                }
                text + "'"
            }
        }
    }

    /// The line that exports a variable.
    pub fn export(self, name: &str, value: &str) -> String {
        let value = self.quote(value);
        match self {
            Self::Sh => format!("export {name}={value}"),
            Self::Fish => format!("set -gx {name} {value}"),
            Self::PowerShell => format!("$env:{name} = {}", if value.starts_with('\'') { value } else { format!("'{value}'") }),
        }
    }

    /// A command with variables set and taken away for it alone, as one command that can be copied.
    pub fn command(self, unset: &BTreeSet<String>, set: &BTreeMap<String, String>, words: &[String]) -> String {
        let command = words.iter().map(|w| self.quote(w)).collect::<Vec<_>>().join(" ");
        match self {
            Self::Sh | Self::Fish => {
                let mut text = String::from("env");
                text.extend(unset.iter().map(|name| format!(" \\\n  -u {name}")));
                for (name, value) in set {
                    text.push_str(&format!(" \\\n  {}", self.quote(&format!("{name}={value}"))));
                }
                format!("{text} \\\n  {command}")
            }
            Self::PowerShell => {
                let mut text: String = unset.iter().map(|name| format!("$env:{name} = $null\n")).collect();
                text += &set.iter().map(|(name, value)| self.export(name, value) + "\n").collect::<String>();
                text.push_str(&format!("& {command}"));
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 12] = [
        "",
        "plain",
        "two words",
        "it's",
        "a\"b",
        r"back\slash\",
        "$HOME `id` $(id)",
        "new\nline",
        "*?[x]{a,b}~",
        "-c",
        "a=b;c&d|e",
        "'\\''",
    ];

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(Shell::Sh.quote("http://127.0.0.1:8787/@openai/v1"), "http://127.0.0.1:8787/@openai/v1");
        assert_eq!(Shell::Sh.export("A", "b c"), "export A='b c'");
        assert_eq!(Shell::Fish.export("A", r"b'\"), r"set -gx A 'b\'\\'");
        assert_eq!(Shell::PowerShell.export("A", "it's"), "$env:A = 'it''s'");
        assert_eq!(Shell::PowerShell.export("A", "1"), "$env:A = '1'");
        assert_eq!(Shell::PowerShell.quote("\u{2019}"), "'\u{2019}\u{2019}'");
    }

    #[test]
    fn the_users_shell_is_recognised() {
        for (variable, shell) in
            [("/usr/bin/fish", Shell::Fish), ("/bin/zsh", Shell::Sh), ("/bin/bash", Shell::Sh), ("/opt/pwsh", Shell::PowerShell)]
        {
            assert_eq!(Shell::of_user(Some(variable)), shell);
        }
    }

    /// The real `sh` is the judge: it must hand back every word unchanged.
    #[cfg(unix)]
    #[test]
    fn sh_reads_back_every_word() {
        for word in WORDS {
            let script = format!("{}\nprintf %s \"$A\"; printf %s {}", Shell::Sh.export("A", word), Shell::Sh.quote(word));
            let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{word}{word}"), "{script}");
            let set = BTreeMap::from([("A".to_owned(), word.to_owned())]);
            let script = Shell::Sh.command(
                &BTreeSet::from(["GONE".to_owned()]),
                &set,
                &["sh".into(), "-c".into(), "printf %s \"$A\"".into()],
            );
            let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word, "{script}");
        }
    }

    #[test]
    fn quotes_in_fish_and_powershell_are_balanced() {
        for word in WORDS {
            let fish = Shell::Fish.quote(word).replace(r"\\", "").replace(r"\'", "");
            assert_eq!(fish.matches('\'').count() % 2, 0, "{fish}");
            assert_eq!(Shell::PowerShell.quote(word).matches('\'').count() % 2, 0, "{word}");
        }
    }
}
