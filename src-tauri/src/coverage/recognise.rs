//! Which processes are sessions of which agent: by the names of programs, scripts and packages. Pure.

use super::process::Process;
use std::collections::{BTreeMap, BTreeSet};

/// What runs the scripts of agents.
const INTERPRETERS: [&str; 7] = ["node", "bun", "deno", "python", "python3", "pythonw", "electron"];
/// Arguments of those who are only asked something and end.
const ASKED: [&str; 4] = ["--version", "-V", "--help", "-h"];
/// Deeper than processes start each other; a table that changes while it is read may show a circle.
const DEPTH: usize = 64;

/// How an agent's processes are known.
#[derive(Clone, Debug)]
pub(super) struct Marks<'a> {
    pub(super) programs: &'a [String],
    pub(super) package: Option<&'a str>,
}

impl Marks<'_> {
    /// Whether this process is the agent itself, not what it starts.
    pub(super) fn is(&self, process: &Process) -> bool {
        let [name, rest @ ..] = process.arguments.as_slice() else { return false };
        if rest.iter().any(|word| ASKED.contains(&word.as_str())) {
            return false;
        }
        let is_program = |word: &str| self.programs.iter().any(|program| *program == stem(word));
        let program = process.program.as_ref().and_then(|path| path.to_str()).unwrap_or(name);
        if is_program(name) || is_program(program) {
            return true;
        }
        let interpreter = [name.as_str(), program].iter().any(|word| is_interpreter(&stem(word)));
        // What stands after an interpreter and its options is its script.
        let script = rest.iter().find(|word| !word.starts_with('-')).filter(|_| interpreter);
        script.is_some_and(|script| is_program(script) || self.package.is_some_and(|package| is_in(script, package)))
    }

    /// The agent's sessions: what an agent starts of its own kind belongs to it.
    pub(super) fn sessions<'p>(&self, all: &'p [Process]) -> Vec<&'p Process> {
        let own: BTreeMap<u32, &Process> = all.iter().filter(|process| self.is(process)).map(|p| (p.pid, p)).collect();
        let family = Family::of(all);
        let first = own.values().filter(|process| !family.ancestors(process.pid).iter().any(|pid| own.contains_key(pid)));
        first.copied().collect()
    }
}

/// Who started whom.
#[derive(Debug)]
pub(super) struct Family(BTreeMap<u32, u32>);

impl Family {
    pub(super) fn of(all: &[Process]) -> Self {
        Self(all.iter().filter_map(|process| Some((process.pid, process.parent?))).collect())
    }

    /// Those above a process, the nearest first.
    pub(super) fn ancestors(&self, pid: u32) -> Vec<u32> {
        let (mut found, mut seen, mut at) = (Vec::new(), BTreeSet::from([pid]), pid);
        while let Some(parent) = self.0.get(&at)
            && seen.insert(*parent)
            && found.len() < DEPTH
        {
            found.push(*parent);
            at = *parent;
        }
        found
    }
}

/// The name of a file without its folder and what says that it can be started.
fn stem(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
    let endings = [".exe", ".cmd", ".js", ".mjs", ".cjs", ".py"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name).to_owned()
}

fn is_interpreter(name: &str) -> bool {
    // `python3.12` is one as well.
    INTERPRETERS
        .iter()
        .any(|known| name.strip_prefix(known).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.')))
}

fn is_in(script: &str, package: &str) -> bool {
    script.replace('\\', "/").contains(&format!("/node_modules/{package}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, program: &str, arguments: &[&str]) -> Process {
        let program = Some(program).filter(|program| !program.is_empty()).map(Into::into);
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Process { pid, parent: Some(parent), arguments, program, since_unix_ms: None }
    }

    #[test]
    fn an_agent_is_known_by_program_script_and_package_and_nothing_else_is_one() {
        let programs = ["claude".to_owned()];
        let marks = Marks { programs: &programs, package: Some("@anthropic-ai/claude-code") };
        for (program, arguments, want) in [
            ("/home/u/.local/share/claude/versions/2.1.329", &["claude", "-p", "x"][..], true),
            ("/usr/bin/claude", &["claude"], true),
            ("", &["/home/u/.vscode/extensions/anthropic.claude-code-2.1.1/resources/native-binary/claude"], true),
            (r"C:\Users\u\claude.exe", &["claude.exe"], true),
            ("/usr/bin/node", &["node", "--no-warnings", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"], true),
            ("/usr/bin/node", &["node", "/home/u/.local/bin/claude", "--resume"], true),
            (r"C:\node.exe", &["node", r"C:\npm\node_modules\@anthropic-ai\claude-code\cli.js"], true),
            ("/usr/bin/python3.12", &["python3.12", "/home/u/.local/bin/claude"], true),
            ("/usr/bin/node", &["node", "/usr/lib/node_modules/@other/claude-code/cli.js"], false),
            ("/usr/bin/vim", &["vim", "claude"], false),
            ("/usr/bin/tail", &["tail", "-f", "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"], false),
            ("/usr/bin/leeward", &["leeward", "wrap", "claude"], false),
            ("/usr/bin/claude", &["claude", "--version"], false),
            ("/usr/bin/nodejs-claude", &["nodejs-claude"], false),
            ("", &[], false),
        ] {
            assert_eq!(marks.is(&process(1, 0, program, arguments)), want, "{program} {arguments:?}");
        }
    }

    #[test]
    fn what_an_agent_starts_of_its_own_kind_is_no_session_of_its_own() {
        let programs = ["claude".to_owned()];
        let marks = Marks { programs: &programs, package: None };
        let all = [
            process(10, 1, "", &["claude"]),
            process(11, 10, "", &["bash"]),
            process(12, 11, "", &["claude", "mcp", "serve"]),
            process(20, 1, "", &["claude"]),
            // A number was given away while the table was read.
            process(30, 31, "", &["claude"]),
            process(31, 30, "", &["bash"]),
        ];
        let sessions: Vec<u32> = marks.sessions(&all).iter().map(|process| process.pid).collect();
        assert_eq!(sessions, [10, 20, 30]);
        assert_eq!(Family::of(&all).ancestors(12), [11, 10, 1]);
    }
}
