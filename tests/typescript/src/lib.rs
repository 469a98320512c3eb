//! Writes or compares a file of TypeScript declarations. For tests alone: those of the library and of the tray's program.
//! Which types are declared, and where the file is, the test says.

use std::{collections::BTreeMap, path::Path};
use ts_rs::{Config, TS, TypeVisitor};

/// Set to write the file instead of comparing it.
const RENEW: &str = "LEEWARD_RENEW";

/// Declarations of types and of all that they hold, by name.
pub struct Declarations<'a> {
    config: &'a Config,
    found: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only what has a declaration of its own has a path.
        if T::output_path().is_none() || self.found.contains_key(&T::ident(self.config)) {
            return;
        }
        let text = format!("{}export {}", T::docs().unwrap_or_default(), T::decl(self.config));
        self.found.insert(T::ident(self.config), tidy(&text));
        T::visit_dependencies(self);
    }
}

/// As one would write it: a comment on a line, fields indented.
fn tidy(text: &str) -> String {
    let (mut tidy, mut comment) = (String::new(), None::<Vec<&str>>);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let inner = if tidy.contains("= {") && !line.starts_with('}') { "  " } else { "" };
        match (&mut comment, line) {
            (_, "/**") => comment = Some(Vec::new()),
            (Some(words), "*/") => {
                tidy += &format!("{inner}/** {} */\n", words.join(" "));
                comment = None;
            }
            (Some(words), line) => words.push(line.trim_start_matches('*').trim()),
            (None, line) => {
                tidy += &format!("{inner}{}\n", line.strip_suffix(',').map_or(line.into(), |field| format!("{field};")))
            }
        }
    }
    // The last field and the end share a line.
    tidy.replace(", };", ";\n};").replace(", }", ";\n}")
}

/// Writes the file when `LEEWARD_RENEW` is set, and compares it; `renew` is the command that writes it.
///
/// # Panics
/// When the file is not what the structs say.
pub fn keep(file: impl AsRef<Path>, renew: &str, roots: impl FnOnce(&mut Declarations<'_>)) {
    let file = file.as_ref();
    // JSON has one kind of number, and no count of ours comes near 2^53.
    let config = Config::new().with_large_int("number");
    let mut declarations = Declarations { config: &config, found: BTreeMap::new() };
    roots(&mut declarations);
    let all: Vec<_> = declarations.found.into_values().collect();
    let head = format!("// Generated from the Rust structs; do not edit. Renew it with `{RENEW}=1 {renew}`.\n\n");
    let text = head + &all.join("\n");
    #[allow(clippy::disallowed_methods, reason = "asked by whoever runs the test")]
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(file, &text).expect("the file can be written");
    }
    let stands = std::fs::read_to_string(file).unwrap_or_default().replace("\r\n", "\n");
    assert!(stands == text, "{} is not what the structs say; renew it with `{RENEW}=1 {renew}`", file.display());
}
